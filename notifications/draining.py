"""Working a lane: one pump a lane and process, with the carrier that the lane's transports need."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime

import structlog
from django.conf import settings

from channels_app import http
from notifications import freed_memory, lanes
from notifications.carriers import BlockingCarrier, Carrier, HttpCarrier
from notifications.pump import Drained, Pace, Pump
from notifications.retry import Schedule
from notifications.wake import wake

_log = structlog.get_logger(__name__)

#: Held by whoever claims for the lane in this process; given on before its last requests have ended.
_claiming: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

#: Pumps of a lane in this process: one that claims, and one whose last requests are still under way.
MOST_PUMPS = 2
#: A pump that has settled fewer leaves too little memory behind to look for it.
MUCH = 1000
_alive: Counter[str] = Counter()


def drain(
    lane: str, *, declared: Schedule, clock: Callable[[], datetime], stop: threading.Event, pace: Pace | None = None
) -> Drained | None:
    """Work `lane` until it is empty, the time is up or `stop` is set. None when someone here does already."""
    lock = _claiming[lane]
    if stop.is_set() or not lock.acquire(blocking=False):
        return None
    usual = Pace(
        lease_s=settings.BELFRY_LEASE_S,
        renew_every_s=settings.BELFRY_LEASE_S / 4,
        grace_s=settings.BELFRY_SHUTDOWN_GRACE_S,
    )
    try:
        pump = Pump(lane, carrier_of(lane), declared=declared, clock=clock, stop=stop, pace=pace or usual)
    except BaseException:
        lock.release()
        raise

    def hand_on(drained: Drained) -> None:
        lock.release()
        if drained.more and not stop.is_set():
            wake(lane)

    _alive[lane] += 1
    try:
        drained = pump.run(hand_on, may_hand_on=lambda: _alive[lane] < MOST_PUMPS)
    finally:
        _alive[lane] -= 1
    if drained.settled >= MUCH:
        freed_memory.give_back()
    if drained.settled:
        _log.info("drained", lane=lane, settled=drained.settled, statements=drained.statements)
    return drained


def carrier_of(lane: str) -> Carrier:
    """A carrier for the transports that travel in `lane`."""
    if lanes.group_of(lane) == lanes.BLOCKING:
        return BlockingCarrier()
    return HttpCarrier(settings.BELFRY_REQUESTS_IN_FLIGHT, http.default_rules())
