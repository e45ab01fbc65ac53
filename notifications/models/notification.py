"""Something that happened, to be told. Not edited after it was accepted; it can be withdrawn."""

from __future__ import annotations

from datetime import datetime

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.utils.functional import cached_property
from uuid_utils.compat import uuid7

from channels_app.feed.item import MAX_DEVICE, MAX_RECIPIENT
from notifications.models.api_key import ApiKey
from notifications.models.streamer import Streamer
from notifications.priority import Priority
from notifications.states import OPEN, State


class NotificationQuerySet(models.QuerySet["Notification"]):
    def with_state(self) -> NotificationQuerySet:
        """Annotate `summary`, where the whole notification stands: see `Notification.Summary`."""
        # Asked row by row, so that a page costs what its rows cost, however many there are in all.
        deliveries = apps.get_model("notifications", "Delivery").objects

        def any_in(*states: State) -> Exists:
            return Exists(deliveries.filter(notification=OuterRef("pk"), state__in=states))

        return self.annotate(
            summary=Case(
                When(Q(routed_at__isnull=True) | Q(feed_due_at__isnull=False) | any_in(*OPEN), then=Value("waiting")),
                When(any_in(State.DEAD), then=Value("dead")),
                When(any_in(State.DELIVERED), then=Value("delivered")),
                # What was withdrawn is in no feed any more.
                When(Q(feeds__gt=0, withdrawn_at__isnull=True), then=Value("delivered")),
                When(Q(withdrawn_at__isnull=False) | any_in(State.CANCELLED), then=Value("cancelled")),
                default=Value("suppressed"),
            )
        )


class Notification(models.Model):
    """What a producer told us, as it told us."""

    class Summary(models.TextChoices):
        """Where a notification stands as a whole, from its deliveries; the first that fits."""

        WAITING = "waiting", "waiting: a delivery is still open, feeds are not written yet, or it is not routed yet"
        DEAD = "dead", "dead: a delivery failed for good"
        DELIVERED = "delivered", "delivered: to a channel or into a feed, and failed nowhere"
        CANCELLED = "cancelled", "cancelled: withdrawn or expired"
        SUPPRESSED = "suppressed", "suppressed: policies decided against it, or there is neither channel nor feed"

    #: Grows with time, so that the primary key is also the order of arrival.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event_type = models.CharField(max_length=100)
    priority = models.PositiveSmallIntegerField()
    title = models.TextField(blank=True, default="")
    body = models.TextField(blank=True, default="")
    data = models.JSONField(blank=True, default=dict, encoder=DjangoJSONEncoder)
    # Without an index of its own: `notification_by_streamer` begins with it.
    streamer = models.ForeignKey(
        Streamer, null=True, blank=True, on_delete=models.SET_NULL, related_name="notifications", db_index=False
    )
    recipients = ArrayField(models.CharField(max_length=200), blank=True, default=list)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    producer = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)
    #: SHA-256 of what was sent under the idempotency key, to tell a repeat from a conflict.
    request_digest = models.BinaryField(null=True, editable=False)

    accepted_at = models.DateTimeField()
    routed_at = models.DateTimeField(null=True, blank=True)
    #: What came of it beside deliveries, for people: into how many feeds it was written, or why there is nothing.
    routing_note = models.CharField(max_length=200, blank=True, default="")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    #: Into how many feeds it was written; None where it is meant for none, or not yet.
    feeds = models.IntegerField(null=True, blank=True)
    #: When it, or the rest of it, is to be written into feeds.
    feed_due_at = models.DateTimeField(null=True, blank=True)
    #: The recipients up to this one, in the order of their keys' bytes, have it.
    feed_after = models.CharField(max_length=MAX_RECIPIENT, blank=True, db_default="", db_collation="C")

    #: The first device that acknowledged an item of it, in whose feed, and when.
    first_ack_at = models.DateTimeField(null=True, blank=True)
    first_ack_device = models.CharField(max_length=MAX_DEVICE, blank=True, db_default="")
    first_ack_recipient = models.CharField(max_length=MAX_RECIPIENT, blank=True, db_default="", db_collation="C")

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["producer", "idempotency_key"],
                condition=models.Q(idempotency_key__isnull=False),
                nulls_distinct=False,
                name="notification_idempotency",
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(routed_at__isnull=True), name="notification_unrouted"),
            models.Index(
                fields=["id"],
                condition=models.Q(routed_at__isnull=True, priority__gte=int(Priority.HIGH)),
                name="notification_urgent",
            ),
            models.Index(
                fields=["feed_due_at"], condition=models.Q(feed_due_at__isnull=False), name="notification_feeds_due"
            ),
            models.Index(F("streamer"), F("id").desc(), name="notification_by_streamer"),
            models.Index(F("event_type"), F("id").desc(), name="notification_by_type"),
        ]

    def __str__(self) -> str:
        return self.title or self.event_type

    @cached_property
    def state(self) -> str:
        """One of `Summary`; cheap where the queryset was made by `with_state`."""
        annotated: str | None = getattr(self, "summary", None)
        if annotated is None:
            annotated = Notification.objects.with_state().get(pk=self.pk).state
        return annotated

    def mark_withdrawn(self, now: datetime) -> None:
        """Record it, once; the first time stands. From then on nothing of it is written into feeds."""
        Notification.objects.filter(pk=self.pk, withdrawn_at__isnull=True).update(withdrawn_at=now, feed_due_at=None)
        self.refresh_from_db(fields=["withdrawn_at", "feeds", "feed_due_at"])
