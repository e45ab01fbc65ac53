"""Keeps processes running: what ends by itself is started again, after a pause that grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from project.embedded.process import Process

Report = Callable[[str, str], None]

_LOOK_EVERY_S = 0.05
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
#: What ran this long has recovered: its next pause is the first again.
_RECOVERED_S = 20.0


def pause_s(failures: int) -> float:
    """Seconds before the restart that follows the `failures`-th end in a row: 0.2, 0.4, 0.8 ... 30."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** max(0, failures - 1))


@dataclass(slots=True)
class _Watched:
    process: Process
    start: Callable[[], None]
    wanted: bool = True
    failures: int = 0
    started_at: float = 0.0
    restart_at: float | None = None


class Watch:
    """Watches processes by name from a thread of its own. `report(name, text)` hears what happens."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Nothing is restarted from now on."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, process: Process, start: Callable[[], None], *, now: float) -> None:
        """Watch a process that runs already; `start` starts it again."""
        with self._lock:
            self._watched[process.name] = _Watched(process, start, started_at=now)

    def want(self, name: str, wanted: bool) -> None:
        """Whether `name` is to run. One that is not wanted is left alone, and one that is comes back."""
        with self._lock:
            watched = self._watched[name]
            watched.wanted, watched.failures, watched.restart_at = wanted, 0, None

    def held(self) -> threading.RLock:
        """While this lock is held nothing is restarted."""
        return self._lock

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            with self._lock:
                for watched in self._watched.values():
                    if watched.wanted and not watched.process.alive:
                        self._bring_back(watched, time.monotonic())

    def _bring_back(self, watched: _Watched, now: float) -> None:
        if watched.restart_at is None:
            watched.failures = 1 if now - watched.started_at > _RECOVERED_S else watched.failures + 1
            pause = pause_s(watched.failures)
            watched.restart_at = now + pause
            code = watched.process.exit_code
            self._report(watched.process.name, f"ended with code {code}; starting it again in {pause:.1f} s")
        elif now >= watched.restart_at:
            watched.restart_at, watched.started_at = None, now
            try:
                watched.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
                self._report(watched.process.name, f"could not be started: {error}")
