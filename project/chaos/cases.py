"""All cases, in the order in which they are played."""

from __future__ import annotations

from project.chaos import broker, clock, postgres, processes, providers, redis, wakeups
from project.chaos.case import Case

CASES: dict[str, Case] = {
    case.name: case for room in (processes, redis, broker, postgres, wakeups, clock, providers) for case in room.CASES
}
