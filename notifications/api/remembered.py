"""What a process believes for a moment of the keys that it read, so that busy callers cost no query."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: How long a process believes what it read of a key. A revoked key is refused everywhere after it.
BELIEVED_FOR_S = 3.0

#: Keys that a process remembers at most. What is not remembered is read again.
MOST_REMEMBERED = 10_000


class Remembered(Generic[T]):
    """What `read` found for a name, for a few seconds.

    Only what exists is remembered: guesses fill nothing.
    """

    def __init__(self, read: Callable[[str], T | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[str, tuple[float, T]] = {}

    def find(self, name: str) -> T | None:
        """What has this name, or None."""
        known = self._known.get(name)
        if known is not None and known[0] > self._clock():
            return known[1]
        return self._learn(name)

    def _learn(self, name: str) -> T | None:
        until = self._clock() + BELIEVED_FOR_S
        found = self._read(name)
        if found is None:
            self._known.pop(name, None)
            return None
        if len(self._known) >= MOST_REMEMBERED:
            self._known = {}
        self._known[name] = (until, found)
        return found

    def forget(self) -> None:
        """Believe nothing any more."""
        self._known = {}
