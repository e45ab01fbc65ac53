"""Notifications that nobody has decided on yet: taken in batches, marked when their deliveries stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from notifications.models import statement
from notifications.priority import Priority

_COLUMNS = (
    "id, event_type, priority, scheduled_at, expires_at, accepted_at, withdrawn_at, streamer_id, recipients, feeds, "
    "feed_after"
)

# What is urgent is found by an index of its own, so that it passes a backlog without a look at it. The columns come
# from where the row is locked: there they are as they stand now. Whether anybody who follows wants to hear of it is
# asked for as a least one, which is the first entry of an index; for EXISTS all might be looked at where none wants to.
_TAKE = f"""
WITH urgent AS MATERIALIZED (
    SELECT {_COLUMNS} FROM notifications_notification
    WHERE routed_at IS NULL AND priority >= {int(Priority.HIGH)}
    ORDER BY id LIMIT %(urgent)b FOR UPDATE SKIP LOCKED
), oldest AS MATERIALIZED (
    SELECT {_COLUMNS} FROM notifications_notification
    WHERE routed_at IS NULL AND id NOT IN (SELECT id FROM urgent)
    ORDER BY id LIMIT %(limit)b - (SELECT count(*) FROM urgent) FOR UPDATE SKIP LOCKED
)
SELECT n.*, coalesce(s.key, '') AS streamer_key, coalesce(s.platform, '') AS platform,
    coalesce((SELECT min(f.min_priority) FROM notifications_follow f WHERE f.streamer_id = n.streamer_id) <= n.priority,
        false) AS is_followed
FROM (SELECT * FROM urgent UNION ALL SELECT * FROM oldest) AS n
LEFT JOIN notifications_streamer s ON s.id = n.streamer_id
"""

_MARK = """
UPDATE notifications_notification n SET routed_at = %(now)b, routing_note = v.note
FROM unnest(%(ids)b::uuid[], %(notes)b::text[]) AS v(id, note)
WHERE n.id = v.id AND n.routed_at IS NULL
RETURNING n.id
"""

_ANY = "SELECT EXISTS (SELECT 1 FROM notifications_notification WHERE routed_at IS NULL) AS waiting"


def take(limit: int) -> list[Any]:
    """Lock up to `limit` of them until the transaction ends. Several takers share the work.

    Three urgent ones (priority high and above) for one of the oldest, each in the order of arrival: so that what is
    less urgent gets on too, also where not all are done.
    """
    rows = sorted(statement.run(_TAKE, {"limit": limit, "urgent": limit - limit // 4}), key=attrgetter("id"))
    urgent = [row for row in rows if row.priority >= Priority.HIGH]
    others = [row for row in rows if row.priority < Priority.HIGH]
    taken: list[Any] = []
    while urgent or others:
        taken += [*urgent[:3], *others[:1]]
        urgent, others = urgent[3:], others[1:]
    return taken


def mark_routed(notes: Sequence[tuple[UUID, str]], *, now: datetime) -> int:
    """They are decided on; each comes with a note for people, "" where deliveries speak for it."""
    return len(statement.run(_MARK, {"now": now, "ids": [pk for pk, _ in notes], "notes": [note for _, note in notes]}))


def exist() -> bool:
    """Whether routing has anything to do."""
    return bool(statement.run(_ANY, {})[0].waiting)
