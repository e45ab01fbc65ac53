"""Beat's sense of time: the monotonic clock, so that a wall clock that is set hurries and delays nothing.

Celery's own scheduler compares wall-clock times, and keeps them in a file between runs. Set back by an
hour, it would ask for no sweep for an hour.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from celery.beat import Scheduler


class SteadyScheduler(Scheduler):
    """Sends every entry at its start, and then every so many seconds. Remembers nothing between runs.

    The file that `-s` names, where others keep their schedule, is touched as a sign of life.
    """

    def __init__(self, *args: Any, schedule_filename: str = "", **kwargs: Any) -> None:
        #: When each entry is due, by name, in seconds of the monotonic clock.
        self._due_at: dict[str, float] = {}
        self._sign_of_life = Path(schedule_filename) if schedule_filename else None
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
