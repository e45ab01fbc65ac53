"""A wire between those who write hints and those who read them, that loses, repeats and reorders.

Writers are told another database of the same Redis. What they put into the bus there is brought to where it is read,
or what is left of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any, Self

import redis

#: The stream, and the fields.
Entry = tuple[bytes, dict[Any, Any]]

_WAITS_MS, _AT_ONCE = 50, 1_000
_TIMEOUT_S, _PAUSE_S = 5.0, 0.1
_LENGTH = 10_000
#: How many others overtake what is held back, at the most.
_OVERTAKEN_BY = 200


@dataclass(frozen=True, slots=True)
class Tampering:
    """Shares of all hints: so many are lost, come twice, are overtaken by others."""

    lost: float = 0.0
    repeated: float = 0.0
    overtaken: float = 0.0

    def __bool__(self) -> bool:
        return any((self.lost, self.repeated, self.overtaken))


#: Every hint comes once, in order.
UNTOUCHED = Tampering()


class Tamperer:
    """Brings hints from `source` to `target`, two URLs of Redis, as a context manager. `streams`: names of the bus."""

    def __init__(self, source: str, target: str, streams: Sequence[str], how: Tampering, random: Random) -> None:
        self._urls, self._streams, self._how, self._random = (source, target), streams, how, random
        self._last: dict[bytes, bytes] = {name.encode(): b"0-0" for name in streams}
        self._held: list[Entry] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._bring_on, name="tamperer", daemon=True)
        #: How many hints came, and how many were lost, repeated and held back so far.
        self.heard = self.lost = self.repeated = self.held = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def has_tampered(self) -> bool:
        """Whether it has done everything at least once that it was to do."""
        wanted = ((self._how.lost, self.lost), (self._how.repeated, self.repeated), (self._how.overtaken, self.held))
        return all(done for share, done in wanted if share)

    def tampered(self, entries: Sequence[Entry]) -> list[Entry]:
        """What becomes of entries that came at once. What is held back comes with later ones."""
        passed: list[Entry] = []
        for entry in entries:
            self.heard += 1
            luck = self._random.random()
            if luck < self._how.lost:
                self.lost += 1
            elif luck < self._how.lost + self._how.overtaken:
                self.held += 1
                self._held.append(entry)
            else:
                passed.append(entry)
        for entry in self._let_go(bool(entries)):
            passed.insert(self._random.randint(0, len(passed)), entry)
        return [twice for entry in passed for twice in self._once_or_twice(entry)]

    def _let_go(self, others_came: bool) -> list[Entry]:
        """Those whose time has come: when nothing else comes, all of them."""
        keep = self._random.randint(0, min(len(self._held), _OVERTAKEN_BY)) if others_came else 0
        self._random.shuffle(self._held)
        let_go, self._held = self._held[keep:], self._held[:keep]
        return let_go

    def _once_or_twice(self, entry: Entry) -> list[Entry]:
        if self._random.random() < self._how.repeated:
            self.repeated += 1
            return [entry, entry]
        return [entry]

    def _bring_on(self) -> None:
        source, target = (redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S) for url in self._urls)
        with source, target:
            while not self._over.is_set():
                try:
                    self._bring(source, target)
                except redis.RedisError:
                    time.sleep(_PAUSE_S)

    def _bring(self, source: redis.Redis, target: redis.Redis) -> None:
        streams: dict[Any, Any] = dict(self._last)
        found: Any = source.xread(streams, count=_AT_ONCE, block=_WAITS_MS)
        entries: list[Entry] = []
        for name, some in found:
            self._last[name] = some[-1][0]
            entries += [(name, fields) for _, fields in some]
        passed = self.tampered(entries)
        with target.pipeline(transaction=False) as pipeline:
            for name, fields in passed:
                pipeline.xadd(name, fields, maxlen=_LENGTH, approximate=True)
            pipeline.execute()
