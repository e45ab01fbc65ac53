"""Reading feeds: the state, a page, what changed. Always from one statement, so that it fits together.

A feed begins when somebody first writes to it or its recipient first looks at it. What is told to
everybody is written into a feed here, when it is looked at.

The texts of the statements, and what makes values of their rows, are for the live processes too, which
run them over connections of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from channels_app import statement
from channels_app.feed import broadcasting
from channels_app.feed.announcing import generation
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Changes, Page, Reset, State, Told
from channels_app.feed.shown import ITEM, STATE, item_of, newest, standing_of, state_of
from channels_app.feed.unread import default_unread

#: Items of a page: usual and most.
PAGE, LONGEST_PAGE = 50, 200
#: Changes of one catch-up at most.
CATCH_UP = 200
#: A client that is further behind than this loads the first page instead.
TOO_FAR = 1000

#: How feeds stand. Parameters: `recipients`. Not `is_whole`: `broadcasting.merge` has something to write into it.
POSITIONS = f"SELECT {STATE} FROM channels_app_inbox_state s WHERE s.recipient = ANY(%(recipients)b::text[])"

#: Each item that changed, once. Parameters: `recipient, after, limit`; one more row than that says that there are more.
#: No row: there is no such feed. A row without an id: nothing has changed.
CHANGES = f"""
SELECT {STATE}, {ITEM} FROM channels_app_inbox_state s
LEFT JOIN LATERAL (
    SELECT * FROM channels_app_inbox_item x
    WHERE x.recipient = s.recipient AND x.changed_seq > %(after)b::int8
    ORDER BY x.changed_seq LIMIT %(limit)b::int8 + 1
) i ON true
WHERE s.recipient = %(recipient)b
ORDER BY i.changed_seq
"""

_PAGE = f"""
SELECT {STATE}, {ITEM} FROM channels_app_inbox_state s
LEFT JOIN LATERAL (
    SELECT * FROM channels_app_inbox_item x
    WHERE x.recipient = s.recipient AND x.deleted_at IS NULL AND x.seq < %(before)b::int8 AND {{filters}}
    ORDER BY x.seq DESC LIMIT %(limit)b::int8 + 1
) i ON true
WHERE s.recipient = %(recipient)b
ORDER BY i.seq DESC
"""
_UNREAD = "AND x.read_at IS NULL"
_CATEGORY = "AND (x.event_type = %(category)b OR starts_with(x.event_type, %(category)b || '.'))"

_BEGIN = """
INSERT INTO channels_app_inbox_state (recipient, broadcast_upto)
VALUES (%(recipient)b, coalesce((SELECT max(b.id) FROM channels_app_broadcast b), 0))
ON CONFLICT DO NOTHING
"""

_TOLD = """
SELECT count(*) AS feeds, count(delivered_at) AS delivered, count(seen_at) AS seen, count(read_at) AS read,
    min(delivered_at) AS first_delivered_at,
    coalesce((array_agg(delivered_device ORDER BY delivered_at) FILTER (WHERE delivered_at IS NOT NULL))[1], '')
        AS first_device
FROM channels_app_inbox_item WHERE source = %(source)b
"""

#: Above every number of a feed.
_END = 2**63 - 1


def state(recipient: str, *, now: datetime) -> State:
    """How the feed stands: from Redis where it can, else from Postgres."""
    cache = default_unread()
    held = cache.get(recipient)
    if held is not None:
        return held
    known = generation()
    (row,) = _look(POSITIONS, recipient, {"recipients": [recipient]}, now)
    cache.put([standing_of(row)], known)
    return state_of(row)


def page(
    recipient: str,
    *,
    now: datetime,
    before: int | None = None,
    limit: int = PAGE,
    unread: bool = False,
    category: str = "",
) -> Page:
    """The newest items first, those whose `position` is below `before`; without what was archived.

    `category`: an event type, or the beginning of some up to a dot. An item has what `Change.item` has of a new one.
    """
    filters = f"x.archived_at IS NULL {_UNREAD if unread else ''} {_CATEGORY if category else ''}"
    return _page(recipient, filters, {"before": before, "limit": limit, "category": category}, now)


def archived(recipient: str, *, now: datetime, before: int | None = None, limit: int = PAGE) -> Page:
    """What was archived, as `page`."""
    return _page(recipient, "x.archived_at IS NOT NULL", {"before": before, "limit": limit}, now)


def changes(recipient: str, after: Cursor | None, *, now: datetime, limit: int = CATCH_UP) -> Changes:
    """What happened after a cursor. Without one: nothing yet, and the cursor to begin with."""
    at_most = max(1, min(limit, CATCH_UP))
    given = {"recipient": recipient, "after": after.seq if after else _END, "limit": at_most}
    return caught_up(_look(CHANGES, recipient, given, now), after, at_most)


def caught_up(rows: Sequence[Any], after: Cursor | None, limit: int) -> Changes:
    """What the rows of `CHANGES` say to a client that knows all up to `after`."""
    feed = state_of(rows[0])
    reset = _reset(rows[0], after)
    if after is None or reset is not Reset.NO:
        return Changes((), feed.cursor, feed, reset, more=False)
    found = [newest(row, after.seq) for row in rows[:limit] if row.id is not None]
    more = len(rows) > limit
    return Changes(found, found[-1].cursor if more else feed.cursor, feed, Reset.NO, more)


def told(source: UUID) -> Told:
    """What became of `source` in the feeds."""
    return Told(**statement.run(_TOLD, {"source": source})[0]._asdict())


def positions(recipients: Sequence[str]) -> dict[str, State]:
    """How many feeds stand, by one statement. Those that do not exist are left out."""
    rows = statement.run(POSITIONS, {"recipients": list(recipients)})
    return {row.recipient: state_of(row) for row in rows}


def begin(recipient: str) -> None:
    """Let there be a feed, so that what is told to everybody from now on is told to `recipient` too."""
    statement.run(_BEGIN, {"recipient": recipient})


def _reset(feed: Any, after: Cursor | None) -> Reset:
    if after is None:
        return Reset.NO
    if after.epoch != feed.epoch or after.seq > feed.last_seq:
        return Reset.EPOCH
    if after.seq < feed.floor_seq:
        return Reset.RETENTION
    return Reset.TOO_FAR if feed.last_seq - after.seq > TOO_FAR else Reset.NO


def _page(recipient: str, filters: str, wanted: Mapping[str, Any], now: datetime) -> Page:
    limit = max(1, min(wanted["limit"], LONGEST_PAGE))
    before = _END if wanted["before"] is None else wanted["before"]
    given = {**wanted, "recipient": recipient, "before": before, "limit": limit}
    rows = _look(_PAGE.format(filters=filters), recipient, given, now)
    feed = state_of(rows[0])
    items = [item_of(row) for row in rows[:limit] if row.id is not None]
    return Page(items, feed.cursor, feed, rows[limit - 1].seq if len(rows) > limit else None)


def _look(sql: str, recipient: str, given: Mapping[str, Any], now: datetime) -> list[Any]:
    """The rows of a statement about one feed; at least one. The feed is begun, and brought up to date, where needed."""
    rows = statement.run(sql, given)
    if not rows:
        begin(recipient)
        rows = statement.run(sql, given)
    if not rows[0].is_whole:
        broadcasting.merge([recipient], now=now)
        rows = statement.run(sql, given)
    return rows
