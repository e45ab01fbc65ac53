"""The live process put together: what it is made of, and what goes on in it as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from django.conf import settings

from channels_app.feed import hints
from channels_app.live import broker, metrics
from channels_app.live.acks import Acks
from channels_app.live.attendance import Attendance
from channels_app.live.bus import Bus, Listener
from channels_app.live.codes import Code
from channels_app.live.connection import Connection
from channels_app.live.conversation import Conversation
from channels_app.live.credentials import Credentials, trusted_origins
from channels_app.live.hearing import Hearing
from channels_app.live.hub import Hub
from channels_app.live.limits import Limits
from channels_app.live.network import BROKER, BUS, DATABASE, OK
from channels_app.live.presence import default_presence
from channels_app.live.store import FeedStore
from channels_app.live.threads import Threads
from channels_app.live.timekeeping import Timekeeper
from channels_app.live.writing import StoreAway

logger = structlog.get_logger(__name__)

_TICK_S = 0.5
_ASK_BROKER_EVERY_S = 5.0
#: After an outage those who write hints leave Redis alone for a while yet, so positions are compared as often.
_WARY_S = 10.0
#: Feeds into which something for everybody is written by one call.
_FEEDS_AT_ONCE = 500

clock = time.monotonic


class LiveProcess:
    """Everything but the sockets. Make it inside a running event loop."""

    def __init__(self, limits: Limits) -> None:
        self.threads = Threads()
        self.store = FeedStore(self.threads)
        self.hub = Hub(self.store, limits, clock)
        self.credentials = Credentials(self.threads, trusted=trusted_origins())
        self.presence = default_presence()
        self._attendance = Attendance(self.presence, self.threads)
        self.hub.on_change = self._note_presence
        self._acks = Acks(self.threads)
        self.conversation = Conversation(self.hub, self._acks, self.threads, clock, seen=self._attendance.seen)
        self._timekeeper = Timekeeper(self.hub, clock, renew=self._renew, seen=self._attendance.seen)
        self._broadcast = asyncio.Event()
        hearing = Hearing(self.hub, broadcast=self._broadcast.set)
        listener = Listener(heard=hearing.hear, lost=self.hub.suspicious.set, up=self._note_bus)
        self._bus = Bus(settings.BELFRY_REDIS_URL, hints.streams(settings.BELFRY_FEED_SHARDS), listener)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        await self.store.open()
        for going_on in (
            self._bus.run,
            self._keep_time,
            self._keep_positions,
            self._keep_broadcasts,
            self._watch_broker,
        ):
            self._spawn(_for_ever(going_on))

    async def stop(self) -> None:
        """End all that goes on. What was acknowledged is written down first."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._acks.write()
                await self._attendance.tell()
        await self._bus.close()
        await self.store.close()
        self.threads.close()

    async def drain(self, within_s: float) -> None:
        """Send everybody away, and wait until they are gone."""
        leaving = list(self.hub)
        logger.info("live_draining", connections=len(leaving))
        self.hub.drain()
        give_up_at = clock() + within_s
        while clock() < give_up_at and (self.hub.polls or any(connection.writer for connection in leaving)):
            await asyncio.sleep(0.05)

    # --- What goes on ----------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._timekeeper.tick()
            self._spawn(self._acks.write())
            self._spawn(self._attendance.tell())

    async def _keep_positions(self) -> None:
        """Compare positions now and then, often while hints may be missing, and at once when somebody is suspicious."""
        hub, wary_until = self.hub, 0.0
        while True:
            if hub.network.status != OK:
                wary_until = clock() + _WARY_S
            usual = hub.limits.check_s * random.uniform(0.9, 1.1)
            wait_s = hub.limits.degraded_check_s if clock() < wary_until else usual
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await hub.suspicious.wait()
            hub.suspicious.clear()
            try:
                await hub.compare_positions()
            except StoreAway:
                hub.note(DATABASE, well=False)
                await asyncio.sleep(min(1.0, hub.limits.degraded_check_s))
            else:
                hub.note(DATABASE, well=True)

    async def _keep_broadcasts(self) -> None:
        """Write what is told to everybody into the feeds of those who are connected. The bus brings it from there."""
        while True:
            await self._broadcast.wait()
            self._broadcast.clear()
            recipients = self.hub.listeners()
            with contextlib.suppress(StoreAway):
                for start in range(0, len(recipients), _FEEDS_AT_ONCE):
                    await self.store.merge(recipients[start : start + _FEEDS_AT_ONCE])

    async def _watch_broker(self) -> None:
        while True:
            self.hub.note(BROKER, well=await self.threads.run(broker.answers, settings.BELFRY_BROKER_URL))
            await asyncio.sleep(_ASK_BROKER_EVERY_S)

    # --- What others report ----------------------------------------------------------------------

    def _note_bus(self, is_up: bool) -> None:
        metrics.BUS_UP.set(is_up)
        self.hub.note(BUS, well=is_up)

    def _note_presence(self, connection: Connection, is_there: bool) -> None:
        if is_there:
            self._attendance.seen(connection)
        else:
            self._attendance.left(connection)

    def _renew(self, connection: Connection) -> None:
        self._spawn(self._ask_again(connection))

    async def _ask_again(self, connection: Connection) -> None:
        if not await self.credentials.still_counts(connection.identity):
            self.hub.close(connection, Code.TOKEN_EXPIRED)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _for_ever(going_on: Callable[[], Awaitable[None]]) -> None:
    """A mistake in one of these must not leave the process without it."""
    while True:
        try:
            await going_on()
        except Exception:
            logger.exception("live_work_failed", work=going_on.__name__)
            await asyncio.sleep(1.0)
