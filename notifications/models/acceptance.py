"""Writing accepted notifications: many rows by one statement, and what stands under a repeated key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from notifications.models import statement


class NewNotification(Struct, frozen=True, kw_only=True, gc=False):
    """A row to be. `data` is JSON text; `digest` tells a repeat under the same key from a conflict.

    Made a thousand at a time, so of a kind that is made quickly and that the collector need not look at.
    """

    id: UUID
    event_type: str
    priority: int
    title: str
    body: str
    data: str
    streamer_id: int | None
    recipients: list[str]
    scheduled_at: datetime | None
    expires_at: datetime | None
    producer_id: int | None
    idempotency_key: str | None
    digest: bytes | None


# Recipients go as one text a row: arrays of arrays must be rectangular. Written in the order of
# their keys, two requests that repeat the same ones wait for each other and never in a circle.
_STORE = """
INSERT INTO notifications_notification (
    id, event_type, priority, title, body, data, streamer_id, recipients, scheduled_at, expires_at, producer_id,
    idempotency_key, request_digest, accepted_at, routing_note)
SELECT v.id, v.event_type, v.priority, v.title, v.body, v.data::jsonb, v.streamer_id,
    string_to_array(v.recipients, E'\\x1f'), v.scheduled_at, v.expires_at, v.producer_id, v.idempotency_key,
    v.digest, %(now)b, ''
FROM unnest(
    %(ids)b::uuid[], %(event_types)b::text[], %(priorities)b::int2[], %(titles)b::text[], %(bodies)b::text[],
    %(datas)b::text[], %(streamer_ids)b::int8[], %(recipients)b::text[], %(scheduled_ats)b::timestamptz[],
    %(expires_ats)b::timestamptz[], %(producer_ids)b::int8[], %(keys)b::text[], %(digests)b::bytea[]
) AS v(id, event_type, priority, title, body, data, streamer_id, recipients, scheduled_at, expires_at, producer_id,
       idempotency_key, digest)
ORDER BY v.idempotency_key
ON CONFLICT DO NOTHING
"""

_THERE = "SELECT id FROM notifications_notification WHERE id = ANY(%(ids)b)"

_STANDING = """
SELECT n.id, n.accepted_at, n.request_digest AS digest, n.producer_id, n.idempotency_key
FROM notifications_notification n
JOIN unnest(%(producer_ids)b::int8[], %(keys)b::text[]) AS v(producer_id, idempotency_key)
    ON n.idempotency_key = v.idempotency_key AND n.producer_id IS NOT DISTINCT FROM v.producer_id
"""

#: Separates recipients on their way into an array; no recipient's key may contain it.
RECIPIENT_SEPARATOR = "\x1f"


def store(rows: Sequence[NewNotification], *, now: datetime) -> frozenset[UUID]:
    """Insert all whose idempotency key is new. Returns the ids of the others.

    Doing it again changes nothing: what is there under its own id was written.
    """
    ids = [row.id for row in rows]
    written = statement.changed(
        _STORE,
        {
            "now": now,
            "ids": ids,
            "event_types": [row.event_type for row in rows],
            "priorities": [row.priority for row in rows],
            "titles": [row.title for row in rows],
            "bodies": [row.body for row in rows],
            "datas": [row.data for row in rows],
            "streamer_ids": [row.streamer_id for row in rows],
            "recipients": [RECIPIENT_SEPARATOR.join(row.recipients) for row in rows],
            "scheduled_ats": [row.scheduled_at for row in rows],
            "expires_ats": [row.expires_at for row in rows],
            "producer_ids": [row.producer_id for row in rows],
            "keys": [row.idempotency_key for row in rows],
            "digests": [row.digest for row in rows],
        },
        prepared=True,
    )
    if written == len(rows):
        return frozenset()
    return frozenset(ids).difference(row.id for row in statement.run(_THERE, {"ids": ids}))


def standing(keys: Sequence[tuple[int | None, str]]) -> dict[tuple[int | None, str], Any]:
    """What stands under these (producer, idempotency key). Rows: `id, accepted_at, digest`."""
    rows = statement.run(_STANDING, {"producer_ids": [pk for pk, _ in keys], "keys": [key for _, key in keys]})
    return {(row.producer_id, row.idempotency_key): row for row in rows}
