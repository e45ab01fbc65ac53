"""Plays the evening: tells each thing when its time has come, faster than it once happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from project.demo.client import Client
from project.demo.recording import Line, Telling, tellings


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The moment at which something is taken back; seconds since the evening began."""

    at: float
    key: str


Step = Telling | Withdrawal


def steps(lines: Iterable[Line]) -> list[Step]:
    """All that a producer does in the evening, in order of time."""
    known = list(lines)
    taken_back = [Withdrawal(line.at + line.withdraw_after, line.key) for line in known if line.withdraw_after]
    return sorted([*tellings(known), *taken_back], key=lambda step: step.at)


@dataclass(frozen=True, slots=True)
class Clock:
    """The evening's time in the time of this machine: `speed` seconds of it in one of ours."""

    began_at: datetime
    speed: float

    def moment(self, evening_s: float) -> datetime:
        """When `evening_s` seconds of the evening have passed."""
        return self.began_at + timedelta(seconds=evening_s / self.speed)


def request_of(line: Line, clock: Clock, *, run: str) -> dict[str, Any]:
    """The line as the API takes it. `run` keeps the keys of one run apart from those of another."""
    body: dict[str, Any] = {"event_type": line.event_type, "data": line.data, "idempotency_key": f"{run}-{line.key}"}
    for name in ("streamer", "priority", "title", "body"):
        if getattr(line, name):
            body[name] = getattr(line, name)
    for name, after in (("scheduled_at", line.scheduled_after), ("expires_at", line.expires_after)):
        if after is not None:
            body[name] = clock.moment(line.at + after).isoformat()
    return body


@dataclass(slots=True)
class Player:
    """Plays to one Belfry. `ids` grows while it plays: the key of each line and what it was accepted as."""

    client: Client
    clock: Clock
    run: str
    ids: dict[str, str] = field(default_factory=dict)
    #: Lines that were told, the repeated ones counted again.
    told: int = 0

    def play(self, lines: Iterable[Line], *, between: Callable[[float], None]) -> None:
        """Tell everything; `between(share)` is called before each step with how much of it is behind us.

        Raises what `Client` raises.
        """
        todo = steps(lines)
        for number, step in enumerate(todo):
            between(number / len(todo))
            _sleep_until(self.clock.moment(step.at))
            if isinstance(step, Withdrawal):
                self.client.withdraw(self.ids[step.key])
            else:
                self._tell(step)
        between(1.0)

    def _tell(self, telling: Telling) -> None:
        bodies = [request_of(line, self.clock, run=self.run) for line in telling.lines]
        ids = self.client.tell_all(bodies) if len(bodies) > 1 else [self.client.tell(bodies[0])]
        self.ids.update(zip(_keys(telling), ids, strict=True))
        self.told += len(ids)


def _keys(telling: Telling) -> Iterator[str]:
    return (line.key for line in telling.lines)


def _sleep_until(moment: datetime) -> None:
    time.sleep(max((moment - datetime.now(UTC)).total_seconds(), 0.0))
