"""Who follows, what stands in feeds, and what a notification remembers of it."""

from __future__ import annotations

from typing import Any

from channels_app.feed import reading
from channels_app.models import InboxItem
from notifications import clock
from notifications.models import Follow, Notification, Streamer


def follow(streamer: Streamer, *recipients: str, min_priority: int = 0) -> None:
    Follow.objects.bulk_create(
        Follow(recipient=recipient, streamer=streamer, min_priority=min_priority) for recipient in recipients
    )


def feed(recipient: str) -> list[dict[str, Any]]:
    """What stands in a feed, the newest first."""
    return list(reading.page(recipient, now=clock.now()).items)


def titles(recipient: str) -> list[str]:
    return [item["title"] for item in feed(recipient)]


def told() -> set[str]:
    """Who has anything at all."""
    return set(InboxItem.objects.filter(deleted_at=None).values_list("recipient", flat=True))


def the_notification() -> Notification:
    return Notification.objects.with_state().get()


def standing() -> tuple[str, int | None, str]:
    found = the_notification()
    return found.state, found.feeds, found.routing_note
