"""What is told to everybody: one row, written into a feed when its recipient next looks at it.

Broadcasts are written one after the other, so that the order of their numbers is the order of their
commits and `broadcast_upto` of a feed can mean "all up to here". Who has one written into a feed holds
it in share until COMMIT; who edits or withdraws it waits for that, and then finds every item of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from channels_app import statement
from channels_app.feed.announcing import announce, announce_broadcast, generation
from channels_app.feed.changing import in_turn, lock
from channels_app.feed.item import Change, Kind, NewItem
from channels_app.feed.shown import ITEM, STATE, change_of, item_of, standing_of

#: Nobody else in this database takes a lock of this number.
_ONE_AFTER_THE_OTHER = 0x62656C66727902

_TAKE_TURN = "SELECT pg_advisory_xact_lock(%(number)b::int8)"

_ADD = """
INSERT INTO channels_app_broadcast (
    source, event_type, priority, title, body, url, content_type, payload, wants_ack, created_at, expires_at)
VALUES (%(source)b, %(event_type)b, %(priority)b, %(title)b, %(body)b, %(url)b, %(content_type)b, %(payload)b,
    %(wants_ack)b, %(now)b, %(expires_at)b)
ON CONFLICT DO NOTHING
RETURNING id
"""

_FEEDS = "SELECT recipient FROM channels_app_inbox_state ORDER BY recipient LIMIT %(limit)b"

_COUNT = "SELECT count(*) AS feeds FROM channels_app_inbox_state"

_BEHIND = """
SELECT s.recipient FROM channels_app_inbox_state s
WHERE s.recipient = ANY(%(recipients)b::text[])
  AND s.broadcast_upto < (SELECT max(b.id) FROM channels_app_broadcast b)
"""

# One that somebody is about to change is not waited for: it, and what comes behind it, is for the next time.
_MERGE = f"""
WITH behind AS (
    SELECT s.recipient, s.broadcast_upto FROM channels_app_inbox_state s
    WHERE s.recipient = ANY(%(recipients)b::text[])
), free AS MATERIALIZED (
    SELECT b.* FROM channels_app_broadcast b
    WHERE b.id > (SELECT min(broadcast_upto) FROM behind) ORDER BY b.id FOR SHARE SKIP LOCKED
), until AS (
    SELECT coalesce(
        (SELECT min(b.id) - 1 FROM channels_app_broadcast b
         WHERE b.id > (SELECT min(broadcast_upto) FROM behind) AND b.id NOT IN (SELECT f.id FROM free f)),
        (SELECT max(f.id) FROM free f)) AS id
), fresh AS (
    SELECT h.recipient, f.id AS broadcast_id, row_number() OVER (PARTITION BY h.recipient ORDER BY f.id) AS place
    FROM behind h JOIN free f ON f.id > h.broadcast_upto AND f.id <= (SELECT id FROM until)
    WHERE f.withdrawn_at IS NULL AND (f.expires_at IS NULL OR f.expires_at > %(now)b)
      AND NOT EXISTS (
          SELECT FROM channels_app_inbox_item i WHERE i.source = f.source AND i.recipient = h.recipient)
), sums AS (
    SELECT h.recipient, count(f.place) AS added FROM behind h LEFT JOIN fresh f ON f.recipient = h.recipient
    GROUP BY h.recipient
), states AS (
    UPDATE channels_app_inbox_state s
    SET last_seq = s.last_seq + a.added, unread = s.unread + a.added, version = s.version + 1,
        broadcast_upto = (SELECT id FROM until)
    FROM sums a WHERE s.recipient = a.recipient AND s.broadcast_upto < (SELECT id FROM until)
    RETURNING {STATE}, s.last_seq - a.added AS seq_before
), i AS (
    INSERT INTO channels_app_inbox_item (
        id, recipient, seq, changed_seq, source, event_type, priority, title, body, url, content_type, payload,
        wants_ack, created_at, expires_at)
    SELECT (
            lpad(to_hex(%(now_ms)b::int8), 12, '0') || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14)
        )::uuid,
        s.recipient, s.seq_before + f.place, s.seq_before + f.place, b.source, b.event_type, b.priority, b.title,
        b.body, b.url, b.content_type, b.payload, b.wants_ack, b.created_at, b.expires_at
    FROM fresh f JOIN states s ON s.recipient = f.recipient JOIN free b ON b.id = f.broadcast_id
    RETURNING *
)
SELECT {ITEM}, s.* FROM states s LEFT JOIN i ON i.recipient = s.recipient ORDER BY s.recipient, i.seq
"""

_EDIT = """
UPDATE channels_app_broadcast
SET title = coalesce(%(title)b, title), body = coalesce(%(body)b, body), url = coalesce(%(url)b, url),
    expires_at = coalesce(%(expires_at)b, expires_at)
WHERE source = %(source)b
"""

_WITHDRAW = """
UPDATE channels_app_broadcast SET withdrawn_at = %(now)b WHERE source = %(source)b AND withdrawn_at IS NULL
"""

_PRUNE = "DELETE FROM channels_app_broadcast WHERE created_at < %(before)b"


def feeds(*, at_most: int) -> list[str] | None:
    """All recipients that have a feed; None where there are more than that."""
    found = [row.recipient for row in statement.run(_FEEDS, {"limit": at_most + 1})]
    return found if len(found) <= at_most else None


def count_feeds() -> int:
    found: int = statement.run(_COUNT, {})[0].feeds
    return found


def add(item: NewItem, *, now: datetime) -> None:
    """Keep `item` for every feed there is. Takes part in a transaction, and is the last thing that one waits for."""
    statement.run(_TAKE_TURN, {"number": _ONE_AFTER_THE_OTHER})
    fields = ("source", "event_type", "priority", "title", "body", "url", "content_type", "payload", "wants_ack")
    given: dict[str, Any] = {name: getattr(item, name) for name in fields}
    for row in statement.run(_ADD, {**given, "expires_at": item.expires_at, "now": now}):
        announce_broadcast(row.id)


def merge(recipients: Sequence[str], *, now: datetime) -> list[Change]:
    """Write into these feeds what was told to everybody and is not in them yet. Returns what is new."""
    changes: list[Change] = []
    for some in in_turn(recipients):
        behind = [row.recipient for row in statement.run(_BEHIND, {"recipients": some})]
        if behind:
            changes += _merge(behind, now)
    return changes


def edit(source: UUID, given: Mapping[str, Any]) -> None:
    """Change `title, body, url, expires_at` of what was told to everybody; None leaves one as it is.

    Whoever has it written into a feed meanwhile is waited for.
    """
    statement.run(_EDIT, {**given, "source": source})


def withdraw(source: UUID, *, now: datetime) -> None:
    """Let it be written into no more feeds. Whoever does so meanwhile is waited for."""
    statement.run(_WITHDRAW, {"source": source, "now": now})


def prune(*, before: datetime) -> None:
    """Forget what was told to everybody before then."""
    statement.run(_PRUNE, {"before": before})


def _merge(recipients: Sequence[str], now: datetime) -> list[Change]:
    known = generation()
    with transaction.atomic():
        lock(recipients)
        given = {"recipients": recipients, "now": now, "now_ms": int(now.timestamp() * 1000)}
        rows = statement.run(_MERGE, given)
        changes = [change_of(Kind.NEW, row, item_of(row), at=row.created_at) for row in rows if row.id is not None]
        standings = {row.recipient: standing_of(row) for row in rows}
        announce(changes, list(standings.values()), known)
    return changes
