"""Reading the bus: the hints of all streams, by one reader for the whole process.

Each stream is read on from the last entry that was read, also after an outage. When entries may have been lost, by a
flush, by a restart, because more came than a stream keeps, somebody is told to compare positions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from channels_app.live import metrics

logger = structlog.get_logger(__name__)

Entry = Mapping[bytes, bytes]

#: How long a reading waits for something new; how long a call may take in all.
BLOCK_MS, TIMEOUT_S = 1_000, 5.0
#: How often it is looked at whether the streams are still the same ones.
_LOOK_EVERY_S = 2.0
_AT_ONCE = 1_000
_PAUSES_S = (0.1, 0.2, 0.5, 1.0)
_BEGINNING = b"0-0"


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what. `lost`: hints may have been missed; `up`: whether the bus is there."""

    heard: Callable[[Entry], None]
    lost: Callable[[], None]
    up: Callable[[bool], None]


class Bus:
    """The streams `names` in one Redis."""

    def __init__(self, url: str, names: list[str], listener: Listener) -> None:
        self._names, self._listener = [name.encode() for name in names], listener
        self._last: dict[bytes, bytes] = {}
        self._looked_at = 0.0
        # Its own: while it waits for something new it can do nothing else. The client's usual time limit would end
        # every waiting that is longer.
        self._client = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )

    async def run(self) -> None:
        """Read for ever."""
        failures = 0
        while True:
            try:
                await self._look()
                self._listener.up(True)
                failures = 0
                while True:
                    await self._read()
            except (RedisError, OSError, TimeoutError):
                self._listener.up(False)
                await self._client.connection_pool.disconnect()
                await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
                failures += 1

    async def close(self) -> None:
        await self._client.aclose()

    async def _read(self) -> None:
        if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            await self._look()
        streams: dict[Any, Any] = dict(self._last)
        found: Any = await self._client.xread(streams, count=_AT_ONCE, block=BLOCK_MS)
        for name, entries in found:
            for entry_id, fields in entries:
                self._hear(fields)
                self._last[name] = entry_id
            metrics.BUS_LAG.set(max(0.0, time.time() - _milliseconds(self._last[name]) / 1000))
        # So that others have their turn, too, under a stream that never ends.
        await asyncio.sleep(0)

    def _hear(self, fields: Entry) -> None:
        try:
            self._listener.heard(fields)
        except (KeyError, ValueError) as error:
            # Of another version of Belfry, perhaps. Whoever it was for has a gap, and finds out.
            logger.warning("live_hint_unreadable", error=repr(error)[:200])

    async def _look(self) -> None:
        """Find out where the streams are, and whether they are those that were read until now."""
        infos = [await self._info(name) for name in self._names]
        has_lost = False
        for name, info in zip(self._names, infos, strict=True):
            last = self._last.get(name)
            if last is None:
                self._last[name] = info["last"]
            elif _order(info["last"]) < _order(last):
                # Another stream under the same name. What is in it was never read.
                self._last[name], has_lost = _BEGINNING, True
            elif info["first"] is not None and _order(info["first"]) > _order(last) > _order(_BEGINNING):
                has_lost = True
        self._looked_at = time.monotonic()
        if has_lost:
            metrics.BUS_SKIPS.inc()
            self._listener.lost()

    async def _info(self, name: bytes) -> dict[str, Any]:
        """The ids of a stream's first entry (None where it is empty) and of its last one ever."""
        try:
            info = await self._client.xinfo_stream(name)
        except ResponseError:
            # There is none.
            return {"first": None, "last": _BEGINNING}
        first = info["first-entry"]
        return {"first": first and first[0], "last": info["last-generated-id"]}


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def _milliseconds(entry_id: bytes) -> int:
    return _order(entry_id)[0]
