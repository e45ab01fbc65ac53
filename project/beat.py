"""Beat's sense of time: the monotonic clock, so that a wall clock that is set hurries and delays nothing.

Celery's own scheduler compares wall-clock times, and keeps them in a file between runs. Set back by an
hour, it would ask for no sweep for an hour. And it would go on sending while nobody takes what it sends:
a broker in memory would fill with it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import structlog
from celery.beat import Scheduler

from notifications.wake import waiting_in
from project.queues import MOST_OF_BEAT

_log = structlog.get_logger(__name__)


class SteadyScheduler(Scheduler):
    """Sends every entry at its start, and then every so many seconds. Remembers nothing between runs.

    The file that `-s` names, where others keep their schedule, is touched as a sign of life.
    """

    def __init__(self, *args: Any, schedule_filename: str = "", **kwargs: Any) -> None:
        #: When each entry is due, by name, in seconds of the monotonic clock.
        self._due_at: dict[str, float] = {}
        self._sign_of_life = Path(schedule_filename) if schedule_filename else None
        #: Names of entries that are held back.
        self._held_back: set[str] = set()
        super().__init__(*args, **kwargs)

    def tick(self, **_: Any) -> float:  # type: ignore[override]
        """Send what is due; seconds until something is."""
        if self._sign_of_life is not None:
            self._sign_of_life.touch()
        for name, entry in self.schedule.items():
            began = time.monotonic()
            due_at = self._due_at.setdefault(name, began)
            if due_at <= began:
                every_s = cast("Any", entry.schedule).run_every.total_seconds()
                # On from when it was due, so that it keeps its pace; from now on where it is far behind.
                self._due_at[name] = due_at + every_s if due_at + every_s > began else began + every_s
                self.apply_entry(entry, producer=self.producer)
        return max(0.0, min(self._due_at.values(), default=1.0) - time.monotonic())

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send it, unless what was sent before waits still: one is as good as many."""
        if self._has_gathered(entry, producer):
            if entry.name not in self._held_back:
                _log.warning("beat_holds_back", entry=entry.name)
            self._held_back.add(entry.name)
            return
        self._held_back.discard(entry.name)
        super().apply_entry(entry, producer=producer)

    @staticmethod
    def _has_gathered(entry: Any, producer: Any) -> bool:
        try:
            return waiting_in(entry.options["queue"], producer.channel) >= MOST_OF_BEAT
        except Exception:  # noqa: BLE001  Whatever the broker's client raises: sending will say what is wrong.
            return False
