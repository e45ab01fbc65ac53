"""Taking a notification back: what has not been sent yet will not be."""

from __future__ import annotations

from datetime import datetime

from notifications.models import Notification, statement, transitions


def withdraw(notification: Notification, *, by: str, now: datetime) -> int:
    """End every open delivery of it; what a worker holds at this moment may still arrive.

    Returns how many deliveries were ended or marked. Doing it twice changes nothing more.
    """

    def end() -> int:
        notification.mark_withdrawn(now)
        reason = f"Withdrawn by {by}."
        return len(transitions.cancel(notification_id=notification.pk, code="withdrawn", reason=reason, now=now))

    return statement.persevering(end)
