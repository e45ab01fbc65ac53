"""How notifications, deliveries and tries look to a reader."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from notifications import priority
from notifications.models import Attempt, Delivery, Notification


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One try."""

    class Meta:
        model = Attempt
        fields = ["started_at", "duration_ms", "outcome", "code", "detail"]


class DeliveryInNotification(serializers.ModelSerializer[Delivery]):
    """A delivery without what its notification says already."""

    channel = serializers.CharField(source="channel.key", read_only=True, help_text="Key of the channel.")
    kind = serializers.CharField(source="channel.kind", read_only=True)
    attempt_log = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id", "channel", "kind", "state", "reason_code", "reason", "attempts", "due_at", "settled_at",
            "attempt_log",
        ]  # fmt: skip


class DeliverySummary(serializers.ModelSerializer[Delivery]):
    """A delivery in a list."""

    channel = serializers.CharField(source="channel.key", read_only=True, help_text="Key of the channel.")
    kind = serializers.CharField(source="channel.kind", read_only=True)
    notification = serializers.UUIDField(source="notification_id", read_only=True)
    idempotency_id = serializers.CharField(read_only=True, help_text="What receivers tell duplicates by.")

    class Meta:
        model = Delivery
        fields = [
            "id", "notification", "channel", "kind", "address", "state", "reason_code", "reason", "priority",
            "attempts", "created_at", "due_at", "expires_at", "settled_at", "idempotency_id",
        ]  # fmt: skip


class DeliveryDetail(DeliverySummary):
    """A delivery with its tries."""

    attempt_log = AttemptSerializer(many=True, read_only=True)

    class Meta(DeliverySummary.Meta):
        fields = [*DeliverySummary.Meta.fields, "attempt_log"]


class NotificationSummary(serializers.ModelSerializer[Notification]):
    """A notification in a list."""

    streamer = serializers.SerializerMethodField(help_text="Key of the streamer, or null.")
    priority_label = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=Notification.Summary.choices, read_only=True)
    data: Any = serializers.DictField(read_only=True)

    class Meta:
        model = Notification
        fields = [
            "id", "event_type", "priority", "priority_label", "title", "body", "data", "streamer", "recipients",
            "scheduled_at", "expires_at", "accepted_at", "routed_at", "routing_note", "withdrawn_at", "feeds", "state",
        ]  # fmt: skip

    def get_streamer(self, notification: Notification) -> str | None:
        return notification.streamer.key if notification.streamer else None

    @extend_schema_field(serializers.ChoiceField(choices=sorted({priority.label(step) for step in range(11)})))
    def get_priority_label(self, notification: Notification) -> str:
        return priority.label(notification.priority)


class NotificationDetail(NotificationSummary):
    """A notification with its deliveries."""

    deliveries = DeliveryInNotification(many=True, read_only=True)

    class Meta(NotificationSummary.Meta):
        fields = [
            *NotificationSummary.Meta.fields, "first_ack_at", "first_ack_device", "first_ack_recipient", "deliveries",
        ]  # fmt: skip


class AcceptedSerializer(serializers.Serializer[Any]):
    """The answer to a notification that was accepted."""

    id = serializers.UUIDField()
    event_type = serializers.CharField(help_text="In the catalogue's spelling.")
    accepted_at = serializers.DateTimeField()
    state = serializers.CharField(help_text="Always `waiting`: ask `url` for what came of it.")
    url = serializers.CharField(help_text="Where to ask.")


class AcceptedBulkSerializer(serializers.Serializer[Any]):
    """One answer each, in order."""

    notifications = AcceptedSerializer(many=True)
