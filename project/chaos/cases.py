"""All cases, in the order in which they are played."""

from __future__ import annotations

from project.chaos import broker, clock, postgres, processes, providers, redis, wakeups
from project.chaos.case import Case
from project.chaos.live import faults
from project.chaos.live.case import LiveCase

AnyCase = Case | LiveCase

#: Those of notifications on their way, and those of the live stream.
DELIVERY_CASES: dict[str, Case] = {
    case.name: case for room in (processes, redis, broker, postgres, wakeups, clock, providers) for case in room.CASES
}
LIVE_CASES: dict[str, LiveCase] = {case.name: case for case in faults.CASES}
CASES: dict[str, AnyCase] = {**DELIVERY_CASES, **LIVE_CASES}
