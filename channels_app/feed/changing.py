"""Changing items that are there: lock their feeds, then number the changes and keep the count, in one statement.

Two steps, because a statement sees what was committed when it began. The first waits for whoever
else changes these feeds; the second begins when nobody does, and so sees everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from channels_app import statement
from channels_app.feed.announcing import announce, generation
from channels_app.feed.item import Change, Kind
from channels_app.feed.shown import STATE, change_of, standing_of

#: Feeds of one statement.
AT_ONCE = 1000

#: Whether an item counts as unread, as a number; of the table `i`.
UNREAD = "(i.read_at IS NULL AND i.archived_at IS NULL AND i.deleted_at IS NULL)::int"

_LOCK = """
SELECT s.recipient, s.epoch, s.last_seq FROM channels_app_inbox_state s
WHERE s.recipient = ANY(%(recipients)b::text[]) ORDER BY s.recipient FOR UPDATE
"""

_CHANGE = """
WITH chosen AS (
    SELECT i.id, i.recipient, row_number() OVER (PARTITION BY i.recipient ORDER BY i.seq) AS place, {counts} AS counts
    FROM channels_app_inbox_item i
    WHERE i.recipient = ANY(%(recipients)b::text[]) AND i.deleted_at IS NULL AND ({scope}) AND ({where})
), sums AS (
    SELECT recipient, count(*) AS changed, sum(counts)::int AS counts FROM chosen GROUP BY recipient
), states AS (
    UPDATE channels_app_inbox_state s
    SET last_seq = s.last_seq + a.changed, unread = s.unread + a.counts, version = s.version + 1
    FROM sums a WHERE s.recipient = a.recipient
    RETURNING {state}, s.last_seq - a.changed AS seq_before
), changed AS (
    UPDATE channels_app_inbox_item i SET changed_seq = s.seq_before + c.place, {sets}
    FROM chosen c JOIN states s ON s.recipient = c.recipient
    WHERE i.id = c.id
    RETURNING i.id, i.recipient, i.changed_seq
)
SELECT i.id, i.changed_seq, s.* FROM changed i JOIN states s ON s.recipient = i.recipient
ORDER BY i.recipient, i.changed_seq
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A way to change items. SQL over the item `i`: which ones it changes, how, and what that adds to the unread count.

    `shows`: the fields that changed, as clients see them.
    """

    where: str
    sets: str
    counts: str
    shows: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = Kind.UPDATED

    def statement(self, scope: str) -> str:
        return _CHANGE.format(where=self.where, sets=self.sets, counts=self.counts, scope=scope, state=STATE)


#: Deleting empties an item; that it was there is remembered for a while.
DELETION = Mark(
    where="true",
    sets="deleted_at = %(now)b, title = '', body = '', url = '', payload = NULL",
    counts=f"-{UNREAD}",
    kind=Kind.DELETED,
)


def lock(recipients: Sequence[str]) -> dict[str, Any]:
    """Hold these feeds until the end of the transaction: rows of `epoch, last_seq` by recipient, if there is a feed."""
    return {row.recipient: row for row in statement.run(_LOCK, {"recipients": sorted(recipients)})}


def change(
    mark: Mark, recipients: Sequence[str], *, scope: str, parameters: Mapping[str, Any], now: datetime
) -> list[Change]:
    """Change those items of `recipients` that are in `scope` (SQL over the item `i`), and tell everybody.

    In the caller's transaction where there is one.
    """
    known = generation()
    changes: list[Change] = []
    with transaction.atomic():
        for some in in_turn(recipients):
            lock(some)
            rows = statement.run(mark.statement(scope), {**parameters, "recipients": some, "now": now})
            here = [change_of(mark.kind, row, {"id": str(row.id), **mark.shows}, at=now) for row in rows]
            standings = {row.recipient: standing_of(row) for row in rows}
            announce(here, list(standings.values()), known)
            changes += here
    return changes


def in_turn(recipients: Sequence[str]) -> Iterator[list[str]]:
    """`recipients` in the order in which everybody locks them, as many at a time as one statement takes."""
    ordered = sorted(set(recipients))
    for begin in range(0, len(ordered), AT_ONCE):
        yield ordered[begin : begin + AT_ONCE]
