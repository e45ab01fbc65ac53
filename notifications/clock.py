"""What time it is: the database's time, so that all processes agree, whatever their own clocks say.

Leases, due times and expiries are compared across machines. Each process asks Postgres for the
difference to its machine's uptime and asks again every few seconds; a system clock that jumps, here
or on another worker, moves nothing. Called at the edges only (tasks, views, commands); everything
below them is given `now`.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import structlog
from django.db import connection

from channels_app.statement import AWAY

#: How long a measured difference is trusted. The uptime drifts by far less than 1 ms in it.
_TRUSTED_FOR_S = 10.0

#: While the database is away the last difference goes on, and is measured again after this time.
_ASK_AGAIN_S = 1.0

#: Linux' monotonic clock stands still while the machine is suspended, and leases do not; this one goes on.
_UPTIME: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_log = structlog.get_logger(__name__)


def uptime_s() -> float:
    """Seconds since some moment before this process began, those in which the machine was suspended included."""
    return time.clock_gettime(_UPTIME)


class _Difference:
    """Postgres' time when this machine's uptime was zero."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._origin: datetime | None = None
        self._measured_at = 0.0

    def now(self) -> datetime:
        elapsed = uptime_s()
        origin = self._origin
        if origin is None or elapsed - self._measured_at > _TRUSTED_FOR_S:
            with self._lock:
                origin = self._measure() if origin is None else self._measure_or_keep(origin)
        return origin + timedelta(seconds=uptime_s())

    def _measure_or_keep(self, origin: datetime) -> datetime:
        # Who has something under way must be able to go on without the database.
        try:
            return self._measure()
        except AWAY as error:
            _log.warning("clock_not_compared", error=type(error).__name__)
            connection.close_if_unusable_or_obsolete()
            self._measured_at = uptime_s() - _TRUSTED_FOR_S + _ASK_AGAIN_S
            return origin

    def _measure(self) -> datetime:
        with connection.cursor() as cursor:
            asked = uptime_s()
            cursor.execute("SELECT clock_timestamp()")
            answer: datetime = cursor.fetchone()[0]
            answered = uptime_s()
        self._origin = answer.astimezone(UTC) - timedelta(seconds=(asked + answered) / 2)
        self._measured_at = answered
        return self._origin


_DIFFERENCE = _Difference()


def now() -> datetime:
    """The time, aware, in UTC. Raises Django's `DatabaseError` family when it cannot ask even once."""
    return _DIFFERENCE.now()
