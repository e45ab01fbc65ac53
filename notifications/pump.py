"""The steps of `dispatch`, continuously: many deliveries under way, refilled and settled as they end.

Two threads share the work. One talks to Postgres and Redis: it claims, guards, prepares, settles
and renews leases. The other drives the carrier and never touches a database. Nothing waits for the
slowest: a request that hangs keeps one slot of its channel and no more.

A pump ends when its time is up (Celery gets its worker back, and another wake-up follows if there
is more to do), when it is told to stop, or when it has found nothing for a while. Lingering for
that while is what makes coalesced wake-ups safe.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

import structlog
from django.db import connection

from channels_app.in_flight import default_in_flight
from notifications import dispatch, rulebook
from notifications.carriers import Carrier
from notifications.clock import uptime_s
from notifications.held import Held
from notifications.models import transitions
from notifications.models.statement import AWAY
from notifications.models.transitions import Room
from notifications.retry import Schedule
from notifications.slots import Slots
from notifications.unwritten import Unwritten

T = TypeVar("T")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a pump works. Seconds and rows."""

    #: No more is claimed after this time.
    budget_s: float = 20.0
    #: How long it looks for more before it ends.
    linger_s: float = 1.0
    #: How often it looks while there is little or nothing.
    look_every_s: float = 0.02
    #: Results are written when so many wait …
    flush_at: int = 200
    #: … or the last writing is so long ago.
    flush_after_s: float = 0.02
    #: Most rows of one claim; the next one is made when half of them have been started.
    claim_at_most: int = 400
    #: How often other pumps are told what we make of channels that are shared with them.
    share_every_s: float = 0.05
    #: Sign of life for what is under way; a fraction of the lease.
    renew_every_s: float = 5.0
    lease_s: float = 20.0
    #: How long results are kept and offered again while the database is away.
    patience_s: float = 120.0
    #: How long it waits for what is under way once it is told to stop.
    grace_s: float = 30.0


@dataclass(slots=True)
class Drained:
    """What a pump did. `more`: it ended because of the time, not because there was nothing left."""

    settled: int = 0
    statements: int = 0
    more: bool = False


@dataclass(slots=True)
class _Hands:
    """What is between claim and its end."""

    ready: deque[Held] = field(default_factory=deque)
    #: By id and token: where a lease ran out, the same delivery may be under way under two.
    under_way: dict[tuple[int, int], Held] = field(default_factory=dict)


class Pump:
    """Drains one lane with one carrier. Use once: `Pump(...).run()`."""

    def __init__(
        self,
        lane: str,
        carrier: Carrier,
        *,
        declared: Schedule,
        clock: Callable[[], datetime],
        stop: threading.Event,
        pace: Pace = Pace(),
    ) -> None:
        self._lane, self._carrier, self._clock = lane, carrier, clock
        self._stop, self._pace = stop, pace
        self._tell_claiming_over: Callable[[Drained], None] = _tell_nobody
        self._may_hand_on: Callable[[], bool] = lambda: True
        self._hands = _Hands()
        self._unwritten = Unwritten(declared)
        self._slots = Slots(carrier.capacity_of_channel)
        #: Who we are to the other pumps.
        self._name = uuid4().hex
        self._nudge = threading.Event()
        self._claiming_over = threading.Event()
        self._sending_over = threading.Event()
        self._failure: BaseException | None = None
        self._drained = Drained()
        self._after_channel = 0
        #: Rows that the last claim brought, or that have ended since.
        self._turned_over = 0
        #: The time when the machine's uptime was zero: the world's side tells it without asking a database.
        self._origin = clock() - timedelta(seconds=uptime_s())
        #: Until which uptime we wait for what is under way, once we were told to stop.
        self._end_by: float | None = None
        #: Until which uptime what was in hand at the last renewal is ours, and what is not.
        self._renewed_until = 0.0
        self._lost: set[tuple[int, int]] = set()

    def run(
        self,
        claiming_over: Callable[[Drained], None] | None = None,
        *,
        may_hand_on: Callable[[], bool] = lambda: True,
    ) -> Drained:
        """Work until there is nothing to do or the time is up. Raises what the database thread raised.

        `claiming_over` is called, from the database thread, as soon as no more is claimed: what is still
        under way then may take as long as a request may, and a successor need not wait for it. While
        `may_hand_on` says no, there is no room for one, and this pump goes on beyond its time.
        """
        self._may_hand_on = may_hand_on
        self._tell_claiming_over = claiming_over or _tell_nobody
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
        hands, pace = self._hands, self._pace
        while True:
            self._start(_emptied(hands.ready))
            if self._claiming_over.is_set() and not hands.ready and not hands.under_way:
                return
            ended = self._carrier.poll(0.05, self._world_time)
            for tried in ended:
                del hands.under_way[tried.held.lease]
                hands.ready.extendleft(self._slots.end(tried))
            self._unwritten.ended.extend(ended)
            self._turned_over += len(ended)
            if self._stop.is_set() and self._is_out_of_grace():
                self._abandon()
            if len(self._unwritten.ended) >= pace.flush_at or self._made_room():
                self._nudge.set()

    def _start(self, waiting: Iterator[Held]) -> None:
        """Begin what has a slot. What has none, of its channel or of the carrier, waits for its turn."""
        hands, batch, now = self._hands, [], self._world_time()
        if self._stop.is_set():
            self._unwritten.unbegun.extend(waiting)
            return
        room = self._carrier.capacity - len(hands.under_way)
        for one in waiting:
            if room <= 0:
                hands.ready.appendleft(one)
                break
            if not self._is_ours(one):
                self._unwritten.lost.append(one)
                hands.ready.extendleft(self._slots.drop(one))
            elif one.row.expires_at is not None and one.row.expires_at <= now:
                self._unwritten.expired.append(one)
                hands.ready.extendleft(self._slots.drop(one))
            elif self._slots.start(one):
                hands.under_way[one.lease] = one
                batch.append(one)
                room -= 1
        for one in reversed(self._carrier.start(batch, now) if batch else []):
            del hands.under_way[one.lease]
            self._slots.return_unbegun(one)
            hands.ready.appendleft(one)

    def _is_out_of_grace(self) -> bool:
        """Whether we were told to stop so long ago that somebody may be about to kill us."""
        if self._end_by is None:
            self._end_by = uptime_s() + self._pace.grace_s
        return uptime_s() > self._end_by

    def _abandon(self) -> None:
        """What has no answer yet is written down as such, so that nobody has to wait for the end of its lease."""
        for tried in self._carrier.abandon():
            del self._hands.under_way[tried.held.lease]
            self._unwritten.give_up(tried, self._world_time())

    def _is_ours(self, one: Held) -> bool:
        """Whether its lease surely holds while it is tried: not after a freeze, nor cut off from the database."""
        until = max(one.leased_until, self._renewed_until)
        needed_s = min(one.channel.timeout_s, self._pace.lease_s / 2)
        return uptime_s() + needed_s < until and one.lease not in self._lost

    def _world_time(self) -> datetime:
        return self._origin + timedelta(seconds=uptime_s())

    # --- The database's side.

    def _database_side(self) -> None:
        try:
            self._claim_and_settle()
        except BaseException as failure:  # noqa: BLE001  Handed to the caller's thread, where Celery sees it.
            self._failure = failure
            # What nobody could settle is not begun.
            self._hands.ready.clear()
            _ = list(self._slots.unpark())
        finally:
            self._end_claiming()
            connection.close()

    def _claim_and_settle(self) -> None:
        pace = self._pace
        began = renewed = busy = uptime_s()
        flushed = looked = shared = 0.0
        while not self._sending_over.is_set() or self._unwritten:
            now = uptime_s()
            if self._unwritten and (now - flushed >= pace.flush_after_s or len(self._unwritten) >= pace.flush_at):
                self._persist(self._flush)
                flushed = now
            if not self._claiming_over.is_set():
                if self._wants_more() and (now - looked >= pace.look_every_s or self._made_room()):
                    claimed = self._claim_or_end()
                    looked = uptime_s()
                    busy = looked if claimed else busy
                if self._hands.ready or self._hands.under_way:
                    busy = uptime_s()
                if self._time_is_up(now - began, now - busy):
                    self._give_back_unbegun()
                    self._end_claiming()
            if now - renewed > pace.renew_every_s:
                self._persist(self._renew)
                renewed = now
            if now - shared > pace.share_every_s:
                self._share()
                shared = now
            if not self._made_room():
                self._nudge.wait(pace.flush_after_s)
                self._nudge.clear()
        self._leave()

    def _leave(self) -> None:
        """What found no slot to the end is somebody else's, and so are the slots."""
        self._unwritten.unbegun.extend([*self._slots.unpark(), *_emptied(self._hands.ready)])
        if self._unwritten:
            self._persist(self._flush)
        self._share()

    def _wants_more(self) -> bool:
        return len(self._hands.ready) < self._pace.claim_at_most // 2 and not self._claiming_over.is_set()

    def _made_room(self) -> bool:
        """Whether so much was claimed or has ended since the last claim that the next one is worth making now."""
        return self._wants_more() and self._turned_over >= self._pace.claim_at_most // 2

    def _time_is_up(self, elapsed_s: float, idle_s: float) -> bool:
        self._drained.more = elapsed_s > self._pace.budget_s and self._may_hand_on()
        is_over = self._stop.is_set() or self._failure is not None
        return self._drained.more or idle_s > self._pace.linger_s or is_over

    def _end_claiming(self) -> None:
        if not self._claiming_over.is_set():
            self._claiming_over.set()
            self._tell_claiming_over(self._drained)
        self._carrier.wake()

    def _give_back_unbegun(self) -> None:
        """What is parked would outlast the pump; what is ready is begun, unless the worker stops."""
        self._unwritten.unbegun.extend(self._slots.unpark())
        if self._stop.is_set():
            self._unwritten.unbegun.extend(_emptied(self._hands.ready))

    def _claim_or_end(self) -> int:
        """Whatever goes wrong on the way to the far end, what is under way is seen to its end first."""
        try:
            return self._persist(self._claim)
        except Exception as failure:  # noqa: BLE001  Raised by `run` when all is settled.
            self._failure = failure
            return 0

    def _claim(self) -> int:
        now, began, room = self._clock(), uptime_s(), self._room()
        self._origin = now - timedelta(seconds=began)
        rows = transitions.claim(self._lane, room, now=now, lease_s=self._pace.lease_s)
        self._drained.statements += 1
        self._turned_over = len(rows)
        # Round all channels: on from the last one served, and from the first again behind the end.
        went_round, self._after_channel = self._after_channel == 0, max((row.channel_id for row in rows), default=0)
        if len(rows) < self._pace.claim_at_most // 2:
            self._after_channel = 0
        if not rows:
            return 0 if went_round else self._claim()
        guarded = dispatch.guard(rows, rulebook.at(rows[0].rules), now)
        held, buried = dispatch.prepare(guarded.ready, now, leased_until=began + self._pace.lease_s)
        self._unwritten.unsent.extend([*guarded.results, *buried])
        passing = {channel.id for channel, _ in guarded.ready}
        for channel_id in {row.channel_id for row in rows}:
            self._slots.gated(channel_id, passes=channel_id in passing)
        for one in held:
            self._slots.claimed(one)
        self._share()
        self._hands.ready.extend(held)
        self._carrier.wake()
        return len(rows)

    def _room(self) -> Room:
        return Room(
            in_all=self._pace.claim_at_most,
            of_a_channel=self._slots.usual_room,
            of_channel=self._slots.rooms(),
            after_channel=self._after_channel,
        )

    def _share(self) -> None:
        """Of channels that are shared with other pumps, begin no more than is ours."""
        uses = self._slots.uses()
        if uses:
            shares = default_in_flight().share_many(self._name, uses, lease_s=self._pace.lease_s)
            self._hands.ready.extendleft(self._slots.allow(uses, shares))
            self._carrier.wake()

    def _flush(self) -> None:
        self._drained.settled += self._unwritten.write(self._clock())
        self._drained.statements += 1

    def _renew(self) -> None:
        """Sign of life for all that is in hand. What was taken from us meanwhile is not begun any more."""
        began = uptime_s()
        in_hand = [*list(self._hands.under_way.values()), *list(self._hands.ready), *self._slots.parked()]
        leases = [one.lease for one in in_hand]
        ours = transitions.renew(leases, now=self._clock(), lease_s=self._pace.lease_s) if leases else frozenset()
        self._drained.statements += 1
        self._lost = set(leases) - ours
        self._renewed_until = began + self._pace.lease_s

    def _persist(self, step: Callable[[], T]) -> T:
        """Do one step against the database; while that is away, wait and do it again."""
        give_up_at = uptime_s() + self._pace.patience_s
        while True:
            try:
                return step()
            except AWAY as trouble:
                if uptime_s() > give_up_at or (self._stop.is_set() and self._is_out_of_grace()):
                    raise
                _log.warning("database_away", lane=self._lane, error=type(trouble).__name__)
                connection.close()
                time.sleep(0.2)


def _tell_nobody(_: Drained) -> None:
    pass


def _emptied(queue: deque[Held]) -> Iterator[Held]:
    """Empty a deque that another thread may be filling or emptying too."""
    while True:
        try:
            yield queue.popleft()
        except IndexError:
            return
