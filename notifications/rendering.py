"""From what was remembered to what is told: a claimed row becomes a `Message` for any transport."""

from __future__ import annotations

from typing import Any

from channels_app.base import Message
from channels_app.payload import Payload
from notifications import catalogue, priority
from notifications.models.delivery import idempotency_id


def message_of(row: Any) -> Message:
    """The message of a row of `transitions.claim`. Texts that the producer left out come from the catalogue."""
    data = Payload(row.data)
    title, body = texts_of(row, data)
    return Message(
        idempotency_id=idempotency_id(row.notification_id, row.id),
        notification_id=row.notification_id,
        event_type=row.event_type,
        priority=row.priority,
        priority_label=priority.label(row.priority),
        title=title,
        body=body,
        data=data,
        accepted_at=row.accepted_at,
        streamer_key=row.streamer_key,
        streamer_name=row.streamer_name,
        platform=row.platform,
        address=row.address,
    )


def texts_of(row: Any, data: Payload) -> tuple[str, str]:
    """Title and body of a notification's row (with `streamer_name` and `platform`); the catalogue's where it has none.

    Raises `RecursionError` where `data` nests too deeply to be read.
    """
    if row.title:
        return row.title, row.body
    title, usual_body = catalogue.texts(row.event_type, _fields(row, data))
    return title, row.body or usual_body


def _fields(row: Any, data: Payload) -> dict[str, Any]:
    """What default texts may name: the producer's data first, then what Belfry knows of the streamer."""
    known = {"streamer_name": row.streamer_name, "platform": row.platform}
    return {**{name: value for name, value in known.items() if value}, **data}
