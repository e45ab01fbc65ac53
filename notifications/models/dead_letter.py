"""What will not be tried again until a person replays or discards it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import models, transaction

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications.models.delivery import Delivery
from notifications.states import State


class DeadLetterQuerySet(models.QuerySet["DeadLetter"]):
    def waiting(self) -> DeadLetterQuerySet:
        """Those on which nobody has decided yet."""
        return self.filter(replayed_at__isnull=True, discarded_at__isnull=True)

    def decided(self) -> DeadLetterQuerySet:
        """Those that were replayed or discarded."""
        return self.exclude(replayed_at__isnull=True, discarded_at__isnull=True)

    def replayable(self) -> DeadLetterQuerySet:
        """Of those that wait: the delivery is still dead, its channel still there, and nobody withdrew it."""
        return self.waiting().filter(
            delivery__state=State.DEAD,
            delivery__notification__withdrawn_at__isnull=True,
            channel__deleted_at__isnull=True,
        )

    def discard(self, ids: Sequence[int], *, reason: str, by: str, now: datetime) -> int:
        """Decide that these are not sent; those already decided on are left alone."""
        with transaction.atomic():
            # Locked in the order in which replaying locks them, so that the two never wait in a circle.
            waiting = self.waiting().filter(pk__in=ids).order_by("pk").select_for_update()
            locked = list(waiting.values_list("pk", flat=True))
            return self.filter(pk__in=locked).update(discarded_at=now, discard_reason=reason, decided_by=by)


class DeadLetter(models.Model):
    """One burial of a delivery, with its cause. A delivery that dies again after a replay gets another."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="dead_letters")
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=12, choices=[(outcome.value, outcome.value) for outcome in Outcome])
    code = models.PositiveIntegerField(default=0)
    detail = models.TextField(blank=True, default="")
    #: Equal for equal failures of one channel, so that a thousand of them are one line.
    fingerprint = models.CharField(max_length=64)
    attempts = models.PositiveSmallIntegerField()
    buried_at = models.DateTimeField()
    replayed_at = models.DateTimeField(null=True, blank=True)
    discarded_at = models.DateTimeField(null=True, blank=True)
    discard_reason = models.CharField(max_length=200, blank=True, default="")
    #: Who replayed or discarded it: a user's name, or an API key's.
    decided_by = models.CharField(max_length=200, blank=True, default="")

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["channel", "fingerprint", "-id"],
                condition=models.Q(replayed_at__isnull=True, discarded_at__isnull=True),
                name="dead_letter_waiting",
            ),
            models.Index(fields=["buried_at"], name="dead_letter_by_time"),
        ]

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has decided on it yet."""
        return self.replayed_at is None and self.discarded_at is None

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.outcome} {self.code or ''}".strip()
