"""Taking a notification back: what has not been sent yet will not be."""

from __future__ import annotations

from datetime import datetime

from channels_app.feed import writing
from notifications.models import Notification, statement, transitions


def withdraw(notification: Notification, *, by: str, now: datetime) -> int:
    """End every open delivery of it, and take it out of all feeds; what a worker holds at this moment may still arrive.

    Returns how many deliveries were ended or marked. Doing it twice changes nothing more.
    """

    def end() -> int:
        notification.mark_withdrawn(now)
        reason = f"Withdrawn by {by}."
        ended = transitions.cancel(notification_id=notification.pk, code="withdrawn", reason=reason, now=now)
        if notification.feeds is not None:
            writing.withdraw(notification.pk, now=now)
        return len(ended)

    return statement.persevering(end)
