"""When a failed delivery is tried again: the schedule, as pure functions.

There is one policy. It is declared on the Celery task `deliver` (`retry_backoff`,
`retry_backoff_max`, `retry_jitter`, `max_retries`), read from there into a `Schedule`, and a
channel may override its fields. The rules are Celery's own: exponential from a base, capped, with
full jitter (uniform between zero and the step), but in fractions of a second.

Pure: no Django, no clock, no chance of its own; `draw` comes from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

#: The exponent stops growing here; every cap is reached long before, and 2.0 ** 1024 overflows.
_MAX_DOUBLINGS = 60

#: No wait is longer, whatever a channel's cap says: a time that no calendar holds could not be written.
_LONGEST_WAIT_S = 366 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often and how far apart a delivery is tried."""

    #: Tries in all, the first included.
    max_attempts: int = 10
    #: The step before the second try, in seconds; it doubles with every further one.
    base_s: float = 10.0
    #: No step is longer than this, in seconds.
    cap_s: float = 6 * 3600.0
    #: Draw each wait between zero and its step, so that what failed together does not return together.
    jitter: bool = True
    #: From the first try on, in seconds; after it nothing is tried again. A try that was put off is one, too.
    window_s: float = 3 * 86400.0


#: Schedules that operators know from elsewhere, by name.
PRESETS = MappingProxyType(
    {
        "rust-srec": Schedule(max_attempts=3, base_s=5.0, cap_s=60.0),
        "mailbox": Schedule(max_attempts=4, base_s=0.1, cap_s=5.0),
        "patient": Schedule(max_attempts=30, base_s=5.0, cap_s=6 * 3600.0, window_s=3 * 86400.0),
    }
)


def step_s(schedule: Schedule, attempts: int) -> float:
    """The longest wait after the given number of failed attempts (1 or more), in seconds."""
    return min(schedule.cap_s, schedule.base_s * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS))


class Bound(StrEnum):
    """What says that a delivery is not tried again."""

    #: It was the last one that the schedule allows.
    ATTEMPTS = "attempts"
    #: The next one would come after the window.
    WINDOW = "window"
    #: The far end asks for a pause that outlasts the window.
    PAUSE = "pause"


def next_attempt_at(
    schedule: Schedule,
    *,
    attempts: int,
    first_attempt_at: datetime,
    now: datetime,
    draw: float,
    at_least_s: float = 0.0,
) -> datetime | Bound:
    """When to try again after `attempts` failed attempts, or the bound by which it is over.

    `draw` is uniform in [0, 1). `at_least_s` is what the far end asked us to wait; it is obeyed,
    even beyond the cap, but never beyond the window.
    """
    if attempts >= schedule.max_attempts:
        return Bound.ATTEMPTS
    step = min(step_s(schedule, attempts), _LONGEST_WAIT_S) * (draw if schedule.jitter else 1.0)
    left_s = _left_s(schedule, first_attempt_at, now)
    if step > left_s:
        return Bound.WINDOW
    return now + timedelta(seconds=max(step, at_least_s)) if at_least_s <= left_s else Bound.PAUSE


def after_pause(schedule: Schedule, *, first_attempt_at: datetime, now: datetime, pause_s: float) -> datetime | Bound:
    """When to try again what the far end neither took nor refused, but put off; or the bound by which it is over."""
    left_s = _left_s(schedule, first_attempt_at, now)
    if pause_s <= left_s:
        return now + timedelta(seconds=pause_s)
    return Bound.PAUSE if left_s > 0 else Bound.WINDOW


def _left_s(schedule: Schedule, first_attempt_at: datetime, now: datetime) -> float:
    return schedule.window_s - (now - first_attempt_at).total_seconds()
