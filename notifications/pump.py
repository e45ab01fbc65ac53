"""The steps of `dispatch`, continuously: many deliveries under way, refilled and settled as they end.

Two threads share the work. One talks to Postgres and Redis: it claims, guards, prepares, settles
and renews leases. The other drives the carrier and never touches a database. Nothing waits for the
slowest: a request that hangs keeps one slot of its channel and no more.

A pump ends when its time is up (Celery gets its worker back, and another wake-up follows if there
is more to do), when it is told to stop, or when it has found nothing for a while. Lingering for
that while is what makes coalesced wake-ups safe.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection

from notifications import dispatch, rulebook
from notifications.carriers import Carrier
from notifications.held import Held, Tried
from notifications.models import transitions
from notifications.models.transitions import Result, Room
from notifications.retry import Schedule
from notifications.rulebook import Rulebook

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a pump works. Seconds and rows."""

    #: No more is claimed after this time.
    budget_s: float = 20.0
    #: How long it looks for more before it ends.
    linger_s: float = 1.0
    #: How often it looks while it lingers.
    look_every_s: float = 0.02
    #: Results are written when so many wait …
    flush_at: int = 200
    #: … or the oldest has waited so long.
    flush_after_s: float = 0.02
    #: Most rows of one claim.
    claim_at_most: int = 400
    #: Sign of life for what is under way; a fraction of the lease.
    renew_every_s: float = 5.0
    lease_s: float = 20.0
    #: How long results are kept and offered again while the database is away.
    patience_s: float = 120.0


@dataclass(slots=True)
class Drained:
    """What a pump did, and whether it left work behind."""

    settled: int = 0
    more: bool = False
    statements: int = 0


@dataclass(slots=True)
class _Hands:
    """What is between claim and settle. Only `ready`, `ended` and `under_way` are touched by both threads."""

    ready: deque[Held] = field(default_factory=deque)
    ended: deque[Tried] = field(default_factory=deque)
    held_back: deque[Result] = field(default_factory=deque)
    under_way: dict[int, Held] = field(default_factory=dict)
    per_channel: Counter[int] = field(default_factory=Counter)


class Pump:
    """Drains one lane with one carrier. Use once: `Pump(...).run()`."""

    def __init__(
        self,
        lane: str,
        carrier: Carrier,
        *,
        declared: Schedule,
        clock: Callable[[], datetime],
        pace: Pace = Pace(),
        stop: threading.Event | None = None,
    ) -> None:
        self._lane, self._carrier, self._declared, self._clock, self._pace = lane, carrier, declared, clock, pace
        self._stop = stop or threading.Event()
        self._hands = _Hands()
        self._nudge = threading.Event()
        self._claiming_over = threading.Event()
        self._sending_over = threading.Event()
        self._failure: BaseException | None = None
        self._drained = Drained()
        self._after_channel = 0

    def run(self) -> Drained:
        """Work until there is nothing to do or the time is up. Raises what the database thread raised."""
        database = threading.Thread(target=self._database_side, name=f"belfry-pump-{self._lane}")
        database.start()
        try:
            self._world_side()
        finally:
            self._sending_over.set()
            self._nudge.set()
            database.join()
            self._carrier.close()
        if self._failure is not None:
            raise self._failure
        return self._drained

    # --- The world's side: no database in here.

    def _world_side(self) -> None:
        hands, carrier = self._hands, self._carrier
        while True:
            self._start_ready()
            if self._claiming_over.is_set() and not hands.ready and not hands.under_way:
                return
            ended = carrier.poll(0.05, self._clock)
            for tried in ended:
                hands.under_way.pop(tried.held.row.id, None)
            hands.ended.extend(ended)
            if ended and (len(hands.ended) >= self._pace.flush_at or not hands.ready):
                self._nudge.set()

    def _start_ready(self) -> None:
        hands = self._hands
        room = self._carrier.capacity - len(hands.under_way)
        if room <= 0 or not hands.ready:
            return
        batch = list(itertools.islice(_drain(hands.ready), room))
        for one in batch:
            hands.under_way[one.row.id] = one
        self._carrier.start(batch, self._clock())

    # --- The database's side.

    def _database_side(self) -> None:
        try:
            self._claim_and_settle()
        except BaseException as failure:  # noqa: BLE001  Handed to the caller's thread, where Celery sees it.
            self._failure = failure
            self._hands.ready.clear()
        finally:
            self._claiming_over.set()
            self._carrier.wake()
            connection.close()

    def _claim_and_settle(self) -> None:
        pace, hands = self._pace, self._hands
        began = renewed = busy = time.monotonic()
        while not (self._sending_over.is_set() and not self._flush_is_due()):
            now = time.monotonic()
            if self._flush_is_due():
                self._persist(self._flush)
                busy = now
            if not self._claiming_over.is_set():
                claimed = self._persist(self._claim) if self._has_room() else None
                busy = now if claimed or hands.under_way or hands.ready else busy
                over = now - began > pace.budget_s or self._stop.is_set()
                if over or now - busy > pace.linger_s:
                    self._end_claiming(more=over)
                if claimed:
                    continue
            if now - renewed > pace.renew_every_s:
                self._persist(self._renew)
                renewed = now
            self._nudge.wait(pace.flush_after_s if hands.under_way or hands.ended else pace.look_every_s)
            self._nudge.clear()

    def _flush_is_due(self) -> bool:
        # `_nudge` wakes the thread after `flush_after_s` at the latest, so whatever waits is written then.
        return bool(self._hands.ended or self._hands.held_back)

    def _has_room(self) -> bool:
        hands = self._hands
        return len(hands.ready) < self._pace.claim_at_most // 2 and (
            len(hands.ready) + len(hands.under_way) < self._carrier.capacity
        )

    def _end_claiming(self, *, more: bool) -> None:
        """No further claims. What is ready but not begun is given back at once when a worker stops."""
        hands = self._hands
        self._drained.more = more
        if self._stop.is_set():
            unbegun = list(_drain(hands.ready))
            if unbegun:
                self._persist(lambda: transitions.give_back([one.lease for one in unbegun], now=self._clock()))
        self._claiming_over.set()
        self._carrier.wake()

    def _claim(self) -> int:
        pace, hands, now = self._pace, self._hands, self._clock()
        book = rulebook.current()
        rows = transitions.claim(self._lane, self._room(book), now=now, lease_s=pace.lease_s)
        self._drained.statements += 2
        if not rows:
            return 0
        self._after_channel = rows[-1].channel_id
        joined = dispatch.hold(rows, book, now)
        guarded = dispatch.guard(joined.ready, now)
        prepared = dispatch.prepare(guarded.ready, now)
        hands.held_back.extend([*joined.results, *guarded.results, *prepared.results])
        for one in prepared.ready:
            hands.per_channel[one.channel.id] += 1
        hands.ready.extend(prepared.ready)
        self._carrier.wake()
        return len(rows)

    def _room(self, book: Rulebook) -> Room:
        """What is left: of the carrier, and of each channel that has something under way or a limit of its own."""
        carrier, hands = self._carrier, self._hands
        limits = {pk: channel.row.max_in_flight for pk, channel in book.channels.items() if channel.row.max_in_flight}
        differing = limits.keys() | {pk for pk, count in hands.per_channel.items() if count}
        return Room(
            in_all=min(self._pace.claim_at_most, carrier.capacity - len(hands.under_way) - len(hands.ready)),
            of_a_channel=carrier.capacity_of_channel,
            of_channel={
                pk: max(0, (limits.get(pk) or carrier.capacity_of_channel) - hands.per_channel[pk]) for pk in differing
            },
            after_channel=self._after_channel,
        )

    def _flush(self) -> None:
        """Write what has ended and what is held back. What could not be written stays for the next time."""
        hands, now = self._hands, self._clock()
        tried = list(itertools.islice(hands.ended, 1000))
        held_back = list(itertools.islice(hands.held_back, 1000))
        results = [dispatch.conclude(one, self._declared, now, dispatch.draw()) for one in tried]
        self._drained.settled += len(dispatch.settle([*results, *held_back], tried, now))
        self._drained.statements += 1
        for one in tried:
            hands.ended.popleft()
            hands.per_channel[one.held.channel.id] -= 1
        for _ in held_back:
            hands.held_back.popleft()

    def _renew(self) -> None:
        leases = [one.lease for one in [*self._hands.under_way.values(), *self._hands.ready]]
        if leases:
            transitions.renew(leases, now=self._clock(), lease_s=self._pace.lease_s)
            self._drained.statements += 1

    def _persist(self, step: Callable[[], T]) -> T:
        """Do one step against the database; while that is away, wait and do it again."""
        give_up_at = time.monotonic() + self._pace.patience_s
        while True:
            try:
                return step()
            except (OperationalError, InterfaceError) as trouble:
                if time.monotonic() > give_up_at:
                    raise
                _log.warning("database_away", lane=self._lane, error=type(trouble).__name__)
                connection.close()
                time.sleep(0.2)


def _drain(queue: deque[Held]) -> Iterator[Held]:
    """Empty a deque that another thread may be emptying too."""
    while True:
        try:
            yield queue.popleft()
        except IndexError:
            return
