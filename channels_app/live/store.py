"""Reading feeds for live connections: the statements of `feed.reading`, over a few connections of our own.

Django's connections belong to threads or tasks, and a stream would hold one for hours. What a look at a feed may have
to write first, its beginning or what was told to everybody, is written by the feed's own code in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
import psycopg
import structlog
from django.db import DatabaseError, InterfaceError, connection
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from channels_app.feed import broadcasting, reading
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Change
from channels_app.feed.shown import ITEM, STATE
from channels_app.live.event import NOWHERE, Caught, Event, epoch_of, place_of, seq_of
from channels_app.live.gathering import Gathering
from channels_app.live.threads import Threads
from channels_app.live.writing import StoreAway

logger = structlog.get_logger(__name__)

#: `reading.CHANGES` of many feeds: parameters `recipients, afters, limits`, and `place` tells whose row it is.
_CHANGES_OF_MANY = f"""
WITH asked AS (
    SELECT * FROM unnest(%(recipients)b::text[], %(afters)b::int8[], %(limits)b::int8[])
    WITH ORDINALITY AS v(who, after, most, place)
)
SELECT a.place, {STATE}, {ITEM} FROM asked a
JOIN channels_app_inbox_state s ON s.recipient = a.who
LEFT JOIN LATERAL (
    SELECT * FROM channels_app_inbox_item x
    WHERE x.recipient = s.recipient AND x.changed_seq > a.after
    ORDER BY x.changed_seq LIMIT a.most + 1
) i ON true
ORDER BY a.place, i.changed_seq
"""

#: Above every number of a feed.
_END = 2**63 - 1
#: Connections, feeds of one statement, and seconds that one may take, the wait for a connection included.
_CONNECTIONS, _FEEDS_AT_ONCE, _TIMEOUT_S = 4, 100, 10.0

#: A question: recipient, place, how many changes at most.
_Asked = tuple[str, int, int]


class FeedStore:
    """Open it before use. Raises `StoreAway` when Postgres does not do what it is asked."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._pool = AsyncConnectionPool(
            kwargs={**_parameters(), "autocommit": True, "row_factory": namedtuple_row},
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_TIMEOUT_S / 2,
            reconnect_timeout=60.0,
            open=False,
            name="belfry-live",
        )
        self._gathering: Gathering[_Asked, Caught] = Gathering(
            self._changes_of_many, most=_FEEDS_AT_ONCE, at_a_time=_CONNECTIONS - 1
        )

    async def open(self) -> None:
        """Connect in the background: a live process may start before Postgres does."""
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close(timeout=2.0)

    async def changes(self, recipient: str, place: int, limit: int) -> Caught:
        """What happened after `place`, or, from `NOWHERE`, only how the feed stands. Raises `StoreAway`."""
        return await self._gathering.ask((recipient, place, limit))

    async def heads(self, recipients: Sequence[str]) -> dict[str, int]:
        """Where feeds stand. Those to which something is still to be written are brought up to date."""
        rows = await self._run(reading.POSITIONS, {"recipients": list(recipients)})
        await self.merge([row.recipient for row in rows if not row.is_whole])
        return {row.recipient: place_of(row.epoch, row.last_seq) for row in rows}

    async def merge(self, recipients: Sequence[str]) -> None:
        """Write into these feeds what was told to everybody. Raises `StoreAway`."""
        if recipients:
            await self._in_thread(recipients, begin=())

    async def _changes_of_many(self, asked: Sequence[_Asked]) -> list[Caught]:
        found = await self._rows(asked)
        missing = [who for number, (who, _, _) in enumerate(asked) if not found[number]]
        behind = [rows[0].recipient for rows in found if rows and not rows[0].is_whole]
        if missing or behind:
            await self._in_thread(behind, begin=missing)
            found = await self._rows(asked)
        return [_caught(question, rows) for question, rows in zip(asked, found, strict=True)]

    async def _rows(self, asked: Sequence[_Asked]) -> list[list[Any]]:
        """The rows of each question."""
        given = {
            "recipients": [who for who, _, _ in asked],
            "afters": [_END if place == NOWHERE else seq_of(place) for _, place, _ in asked],
            "limits": [limit for _, _, limit in asked],
        }
        found: list[list[Any]] = [[] for _ in asked]
        for place, rows in groupby(await self._run(_CHANGES_OF_MANY, given), key=attrgetter("place")):
            found[place - 1] = list(rows)
        return found

    async def _run(self, sql: str, given: Mapping[str, Any]) -> list[Any]:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._pool.connection() as its, its.cursor(binary=True) as cursor:
                await cursor.execute(sql, given, prepare=True)
                return await cursor.fetchall()
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            raise _away(error) from error

    async def _in_thread(self, recipients: Sequence[str], *, begin: Sequence[str]) -> None:
        try:
            await self._threads.run(_bring_up_to_date, recipients, begin)
        except (DatabaseError, InterfaceError) as error:
            raise _away(error) from error


def _bring_up_to_date(recipients: Sequence[str], begin: Sequence[str]) -> None:
    for recipient in begin:
        reading.begin(recipient)
    broadcasting.merge(recipients, now=datetime.now(UTC))


def event_of(change: Change) -> Event:
    """A change that was read, on its way to a client."""
    return Event(
        kind=change.kind.value,
        recipient=change.recipient,
        place=place_of(change.epoch, change.seq),
        at=change.at.timestamp(),
        body=msgspec.json.encode(change.item),
    )


def _caught(asked: _Asked, rows: Sequence[Any]) -> Caught:
    _, place, limit = asked
    if not rows:
        # Erased at this very moment; whoever asks again finds another one.
        raise StoreAway
    after = None if place == NOWHERE else Cursor(epoch_of(place), seq_of(place))
    changes = reading.caught_up(rows, after, limit)
    return Caught(
        events=[event_of(change) for change in changes.items],
        place=place_of(changes.cursor.epoch, changes.cursor.seq),
        head=place_of(changes.state.cursor.epoch, changes.state.cursor.seq),
        state=changes.state.shown(),
        reset=changes.reset.value,
    )


def _away(error: Exception) -> StoreAway:
    logger.warning("live_feed_away", error=type(error).__name__, detail=str(error)[:200])
    return StoreAway()


def _parameters() -> dict[str, Any]:
    """Those of Django's database, without what belongs to Django's cursors."""
    given = connection.get_connection_params()
    return {
        name: value for name, value in given.items() if name not in ("context", "cursor_factory", "prepare_threshold")
    }
