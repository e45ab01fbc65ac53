"""What a notification is called on these pages: as its receivers read it."""

from __future__ import annotations

from notifications import catalogue
from notifications.models import Notification


def title_of(notification: Notification) -> str:
    """Its title, or the one that the catalogue makes of its data. Reads `streamer`: select it along."""
    if notification.title:
        return notification.title
    streamer = notification.streamer
    known = {"streamer_name": streamer.name, "platform": streamer.platform} if streamer else {}
    data = notification.data if isinstance(notification.data, dict) else {}
    return catalogue.texts(notification.event_type, {**known, **data})[0]
