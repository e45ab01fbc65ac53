"""Replay jobs in tests: started by ada, advanced batch after batch."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from notifications import clock, replays
from notifications.models import ReplayJob
from notifications.selection import Selection

#: All that `a_dead_letter` and `many_dead_letters` make.
F = Selection(fingerprint="f")


def started(selection: Selection = F, *, pace: float | None = None, **more: Any) -> ReplayJob:
    return replays.start(selection, by="ada", pace_per_s=pace, now=clock.now(), **more)


def advanced(job: ReplayJob, now: datetime | None = None) -> ReplayJob:
    replays.advance(job.pk, now or clock.now())
    job.refresh_from_db()
    return job


def finished(job: ReplayJob) -> ReplayJob:
    """Advance until it ends."""
    for _ in range(100):
        if not advanced(job).is_running:
            return job
    raise AssertionError("it does not end")


def figures(job: ReplayJob) -> tuple[str, int, int, int]:
    return job.state, job.total, job.replayed, job.skipped
