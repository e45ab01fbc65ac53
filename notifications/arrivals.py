"""What is heard of feed items that reached a device: the first one of a notification is remembered.

Whoever wants to act on it (stop asking louder, for one) listens to `feed_item_delivered` too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from channels_app.feed.acking import feed_item_delivered
from channels_app.feed.item import Delivered
from notifications.models import audience


@receiver(feed_item_delivered)
def remember(delivered: Sequence[Delivered], **_: Any) -> None:
    """Note of each notification which device had it first. Comes after COMMIT; if it gets lost, the items still say."""
    audience.note_first_acks([one for one in delivered if one.source is not None])
