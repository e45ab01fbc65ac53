"""Deleting a channel: what waits for it is ended with a reason, its past is kept."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from channels_app.models import Channel
from notifications.models import transitions


def retire(channel: Channel, *, by: str, now: datetime) -> int:
    """Delete `channel` for all eyes and cancel what is open. Returns how many deliveries that were."""
    with transaction.atomic():
        channel.retire(now)
        return len(
            transitions.cancel(
                channel_id=channel.pk, code="channel_deleted", reason=f"The channel was deleted by {by}.", now=now
            )
        )
