"""Notifications that nobody has decided on yet: taken in batches, marked when their deliveries stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.models import statement

_TAKE = """
SELECT n.id, n.event_type, n.priority, n.scheduled_at, n.expires_at, n.accepted_at, n.withdrawn_at,
    coalesce(s.key, '') AS streamer_key, coalesce(s.platform, '') AS platform
FROM notifications_notification n LEFT JOIN notifications_streamer s ON s.id = n.streamer_id
WHERE n.routed_at IS NULL
ORDER BY n.id LIMIT %(limit)b FOR UPDATE OF n SKIP LOCKED
"""

_MARK = """
UPDATE notifications_notification n SET routed_at = %(now)b, routing_note = v.note
FROM unnest(%(ids)b::uuid[], %(notes)b::text[]) AS v(id, note)
WHERE n.id = v.id AND n.routed_at IS NULL
RETURNING n.id
"""

_ANY = "SELECT EXISTS (SELECT 1 FROM notifications_notification WHERE routed_at IS NULL) AS waiting"


def take(limit: int) -> list[Any]:
    """Lock up to `limit` of them, oldest first, until the transaction ends. Several takers share the work."""
    return statement.run(_TAKE, {"limit": limit})


def mark_routed(notes: Sequence[tuple[UUID, str]], *, now: datetime) -> int:
    """They are decided on; each comes with a note for people, "" where deliveries speak for it."""
    return len(statement.run(_MARK, {"now": now, "ids": [pk for pk, _ in notes], "notes": [note for _, note in notes]}))


def exist() -> bool:
    """Whether routing has anything to do."""
    return bool(statement.run(_ANY, {})[0].waiting)
