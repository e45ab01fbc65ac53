"""Writing into feeds: to some, to everybody, and changing or withdrawing what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from psycopg.errors import UniqueViolation
from uuid_utils.compat import uuid7

from channels_app import statement
from channels_app.feed import broadcasting
from channels_app.feed.announcing import announce, generation
from channels_app.feed.changing import DELETION, Mark, change
from channels_app.feed.item import EVERYONE, Change, Kind, NewItem
from channels_app.feed.shown import STATE, change_of, contents, standing_of, time_of

#: Items of one statement.
AT_ONCE = 1000

# The states are locked by being written, in the order of their recipients, and with that the numbers are taken.
# What was new when the statement began and is not any more when it has the lock violates `inbox_item_source`.
_WRITE = f"""
WITH wanted AS (
    SELECT * FROM unnest(%(ids)b::uuid[], %(recipients)b::text[], %(contents)b::int4[])
    WITH ORDINALITY AS v(id, recipient, content, place)
), content AS (
    SELECT * FROM unnest(
        %(sources)b::uuid[], %(event_types)b::text[], %(priorities)b::int2[], %(titles)b::text[], %(bodies)b::text[],
        %(urls)b::text[], %(content_types)b::text[], %(payloads)b::bytea[], %(acks)b::bool[],
        %(expiries)b::timestamptz[])
    WITH ORDINALITY AS c(source, event_type, priority, title, body, url, content_type, payload, wants_ack, expires_at,
        number)
), fresh AS (
    SELECT w.id, w.recipient, c.number, row_number() OVER (PARTITION BY w.recipient ORDER BY w.place) AS place
    FROM wanted w JOIN content c ON c.number = w.content
    WHERE NOT EXISTS (SELECT FROM channels_app_inbox_item i WHERE i.source = c.source AND i.recipient = w.recipient)
), sums AS (
    SELECT recipient, count(*) AS added FROM fresh GROUP BY recipient
), states AS (
    INSERT INTO channels_app_inbox_state AS s (recipient, last_seq, unread, version, broadcast_upto)
    SELECT recipient, added, added, 1, coalesce((SELECT max(b.id) FROM channels_app_broadcast b), 0)
    FROM sums ORDER BY recipient COLLATE "C"
    ON CONFLICT (recipient) DO UPDATE
    SET last_seq = s.last_seq + excluded.last_seq, unread = s.unread + excluded.unread, version = s.version + 1
    RETURNING {STATE}
), items AS (
    INSERT INTO channels_app_inbox_item (
        id, recipient, seq, changed_seq, source, event_type, priority, title, body, url, content_type, payload,
        wants_ack, created_at, expires_at)
    SELECT f.id, f.recipient, n.seq, n.seq, c.source, c.event_type, c.priority, c.title, c.body, c.url,
        c.content_type, c.payload, c.wants_ack, %(now)b, c.expires_at
    FROM fresh f
    JOIN sums a ON a.recipient = f.recipient
    JOIN states s ON s.recipient = f.recipient
    JOIN content c ON c.number = f.number
    CROSS JOIN LATERAL (SELECT s.last_seq - a.added + f.place AS seq) n
    RETURNING id, recipient, seq
)
SELECT i.id, i.seq AS changed_seq, s.* FROM items i JOIN states s ON s.recipient = i.recipient
ORDER BY s.recipient, i.seq
"""

_WHO_HAS = "SELECT DISTINCT i.recipient FROM channels_app_inbox_item i WHERE i.source = %(source)b"

#: So often one statement is overtaken by others who write the same, before something else must be wrong.
_TRIES = 5


#: What items have in common that say the same.
_what_it_says = attrgetter(*(field.name for field in dataclasses.fields(NewItem) if field.name != "recipient"))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Items of one statement, by id, with the number of what they say; and what they say, each once, for 1 and on."""

    recipients: list[str]
    numbers: dict[UUID, int]
    contents: list[NewItem]

    @classmethod
    def of(cls, items: Sequence[NewItem]) -> _Chunk:
        numbers: dict[object, int] = {}
        contents: list[NewItem] = []
        said: dict[UUID, int] = {}
        for item in items:
            number = said[uuid7()] = numbers.setdefault(_what_it_says(item), len(numbers) + 1)
            if number > len(contents):
                contents.append(item)
        return cls([item.recipient for item in items], said, contents)

    def parameters(self) -> dict[str, Any]:
        columns = {
            "sources": "source",
            "event_types": "event_type",
            "priorities": "priority",
            "titles": "title",
            "bodies": "body",
            "urls": "url",
            "content_types": "content_type",
            "payloads": "payload",
            "acks": "wants_ack",
            "expiries": "expires_at",
        }
        return {
            "ids": list(self.numbers),
            "recipients": self.recipients,
            "contents": list(self.numbers.values()),
            **{name: [getattr(item, column) for item in self.contents] for name, column in columns.items()},
        }


def publish(items: Sequence[NewItem], *, now: datetime) -> list[Change]:
    """Write `items` into their recipients' feeds, in the caller's transaction where there is one.

    One statement for 1,000 of them. An item whose source the feed has already is left out. An item for
    `EVERYONE` is written into all feeds, or, where those are many, when they are next looked at.
    Call it once a transaction, with all there is: two that lock feeds in turns can wait for each other.

    Raises Django's `DatabaseError` family; then nothing is written.
    """
    known = generation()
    changes: list[Change] = []
    with transaction.atomic():
        named, for_later = _addressed(items)
        for chunk in _chunks(named):
            here, standings = _write_surely(chunk, now)
            announce(here, standings, known)
            changes += here
        for item in for_later:
            broadcasting.add(item, now=now)
    return changes


def publish_to_everyone(item: NewItem, *, now: datetime) -> int:
    """Write `item` into every feed there is; `item.recipient` does not matter. Returns how many feeds that is."""
    with transaction.atomic():
        publish([replace(item, recipient=EVERYONE)], now=now)
        return broadcasting.count_feeds()


def edit(
    source: UUID,
    *,
    now: datetime,
    title: str | None = None,
    body: str | None = None,
    url: str | None = None,
    expires_at: datetime | None = None,
) -> list[Change]:
    """Change what was written about `source`, wherever it is; None leaves a field as it is."""
    given = {"title": title, "body": body, "url": url, "expires_at": expires_at}
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        return []
    shows = {name: value for name, value in fields.items() if name != "expires_at"}
    mark = Mark(
        where=" OR ".join(f"i.{name} IS DISTINCT FROM %({name})b" for name in fields),
        sets=", ".join(f"{name} = %({name})b" for name in fields),
        counts="0",
        shows={**shows, "expires": time_of(expires_at)} if expires_at else shows,
    )
    with transaction.atomic():
        broadcasting.edit(source, given)
        return _change_all_of(source, mark, fields, now)


def withdraw(source: UUID, *, now: datetime) -> list[Change]:
    """Delete what was written about `source` out of all feeds."""
    with transaction.atomic():
        broadcasting.withdraw(source, now=now)
        return _change_all_of(source, DELETION, {}, now)


def _change_all_of(source: UUID, mark: Mark, parameters: dict[str, Any], now: datetime) -> list[Change]:
    recipients = [row.recipient for row in statement.run(_WHO_HAS, {"source": source})]
    given = {**parameters, "source": source}
    return change(mark, recipients, scope="i.source = %(source)b", parameters=given, now=now)


def _addressed(items: Sequence[NewItem]) -> tuple[list[NewItem], list[NewItem]]:
    """Items with a recipient each, each source once a recipient; and those that wait until feeds are looked at."""
    named = [item for item in items if item.recipient != EVERYONE]
    public = [item for item in items if item.recipient == EVERYONE]
    everybody = broadcasting.feeds(at_most=settings.BELFRY_BROADCAST_ROWS // len(public)) if public else []
    if everybody is None:
        return _once(named), public
    return _once([*named, *(replace(item, recipient=who) for item in public for who in everybody)]), []


def _once(items: Sequence[NewItem]) -> list[NewItem]:
    found: dict[object, NewItem] = {}
    for item in items:
        found.setdefault((item.recipient, item.source) if item.source else object(), item)
    return list(found.values())


def _chunks(items: Sequence[NewItem]) -> Iterator[_Chunk]:
    ordered = sorted(items, key=attrgetter("recipient"))
    for begin in range(0, len(ordered), AT_ONCE):
        yield _Chunk.of(ordered[begin : begin + AT_ONCE])


def _write_surely(chunk: _Chunk, now: datetime) -> tuple[list[Change], list[Any]]:
    for _ in range(_TRIES - 1):
        try:
            with transaction.atomic():
                return _write(chunk, now)
        except IntegrityError as error:
            if not isinstance(error.__cause__, UniqueViolation):
                raise
    return _write(chunk, now)


def _write(chunk: _Chunk, now: datetime) -> tuple[list[Change], list[Any]]:
    rows = statement.run(_WRITE, {**chunk.parameters(), "now": now})
    shown = [_shown(content, now) for content in chunk.contents]
    changes = [
        change_of(
            Kind.NEW,
            row,
            {"id": str(row.id), "position": row.changed_seq, **shown[chunk.numbers[row.id] - 1]},
            at=now,
        )
        for row in rows
    ]
    return changes, list({row.recipient: standing_of(row) for row in rows}.values())


def _shown(item: NewItem, now: datetime) -> dict[str, Any]:
    return {**contents(item, now), "seen": False, "read": False, "archived": False}
