"""One timing wheel for all connections of a process: thousands of timers that cost nothing while they wait.

Each thing has one place, at the second in which it is to be visited. Whoever visits it says when it is due again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

#: Longest wait in seconds; what is due later is visited once in between.
SLOTS = 64


class Turning(Protocol):
    """What can be on a wheel."""

    #: The second in which it is to be visited; 0 when it is on no wheel.
    turn: int


T = TypeVar("T", bound=Turning)


class Wheel(Generic[T]):
    """Seconds are those of any steady clock, the same in all calls."""

    def __init__(self, now: float) -> None:
        self._second = int(now)
        # Lists, in which what was moved stays until its second comes: eight bytes, and moving costs nothing.
        self._slots: list[list[T]] = [[] for _ in range(SLOTS)]

    def put(self, thing: T, at: float) -> None:
        """Visit `thing` at `at`, rounded up, instead of whenever it was to be visited before."""
        second = min(max(int(at) + 1, self._second + 1), self._second + SLOTS - 1)
        if thing.turn != second:
            thing.turn = second
            self._slots[second % SLOTS].append(thing)

    def sooner(self, thing: T, at: float) -> None:
        """Visit `thing` at `at`, unless it is to be visited before that."""
        if not 0 < thing.turn <= at:
            self.put(thing, at)

    def remove(self, thing: T) -> None:
        thing.turn = 0

    def due(self, now: float) -> Iterator[T]:
        """What is to be visited by now. It has left the wheel; put it back for its next visit."""
        while self._second < int(now):
            self._second += 1
            slot, self._slots[self._second % SLOTS] = self._slots[self._second % SLOTS], []
            for thing in slot:
                if thing.turn == self._second:
                    thing.turn = 0
                    yield thing
