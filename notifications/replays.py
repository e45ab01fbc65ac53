"""Replaying many: looked at first, then done by a job that goes on wherever it was cut off.

Each batch is one transaction: the deliveries begin again, the letters are marked, and the job's
place and counts move on, or none of it happens. So a worker may die anywhere, and several may work
on a job at once: the row's lock lets one do so and the others pass by. What is no longer dead when
its turn comes is left alone, and what dies again is a new letter, which the job does not meet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Count, Max, Q
from django.db.models.functions import Now

from notifications import dead_letters
from notifications.dead_letters import BATCH, Group
from notifications.models import DeadLetter, ReplayJob
from notifications.models.dead_letter import DeadLetterQuerySet
from notifications.models.replay_job import USUAL_PACE_PER_S
from notifications.selection import Selection, restored
from notifications.states import State

__all__ = ["USUAL_PACE_PER_S", "NothingNamed", "Preview", "advance", "advance_all", "cancel", "preview", "start"]

#: What one sweep spends on jobs, in seconds, so that it is done before the next one comes.
BUDGET_S = 0.5

#: Groups and single letters that a preview shows.
MOST_GROUPS, MOST_SAMPLES = 20, 5

_log = structlog.get_logger(__name__)

_WAITS = Q(replayed_at__isnull=True, discarded_at__isnull=True)
_DEAD = Q(delivery__state=State.DEAD)
_CHANNEL_THERE = Q(channel__deleted_at__isnull=True)
_WANTED = Q(delivery__notification__withdrawn_at__isnull=True)
_REPLAYABLE = _WAITS & _DEAD & _CHANNEL_THERE & _WANTED


class NothingNamed(ValueError):
    """A selection without a single field: everything is never meant by leaving everything out."""


@dataclass(frozen=True, slots=True)
class ChannelCount:
    """What goes to one channel. `enabled` False: it is switched off, and these are sent all the same."""

    id: int
    key: str
    name: str
    enabled: bool
    count: int


@dataclass(frozen=True, slots=True)
class Preview:
    """Of some letters: how many would be sent again, where, for which causes; how many would not, and why not.

    `newest` is the id of the last one: what is buried later was not looked at. `groups` and `sample`
    are cut off.
    """

    count: int
    decided: int
    not_dead: int
    channel_deleted: int
    withdrawn: int
    expired: int
    newest: int
    channels: list[ChannelCount]
    groups: list[Group]
    sample: list[DeadLetter]

    @property
    def to_replay(self) -> int:
        return sum(channel.count for channel in self.channels)

    @property
    def to_discard(self) -> int:
        return self.count - self.decided


def preview(letters: DeadLetterQuerySet) -> Preview:
    """Look at `letters` and change nothing. Five queries, however many there are."""
    rows = letters.order_by()
    counts = rows.aggregate(
        count=Count("pk"),
        decided=Count("pk", filter=~_WAITS),
        not_dead=Count("pk", filter=_WAITS & ~_DEAD),
        channel_deleted=Count("pk", filter=_WAITS & _DEAD & ~_CHANNEL_THERE),
        withdrawn=Count("pk", filter=_WAITS & _DEAD & _CHANNEL_THERE & ~_WANTED),
        expired=Count("pk", filter=_REPLAYABLE & Q(delivery__expires_at__lt=Now())),
        newest=Max("pk"),
    )
    waiting = rows.waiting().select_related("channel", "delivery__notification__streamer")
    return Preview(
        channels=_by_channel(rows),
        groups=dead_letters.groups(waiting, limit=MOST_GROUPS),
        sample=list(waiting.order_by("-pk")[:MOST_SAMPLES]),
        **{**counts, "newest": counts["newest"] or 0},
    )


def _by_channel(rows: DeadLetterQuerySet) -> list[ChannelCount]:
    names = ("channel", "channel__key", "channel__name", "channel__enabled")
    counted = rows.filter(_REPLAYABLE).values_list(*names).annotate(count=Count("pk")).order_by("-count", "channel")
    return [ChannelCount(*row) for row in counted]


def start(
    selection: Selection, *, by: str, pace_per_s: float | None, now: datetime, upto: int | None = None
) -> ReplayJob:
    """Replay all waiting letters that fit now, and were buried up to the id `upto`. Raises `NothingNamed`."""
    if selection.is_empty:
        raise NothingNamed
    rows = selection.of(DeadLetter.objects.waiting())
    if upto is not None:
        rows = rows.filter(pk__lte=upto)
    extent = rows.order_by().aggregate(total=Count("pk"), upto=Max("pk"))
    job = ReplayJob.objects.start(
        selection.stored(), by=by, pace_per_s=pace_per_s, extent=(extent["total"], extent["upto"] or 0), now=now
    )
    _log.info("replay_started", job=job.pk, by=by, total=job.total, pace_per_s=pace_per_s)
    return job


def advance(job_id: int, now: datetime) -> bool:
    """Replay the next batch of a job, as far as its pace goes. True when more could go at once.

    Does nothing where the job has ended, or somebody else is at it.
    """
    with transaction.atomic():
        job = ReplayJob.objects.take(job_id)
        size = job.room(now, most=BATCH) if job else 0
        if job is None or not size:
            return False
        letters = list(_left(job)[:size])
        if letters:
            replayed = dead_letters.replay(letters, by=job.by, now=now)
            job.note([letter.pk for letter in letters], replayed=replayed, now=now)
        if len(letters) < size:
            job.finish(now)
    if not job.is_running:
        _log.info("replay_done", job=job.pk, by=job.by, replayed=job.replayed, skipped=job.skipped)
    return job.is_running and bool(job.room(now, most=BATCH))


def _left(job: ReplayJob) -> DeadLetterQuerySet:
    rows = restored(job.selection).of(DeadLetter.objects.waiting())
    return rows.filter(pk__gt=job.cursor, pk__lte=job.upto).order_by("pk")


def advance_all(now: datetime) -> int:
    """Every running job goes on a little, in turn, for half a second in all. Returns how many are running."""
    give_up_at = time.monotonic() + BUDGET_S
    jobs: Sequence[int] = list(ReplayJob.objects.running().order_by("pk").values_list("pk", flat=True))
    going = jobs
    while going and time.monotonic() < give_up_at:
        going = [job_id for job_id in going if _advance_or_tell(job_id, now)]
    return len(jobs)


def _advance_or_tell(job_id: int, now: datetime) -> bool:
    try:
        return advance(job_id, now)
    except Exception:  # noqa: BLE001  One job that cannot go on must hold up neither the others nor the sweep.
        _log.exception("replay_failed", job=job_id)
        return False


def cancel(job: ReplayJob, *, by: str, now: datetime) -> bool:
    """End a job; what it has replayed stays so. False when it had ended already."""
    cancelled = ReplayJob.objects.cancel(job.pk, by=by, now=now)
    if cancelled:
        _log.info("replay_cancelled", job=job.pk, by=by)
    job.refresh_from_db()
    return cancelled


def summary(job: ReplayJob) -> dict[str, Any]:
    """A job in figures: the same for API and command."""
    return {
        "id": job.pk,
        "state": job.state,
        "selection": {name: value for name, value in job.selection.items() if name != "channel_id"},
        "by": job.by,
        "pace_per_s": job.pace_per_s,
        "total": job.total,
        "replayed": job.replayed,
        "skipped": job.skipped,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "cancelled_by": job.cancelled_by,
    }
