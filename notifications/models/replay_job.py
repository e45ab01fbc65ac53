"""Replaying many dead letters, as a job that can be looked at, cancelled and taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import models

#: Letters a second where nobody says otherwise.
USUAL_PACE_PER_S = 50.0

#: A job that was left alone for longer does not make up for it: it would hit the far end all at once.
_MOST_MADE_UP = timedelta(seconds=2)


class ReplayJobQuerySet(models.QuerySet["ReplayJob"]):
    def running(self) -> ReplayJobQuerySet:
        return self.filter(state=ReplayJob.State.RUNNING)

    def running_of(self, selection: Mapping[str, Any], upto: int) -> ReplayJob | None:
        """The running job of these letters, if there is one: the same selection, up to the letter `upto` at least."""
        return self.running().filter(selection=dict(selection), upto__gte=upto).first()

    def take(self, job_id: int) -> ReplayJob | None:
        """Lock a running job until the transaction ends; None where it has ended or somebody else has it."""
        return self.running().select_for_update(skip_locked=True).filter(pk=job_id).first()

    def start(
        self, selection: Mapping[str, Any], *, by: str, pace_per_s: float | None, extent: tuple[int, int], now: datetime
    ) -> ReplayJob:
        """A new job. `extent`: how many letters there are, and the id of the last of them."""
        total, upto = extent
        return self.create(
            selection=dict(selection),
            by=by,
            pace_per_s=pace_per_s,
            total=total,
            upto=upto,
            created_at=now,
            advanced_at=now,
        )

    def cancel(self, job_id: int, *, by: str, now: datetime) -> bool:
        """End it where it stands; waits for the batch that is under way. False when it had ended already."""
        return bool(
            self.running().filter(pk=job_id).update(state=ReplayJob.State.CANCELLED, cancelled_by=by, finished_at=now)
        )


class ReplayJob(models.Model):
    """Which letters, how fast, how far. `replayed` + `skipped` of `total` are behind it."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    #: A `notifications.selection.Selection`, as it was asked for.
    selection = models.JSONField()
    by = models.CharField(max_length=200)
    #: Letters a second; None: as fast as possible.
    pace_per_s = models.FloatField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    total = models.PositiveIntegerField()
    replayed = models.PositiveIntegerField(default=0)
    #: No longer dead, decided on by somebody else, withdrawn, or for a channel that was deleted.
    skipped = models.PositiveIntegerField(default=0)
    #: The last letter that is behind it, and the last one that is meant: what is buried later is not.
    cursor = models.BigIntegerField(default=0)
    upto = models.BigIntegerField()
    created_at = models.DateTimeField()
    #: Up to when the pace is used up.
    advanced_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=200, blank=True, default="")

    objects = ReplayJobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], condition=models.Q(state="running"), name="replay_job_running")]

    def __str__(self) -> str:
        return f"Replay {self.pk}"

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def behind(self) -> int:
        """Letters that are behind it."""
        return self.replayed + self.skipped

    @property
    def share(self) -> float:
        """How far it is, 0 to 1."""
        return min(1.0, self.behind / self.total) if self.total else 1.0

    def room(self, now: datetime, *, most: int) -> int:
        """How many letters the pace leaves room for now, at most `most`."""
        if self.pace_per_s is None:
            return most
        elapsed_s = (now - self.advanced_at).total_seconds()
        # One letter is always let to gather, however slow the pace.
        made_up = max(1.0, self.pace_per_s * _MOST_MADE_UP.total_seconds())
        return int(min(most, made_up, self.pace_per_s * max(0.0, elapsed_s)))

    def note(self, letter_ids: Sequence[int], *, replayed: int, now: datetime) -> None:
        """These letters are behind it now. Within the transaction that replayed them."""
        self.cursor = letter_ids[-1]
        self.replayed += replayed
        self.skipped += len(letter_ids) - replayed
        self.total = max(self.total, self.behind)
        if self.pace_per_s is not None:
            used_up = self.advanced_at + timedelta(seconds=len(letter_ids) / self.pace_per_s)
            self.advanced_at = max(used_up, now - _MOST_MADE_UP)
        self.save(update_fields=["cursor", "replayed", "skipped", "total", "advanced_at"])

    def finish(self, now: datetime) -> None:
        """Nothing is left of it. What it did not come across was decided on by somebody else."""
        self.state, self.finished_at = self.State.DONE, now
        self.skipped = max(self.skipped, self.total - self.replayed)
        self.save(update_fields=["state", "finished_at", "skipped"])
