"""One notification on its way to one channel: the state machine, and the log of its tries.

Rows are made and moved in `notifications.models.transitions` and nowhere else.
"""

from __future__ import annotations

from django.db import models

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications.models.notification import Notification
from notifications.states import State


def idempotency_id(notification_id: str, delivery_id: int) -> str:
    """What receivers tell duplicates by: the same over all tries and replays of a delivery."""
    return f"msg_{notification_id.replace('-', '')}_{delivery_id}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def in_state(self, *states: State) -> DeliveryQuerySet:
        return self.filter(state__in=states)


class Delivery(models.Model):
    """Where one notification stands on its way to one channel. See `docs/lifecycle.md`."""

    STATES = [(state.value, state.value) for state in State]

    id = models.BigAutoField(primary_key=True)
    # No indexes of their own: `delivery_once` and `delivery_by_channel` begin with them, and every index
    # is written again by each of the three moves that most deliveries make.
    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    channel = models.ForeignKey(Channel, on_delete=models.PROTECT, related_name="deliveries", db_index=False)
    #: The recipient's address on this channel, where the delivery has one of its own.
    address = models.CharField(max_length=320, blank=True, default="")
    state = models.CharField(max_length=10, choices=STATES)
    #: "<group of transports>-<class of priority>": which pump takes it.
    lane = models.CharField(max_length=30)
    priority = models.PositiveSmallIntegerField()

    #: Why it stands where it stands: a word for machines, a sentence for people.
    reason_code = models.CharField(max_length=40, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    #: When it may move on: the time of the next try, or of the end of a wait.
    due_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    #: Set when it was withdrawn while a worker held it: it is cancelled as soon as it comes back.
    cancel_requested = models.BooleanField(default=False)

    #: Tries that count, since it was made or replayed.
    attempts = models.PositiveSmallIntegerField(default=0)
    #: From here on the retry window runs. A try that the far end put off (429) is one, too.
    first_attempt_at = models.DateTimeField(null=True, blank=True)
    #: Fencing token: grows with every claim; a result is written only under the token it was sent with.
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    #: How often a lease ran out. A row that kills its workers must not go round for ever.
    lost_leases = models.PositiveSmallIntegerField(default=0)

    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["notification", "channel", "address"], name="delivery_once"),
        ]
        indexes = [
            models.Index(
                fields=["lane", "state", "channel", "due_at"],
                condition=models.Q(state__in=["pending", "retrying"]),
                name="delivery_claimable",
            ),
            # Says what is due without a look at what is not. Most deliveries are never in it.
            models.Index(fields=["lane", "due_at"], condition=models.Q(state="retrying"), name="delivery_retrying"),
            models.Index(fields=["due_at"], condition=models.Q(state="scheduled"), name="delivery_scheduled"),
            # By the lease and not by the state: a statement that names the state and many ids must never be answered
            # out of this index, which grows with what is in flight; Postgres believes it to be empty.
            models.Index(fields=["lease_until"], condition=models.Q(lease_until__isnull=False), name="delivery_leased"),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(state__in=["scheduled", "pending", "retrying"], expires_at__isnull=False),
                name="delivery_expiring",
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(state__in=["scheduled", "pending", "retrying"], cancel_requested=True),
                name="delivery_cancelling",
            ),
            models.Index(fields=["channel", "-id"], name="delivery_by_channel"),
            models.Index(fields=["-id"], condition=models.Q(state="dead"), name="delivery_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.notification_id} → {self.channel_id}"

    @property
    def idempotency_id(self) -> str:
        return idempotency_id(str(self.notification_id), self.pk)


class Attempt(models.Model):
    """One try of a delivery. Append-only."""

    OUTCOMES = [(outcome.value, outcome.value) for outcome in Outcome]

    id = models.BigAutoField(primary_key=True)
    # Without a constraint in the database: it would look up and lock the delivery for every attempt, and the
    # one statement that writes attempts has just moved that row.
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempt_log", db_constraint=False)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    outcome = models.CharField(max_length=12, choices=OUTCOMES)
    #: The far end's own number: HTTP status, SMTP reply; 0 when there was no answer.
    code = models.PositiveIntegerField(default=0)
    detail = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.outcome} {self.code or ''}".strip()
