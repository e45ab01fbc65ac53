"""For whose feeds notifications are meant, and what they remember of it.

The audience of a notification: the recipients that it names, and those who follow its streamer from a
priority on that it reaches. It is asked for in the order of recipients' keys, a part at a time, so that
a streamer with a million followers is no transaction without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from channels_app.feed.item import EVERYONE, Delivered
from notifications.models import statement

#: What stands between recipients on their way into an array; no recipient's key can contain it.
_SEPARATOR = "\x1f"

# The rows are few and come in the order of their places, so that Postgres stops where the limit is reached.
_PART = """
SELECT t.place, a.recipient
FROM unnest(%(streamer_ids)b::int8[], %(priorities)b::int2[], %(named)b::text[], %(after)b::text[]) WITH ORDINALITY
    AS t(streamer_id, priority, named, after, place)
CROSS JOIN LATERAL (
    SELECT recipient COLLATE "C" AS recipient FROM (
        (SELECT f.recipient FROM notifications_follow f
         WHERE f.streamer_id = t.streamer_id AND f.min_priority <= t.priority AND f.recipient > t.after
         ORDER BY f.recipient LIMIT %(limit)b)
        UNION
        SELECT n.recipient COLLATE "C" FROM unnest(string_to_array(t.named, E'\\x1f')) AS n(recipient)
        WHERE n.recipient COLLATE "C" > t.after
    ) AS meant
    ORDER BY recipient COLLATE "C" LIMIT %(limit)b
) AS a
ORDER BY t.place, a.recipient LIMIT %(limit)b
"""

_CONTENTS = """
SELECT n.id, n.event_type, n.priority, n.title, n.body, n.data::text AS data, n.expires_at,
    coalesce(s.name, '') AS streamer_name, coalesce(s.platform, '') AS platform
FROM notifications_notification n LEFT JOIN notifications_streamer s ON s.id = n.streamer_id
WHERE n.id = ANY(%(ids)b::uuid[])
"""

_TAKE_DUE = """
SELECT n.id, n.priority, n.streamer_id, n.recipients, n.expires_at, n.feeds, n.feed_after
FROM notifications_notification n
WHERE n.feed_due_at <= %(now)b ORDER BY n.feed_due_at, n.id LIMIT %(limit)b FOR UPDATE SKIP LOCKED
"""

_ANY_DUE = "SELECT EXISTS (SELECT FROM notifications_notification WHERE feed_due_at <= %(until)b) AS due"

_NOTE = """
UPDATE notifications_notification n
SET feeds = v.feeds, feed_due_at = v.due_at, feed_after = v.after, routing_note = v.note
FROM unnest(%(ids)b::uuid[], %(feeds)b::int4[], %(due_ats)b::timestamptz[], %(after)b::text[], %(notes)b::text[])
    AS v(id, feeds, due_at, after, note)
WHERE n.id = v.id
"""

# Locked in the order of their ids, so that two who tell of the same ones never wait for each other.
_NOTE_FIRST_ACKS = """
WITH said AS (
    SELECT DISTINCT ON (id) * FROM unnest(%(ids)b::uuid[], %(ats)b::timestamptz[], %(devices)b::text[],
        %(recipients)b::text[]) WITH ORDINALITY AS v(id, at, device, recipient, place)
    ORDER BY id, at, place
), fresh AS (
    SELECT n.id FROM notifications_notification n
    WHERE n.id = ANY(%(ids)b::uuid[]) AND n.first_ack_at IS NULL ORDER BY n.id FOR NO KEY UPDATE
)
UPDATE notifications_notification n
SET first_ack_at = said.at, first_ack_device = said.device, first_ack_recipient = said.recipient
FROM fresh JOIN said ON said.id = fresh.id
WHERE n.id = fresh.id AND n.first_ack_at IS NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How far a notification has come. `due_at`: when to go on behind the recipient `after`; None: it is done."""

    id: UUID
    feeds: int | None
    due_at: datetime | None
    after: str
    note: str


def part(rows: Sequence[Any], *, limit: int) -> list[tuple[int, str]]:
    """Up to `limit` of those who are meant and have not been reached, as (place in `rows`, recipient), in that order.

    A row has `streamer_id, priority, recipients, feed_after`. Who is meant as one of everyone is left out.
    """
    found = statement.run(
        _PART,
        {
            "streamer_ids": [row.streamer_id for row in rows],
            "priorities": [row.priority for row in rows],
            "named": [_SEPARATOR.join(who for who in row.recipients if who != EVERYONE) for row in rows],
            "after": [row.feed_after for row in rows],
            "limit": limit,
        },
    )
    return [(row.place - 1, row.recipient) for row in found]


def contents(ids: Sequence[UUID]) -> dict[UUID, Any]:
    """What notifications say: rows of `id, event_type, priority, title, body, data` (JSON) and of their streamers."""
    return {row.id: row for row in statement.run(_CONTENTS, {"ids": list(ids)})}


def take_due(now: datetime, *, limit: int) -> list[Any]:
    """Lock notifications that are to be written into feeds by now; several takers share the work."""
    return statement.run(_TAKE_DUE, {"now": now, "limit": limit})


def is_due(until: datetime) -> bool:
    """Whether any notification is to be written into feeds by then."""
    return bool(statement.run(_ANY_DUE, {"until": until})[0].due)


def note(written: Sequence[Written]) -> None:
    """Remember how far they have come. Their rows must be locked."""
    if not written:
        return
    statement.run(
        _NOTE,
        {
            "ids": [one.id for one in written],
            "feeds": [one.feeds for one in written],
            "due_ats": [one.due_at for one in written],
            "after": [one.after for one in written],
            "notes": [one.note for one in written],
        },
    )


def note_first_acks(delivered: Sequence[Delivered]) -> None:
    """Remember, of notifications that no device had so far, which was the first. Items have a source."""
    if not delivered:
        return
    statement.run(
        _NOTE_FIRST_ACKS,
        {
            "ids": [one.source for one in delivered],
            "ats": [one.at for one in delivered],
            "devices": [one.device for one in delivered],
            "recipients": [one.recipient for one in delivered],
        },
    )
