"""Writing to connections. Who has something to be told gets a task for as long as that takes; nobody else has one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from channels_app.live import metrics
from channels_app.live.codes import Code
from channels_app.live.connection import Connection
from channels_app.live.event import (
    NOWHERE,
    Batch,
    Caught,
    Control,
    Event,
    Outgoing,
    bye_word,
    cursor_of,
    epoch_of,
    seq_of,
)
from channels_app.live.frames import VERSION
from channels_app.live.network import Network
from channels_app.live.wheel import Wheel

logger = structlog.get_logger(__name__)

#: Bytes of a stream that are written at once, about.
_CHUNK_BYTES = 65_536
#: When to come back, in milliseconds, unless the end comes to many at once.
_COME_BACK_MS = (1_000, 4_000)


class StoreAway(Exception):
    """The feed cannot be read now."""


class Store(Protocol):
    """Where feeds are read."""

    async def changes(self, recipient: str, place: int, limit: int) -> Caught:
        """What happened after `place`, or, from `NOWHERE`, only how the feed stands. Raises `StoreAway`."""

    async def heads(self, recipients: Sequence[str]) -> dict[str, int]:
        """Where feeds stand. Raises `StoreAway`."""


class Writer:
    """Writes whatever connections have to be told, and reads the feed for those that have missed something."""

    def __init__(
        self,
        store: Store,
        wheel: Wheel[Connection],
        network: Network,
        clock: Callable[[], float],
        *,
        on_away: Callable[[], None],
    ) -> None:
        self._store, self._wheel, self._network, self._clock, self._on_away = store, wheel, network, clock, on_away

    def wake(self, connection: Connection) -> None:
        """Write what there is to write, as soon as it can be."""
        if connection.writer is None and connection.opened:
            connection.writer = asyncio.get_running_loop().create_task(self._write(connection))

    async def _write(self, connection: Connection) -> None:
        try:
            while await self._step(connection):
                pass
        except StoreAway:
            # It stays where it is; whoever finds the feed well again wakes it.
            self._on_away()
        except OSError:
            connection.wire.abort()
        except Exception:
            logger.exception("live_writing_failed", connection=connection.id)
            connection.wire.abort()
        finally:
            connection.writer, connection.blocked_since = None, 0.0

    async def _step(self, connection: Connection) -> bool:
        """Write or read one thing. False when there is nothing to do now."""
        if connection.closing is not None:
            await self._end(connection, connection.closing)
            return False
        if connection.resending:
            for number, thing in connection.again():
                await self._send(connection, self._frame(connection, number, thing, again=connection.tries))
            return True
        if await self._send_next(connection):
            return True
        limit = connection.may_read()
        if limit:
            await self._read(connection, limit)
        return bool(limit)

    async def _send_next(self, connection: Connection) -> bool:
        frames: list[bytes] = []
        told: list[Outgoing] = []
        left = _CHUNK_BYTES
        while left > 0 and (found := connection.next(self._clock())) is not None:
            number, thing = found
            frames.append(self._frame(connection, number, thing))
            told.append(thing)
            # Frames of a stream can be written together, messages cannot.
            left = 0 if connection.dialect.acks else left - len(frames[-1])
        await self._send(connection, b"".join(frames))
        if connection.resend_at:
            self._wheel.sooner(connection, connection.resend_at)
        for thing in told:
            _count(thing)
        return bool(told)

    async def _send(self, connection: Connection, frame: bytes) -> None:
        if frame:
            connection.blocked_since = self._clock()
            await connection.wire.send(frame)
            connection.blocked_since = 0.0

    def _frame(self, connection: Connection, number: int, thing: Outgoing, *, again: int = 0) -> bytes:
        message_id = connection.message_id(number) if number else None
        return connection.dialect.write(thing, again=again, message_id=message_id, at=datetime.now(UTC))

    async def _read(self, connection: Connection, limit: int) -> None:
        asked_at = NOWHERE if connection.invalid else connection.position
        connection.begin_reading()
        caught = await self._store.changes(connection.recipient, asked_at, limit)
        if connection.invalid:
            connection.invalid, caught = False, replace(caught, reset="invalid")
        if not connection.greeted:
            connection.tell(self._hello(connection, caught))
            if asked_at != NOWHERE or caught.reset:
                metrics.RESUMES.labels("reset" if caught.reset else "recovered").inc()
        connection.caught_up(caught)

    def _hello(self, connection: Connection, caught: Caught) -> Control:
        """How the stream begins. Its cursor is where the client stands: it may be kept at once."""
        limits, goes_on = connection.limits, connection.position != NOWHERE and not caught.reset
        stands_at = connection.position if goes_on else caught.place
        same_epoch = epoch_of(stands_at) == epoch_of(caught.head)
        hello = {
            "v": VERSION,
            "conn": connection.id,
            "cursor": cursor_of(stands_at),
            "recovered": not caught.reset,
            "behind": seq_of(caught.head) - seq_of(stands_at) if same_epoch else 0,
            "ping": limits.ping_s,
            "device": connection.device,
            "net": self._network.status,
        }
        if connection.dialect.acks:
            hello["ack"] = {
                "window": limits.window,
                "after_ms": int(limits.resend_s * 1000),
                "tries": limits.resends,
            }
        return Control("hello", hello)

    async def _end(self, connection: Connection, code: Code) -> None:
        word = bye_word(code, connection.retry_ms or random.randint(*_COME_BACK_MS))
        frame = connection.dialect.write(word, again=0, message_id=None, at=datetime.now(UTC))
        await connection.wire.end(frame, code)


_KINDS = {kind: metrics.EVENTS.labels(kind) for kind in ("new", "updated", "deleted")}


def _count(thing: Outgoing) -> None:
    if isinstance(thing, Event):
        _KINDS[thing.kind].inc()
        if thing.is_hint:
            metrics.TO_SOCKET.observe(max(0.0, time.time() - thing.at))
    elif isinstance(thing, Batch):
        for event in thing.events:
            _KINDS[event.kind].inc()
