"""All live connections of a process, by recipient: who hears what, who has fallen behind, whose time has come."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import structlog

from channels_app.live import metrics
from channels_app.live.codes import Code, Refused
from channels_app.live.connection import END_S, Connection
from channels_app.live.event import Event
from channels_app.live.limits import Limits, Rate
from channels_app.live.network import DATABASE, OK, Network
from channels_app.live.wheel import Wheel
from channels_app.live.writing import Store, Writer

logger = structlog.get_logger(__name__)

#: Feeds whose positions are compared by one statement.
_POSITIONS_AT_ONCE = 2_000
#: Nobody who is told when to come back is told to do so sooner.
_COME_BACK_MS = 200
_POLL_AGAIN_MS = 2_000
_MANY_POLLS = "As many polls wait for this recipient as may. Come back with a new ticket."
#: For how long somebody who was sent away stays so, where a browser would come back by itself.
_KICKED_FOR_S = 30.0


class Hub:
    """Runs on one event loop. Times are seconds of the loop's clock."""

    def __init__(self, store: Store, limits: Limits, clock: Callable[[], float]) -> None:
        self._store, self.limits, self._clock = store, limits, clock
        self._by_recipient: dict[str, list[Connection]] = {}
        self._accepts = Rate(limits.accepts_per_s, 2.0 * limits.accepts_per_s, clock())
        self._expected: dict[str, list[asyncio.Future[None]]] = {}
        self._kicked: dict[tuple[str, str], float] = {}
        self.wheel: Wheel[Connection] = Wheel(clock())
        self.network = Network()
        self.writer = Writer(store, self.wheel, self.network, clock, on_away=lambda: self.note(DATABASE, well=False))
        #: Connections, and polls that wait.
        self.count = self.polls = 0
        self.draining = False
        #: Told of every connection that comes or goes.
        self.on_change: Callable[[Connection, bool], None] = lambda _connection, _is_there: None
        #: Set when positions are to be compared at once.
        self.suspicious = asyncio.Event()

    # --- Coming and going ------------------------------------------------------------------------

    def admit(self) -> None:
        """Whether one more may try. Raises `Refused`, before anything was asked of anybody."""
        self._refuse_while_draining()
        if self.count + self.polls >= self.limits.connections:
            raise Refused(Code.OVERLOADED, retry_ms=self.spread_ms())
        now = self._clock()
        if not self._accepts.take(now):
            raise Refused(Code.OVERLOADED, retry_ms=self._turn_ms(now))

    def _refuse_while_draining(self) -> None:
        if self.draining:
            raise Refused(Code.SHUTDOWN, retry_ms=self.spread_ms())

    def _turn_ms(self, now: float) -> int:
        """When somebody is to come back who was one too many."""
        turn_s = self._accepts.turn_s(now, within_s=self.limits.spread_s)
        if turn_s is None:  # After those who were promised a turn.
            return int(self.limits.spread_s * 1000) + self.spread_ms()
        return _COME_BACK_MS + int(turn_s * 1000)

    def attach(self, connection: Connection) -> None:
        """Let it hear from now on. Nothing is written before `open`. Raises `Refused`."""
        self._refuse_while_draining()
        now = self._clock()
        if self._kicked.get((connection.recipient, connection.device), 0.0) > now:
            raise Refused(Code.KICKED)
        others = self.of(connection.recipient)
        if len(others) >= self.limits.connections_per_recipient:
            self._make_room(others)
        self._by_recipient.setdefault(connection.recipient, []).append(connection)
        self.count += 1
        metrics.CONNECTIONS.labels(connection.dialect.name).inc()
        self.on_change(connection, True)
        self._set_times(connection, now)
        self.wheel.put(connection, connection.next_due())
        if self.network.status != OK:
            connection.tell(self.network.word())

    def open(self, connection: Connection) -> None:
        """It can be written to: greet it as soon as its feed was read."""
        connection.opened = True
        self.writer.wake(connection)

    def _set_times(self, connection: Connection, now: float) -> None:
        """When it is due. Those who came together are spread."""
        until, limits = connection.identity.until, self.limits
        connection.ping_at = now + limits.ping_s * random.uniform(0.5, 1.0)
        connection.ends_at = now + limits.life_s * random.uniform(0.9, 1.1)
        if until:
            connection.ends_at = min(connection.ends_at, now + until - datetime.now(UTC).timestamp())
        if connection.identity.secret:
            connection.reauth_at = now + limits.reauth_s * random.uniform(0.8, 1.0)

    def _make_room(self, others: Sequence[Connection]) -> None:
        idle = next((each for each in others if not each.focused), None)
        if idle is None:
            raise Refused(Code.CONNECTION_LIMIT)
        self.close(idle, Code.CONNECTION_LIMIT)

    def detach(self, connection: Connection) -> None:
        """It has ended, whoever ended it."""
        self._forget(connection)
        self.wheel.remove(connection)
        if connection.writer is not None:
            connection.writer.cancel()
        metrics.CLOSES.labels(connection.closing.reason if connection.closing else "left").inc()

    def _forget(self, connection: Connection) -> None:
        others = self._by_recipient.get(connection.recipient, [])
        if connection not in others:
            return
        others.remove(connection)
        if not others:
            del self._by_recipient[connection.recipient]
        self.count -= 1
        metrics.CONNECTIONS.labels(connection.dialect.name).dec()
        self.on_change(connection, False)

    def close(self, connection: Connection, code: Code, *, retry_ms: int = 0) -> None:
        """Say why, and end it. It hears nothing more."""
        if connection.closing is not None or connection not in self._by_recipient.get(connection.recipient, ()):
            return
        connection.closing, connection.retry_ms = code, retry_ms
        self._forget(connection)
        self.wheel.put(connection, self._clock() + END_S)
        self.writer.wake(connection)

    def kick(self, recipient: str, device: str | None) -> None:
        """Send a recipient's connections away, or those of one device."""
        for connection in self.of(recipient):
            if device is None or connection.device == device:
                self._kicked[recipient, connection.device] = self._clock() + _KICKED_FOR_S
                self.close(connection, Code.KICKED)

    def drain(self) -> None:
        """Send everybody away, each with another time to come back. Who polls is answered."""
        self.draining = True
        for recipient in list(self._expected):
            self._tell_expecting(recipient)
        everybody = list(self)
        random.shuffle(everybody)
        for place, connection in enumerate(everybody):
            self.close(connection, Code.SHUTDOWN, retry_ms=self.spread_ms((place + 0.5) / len(everybody)))

    def spread_ms(self, share: float | None = None) -> int:
        """When to come back: a share of the time over which all do, or one at random."""
        share = random.random() if share is None else share
        return _COME_BACK_MS + int(share * self.limits.spread_s * 1000)

    def forget(self) -> None:
        """Let those come back whose time away is over."""
        for who in [who for who, until in self._kicked.items() if until <= self._clock()]:
            del self._kicked[who]

    def __iter__(self) -> Iterator[Connection]:
        for connections in self._by_recipient.values():
            yield from connections

    def recipients(self) -> list[str]:
        """Those who are connected here."""
        return list(self._by_recipient)

    def listeners(self) -> list[str]:
        """Those who are connected here, and those who poll."""
        return list({**self._by_recipient, **self._expected})

    def of(self, recipient: str) -> list[Connection]:
        return list(self._by_recipient.get(recipient, ()))

    # --- What is heard ---------------------------------------------------------------------------

    def knows(self, recipient: str) -> bool:
        """Whether anybody here wants to hear of this feed."""
        return recipient in self._by_recipient or recipient in self._expected

    @contextmanager
    def expecting(self, recipient: str) -> Iterator[asyncio.Future[None]]:
        """What is done when the next hint for this feed comes: for those who hold no connection. Raises `Refused`."""
        self._refuse_while_draining()
        others = self._expected.setdefault(recipient, [])
        if len(others) >= self.limits.connections_per_recipient:
            raise Refused(Code.CONNECTION_LIMIT, retry_ms=_POLL_AGAIN_MS, detail=_MANY_POLLS)
        expected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        others.append(expected)
        self.polls += 1
        metrics.POLLS.inc()
        try:
            yield expected
        finally:
            self.polls -= 1
            metrics.POLLS.dec()
            expected.cancel()
            self._expect_no_more(recipient, expected)

    def _expect_no_more(self, recipient: str, expected: asyncio.Future[None]) -> None:
        others = self._expected.get(recipient, [])
        if expected in others:
            others.remove(expected)
        if not others:
            self._expected.pop(recipient, None)

    def hear(self, event: Event) -> None:
        """Pass a hint on to those whom it is for."""
        self._tell_expecting(event.recipient)
        for connection in self._by_recipient.get(event.recipient, ()):
            if connection.greeted and event.place > connection.heard + 1:
                metrics.HEALS.inc()
            overflows = connection.overflows
            if connection.hear(event):
                self.writer.wake(connection)
            metrics.OVERFLOWS.inc(connection.overflows - overflows)

    def hear_of(self, recipient: str, place: int) -> None:
        """Something is at `place` of a feed, and what it is must be read there."""
        self._tell_expecting(recipient)
        for connection in self._by_recipient.get(recipient, ()):
            if connection.told(place, stood_at=0):
                self.writer.wake(connection)

    def _tell_expecting(self, recipient: str) -> None:
        for expected in self._expected.pop(recipient, ()):
            if not expected.done():
                expected.set_result(None)

    def note(self, part: str, *, well: bool) -> None:
        """A part of the network is well or away; everybody is told when that changes anything for them."""
        if not self.network.note(part, well=well):
            return
        logger.warning("live_network_changed", status=self.network.status, part=part)
        word = self.network.word()
        for connection in self:
            connection.tell(word)
            self.writer.wake(connection)
        self.suspicious.set()

    async def compare_positions(self) -> None:
        """Find who has missed something, the last change too, and let them read it. Raises `StoreAway`."""
        recipients = self.recipients()
        for start in range(0, len(recipients), _POSITIONS_AT_ONCE):
            some = recipients[start : start + _POSITIONS_AT_ONCE]
            stood = [(each, each.position) for recipient in some for each in self.of(recipient)]
            heads = await self._store.heads(some)
            for connection, position in stood:
                self._compare(connection, heads.get(connection.recipient), position)

    def _compare(self, connection: Connection, head: int | None, stood_at: int) -> None:
        if not connection.greeted or connection.closing is not None:
            self.writer.wake(connection)
        elif head is not None and connection.told(head, stood_at=stood_at):
            metrics.FIXES.inc()
            self.writer.wake(connection)
