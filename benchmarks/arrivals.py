"""How long notifications took from acceptance to their channels, by the database and by the far end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class Journey:
    """One delivery. Seconds from acceptance; None where it has not come so far."""

    channel_id: int
    accepted_at: datetime
    #: To the first attempt, as the row has it.
    to_attempt_s: float | None
    #: To its arrival at the sink.
    to_sink_s: float | None


def journeys(notes: Sequence[tuple[str, float]]) -> list[Journey]:
    """All deliveries that there are; `notes` are the sink's."""
    arrived: dict[int, float] = {}
    for message_id, at in notes:
        arrived.setdefault(int(message_id.rpartition("_")[2]), at)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT d.id, d.channel_id, n.accepted_at, d.first_attempt_at FROM notifications_delivery d"
            " JOIN notifications_notification n ON n.id = d.notification_id"
        )
        rows = cursor.fetchall()
    return [
        Journey(
            channel_id,
            accepted_at,
            (first_attempt_at - accepted_at).total_seconds() if first_attempt_at else None,
            (datetime.fromtimestamp(arrived[pk], UTC) - accepted_at).total_seconds() if pk in arrived else None,
        )
        for pk, channel_id, accepted_at, first_attempt_at in rows
    ]
