"""What time it is: the database's time, so that all processes agree, whatever their own clocks say.

Leases, due times and expiries are compared across machines. Each process asks Postgres for the
difference to its monotonic clock and asks again every few seconds; a system clock that jumps, here
or on another worker, moves nothing. Called at the edges only (tasks, views, commands); everything
below them is given `now`.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from django.db import connection

#: How long a measured difference is trusted. Monotonic clocks drift by far less than 1 ms in it.
_TRUSTED_FOR_S = 10.0


class _Difference:
    """Postgres' time at the origin of this process' monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._origin: datetime | None = None
        self._measured_at = 0.0

    def now(self) -> datetime:
        elapsed = time.monotonic()
        origin = self._origin
        if origin is None or elapsed - self._measured_at > _TRUSTED_FOR_S:
            with self._lock:
                origin = self._measure()
        return origin + timedelta(seconds=time.monotonic())

    def _measure(self) -> datetime:
        with connection.cursor() as cursor:
            asked = time.monotonic()
            cursor.execute("SELECT clock_timestamp()")
            answer: datetime = cursor.fetchone()[0]
            answered = time.monotonic()
        self._origin = answer.astimezone(UTC) - timedelta(seconds=(asked + answered) / 2)
        self._measured_at = answered
        return self._origin


_DIFFERENCE = _Difference()


def now() -> datetime:
    """The time, aware, in UTC. Raises Django's `DatabaseError` family when it has to ask and cannot."""
    return _DIFFERENCE.now()
