"""How feeds look to a reader, for the schema: what is sent comes from `channels_app.feed` as it is."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from channels_app.feed.item import Kind, Reset


class FeedStateSerializer(serializers.Serializer[Any]):
    """How a feed stands."""

    cursor = serializers.CharField(help_text="Where it is: `<epoch>-<seq>`.")
    unread = serializers.IntegerField()
    read_upto = serializers.IntegerField(help_text="The highest `seq` up to which all was read at once.")


class FeedItemSerializer(serializers.Serializer[Any]):
    """An item of a feed."""

    id = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="The number of its latest change.")
    position = serializers.IntegerField(help_text="Its place in the list: the number that it had when it was new.")
    source: Any = serializers.UUIDField(allow_null=True, help_text="The notification that it is of.")
    category = serializers.CharField(help_text="The event type.")
    priority = serializers.IntegerField(help_text="0 to 10.")
    title = serializers.CharField()
    body = serializers.CharField()
    url = serializers.CharField(help_text="Where it leads, a page or a path; or empty.")
    content_type = serializers.CharField(help_text="What `data` was.")
    data: Any = serializers.JSONField(
        allow_null=True, help_text="JSON or MessagePack as JSON, anything else in base64; null where it is broken."
    )
    ack = serializers.BooleanField(help_text="Whether a device should say that it has arrived.")
    created = serializers.DateTimeField()
    expires = serializers.DateTimeField(allow_null=True)
    seen = serializers.BooleanField()
    read = serializers.BooleanField()
    archived = serializers.BooleanField()


class FeedChangeSerializer(FeedItemSerializer):
    """An item that changed, as it is now. Of a deleted one there are only `id, type, seq, unread`."""

    type = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    unread = serializers.IntegerField(help_text="Of the whole feed.")

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name, field in fields.items():
            field.required = name in {"id", "type", "seq", "unread"}
        return fields


class FeedPageSerializer(serializers.Serializer[Any]):
    """Items, newest first."""

    items = FeedItemSerializer(many=True)
    cursor = serializers.CharField(help_text="From here nothing is missed.")
    state = FeedStateSerializer()
    next = serializers.IntegerField(allow_null=True, help_text="`before` of the page behind this one.")


class ChangesSerializer(serializers.Serializer[Any]):
    """What happened after a cursor."""

    items = FeedChangeSerializer(many=True)
    cursor = serializers.CharField(help_text="Where to go on from.")
    state = FeedStateSerializer()
    reset = serializers.ChoiceField(
        choices=[reason.value for reason in Reset],
        help_text="Empty; or why the first page must be loaded: epoch (wiped or restored), retention (forgotten), "
        "too_far (too much).",
    )
    more = serializers.BooleanField(help_text="There is more: ask again at once.")


class AckedSerializer(serializers.Serializer[Any]):
    """What an acknowledgement came to."""

    delivered = serializers.IntegerField(help_text="Items that no device had acknowledged before.")


class MarkedSerializer(serializers.Serializer[Any]):
    """What a mark came to."""

    changed = serializers.IntegerField(help_text="Items that were not like that already.")
    state = FeedStateSerializer()


class TicketSerializer(serializers.Serializer[Any]):
    """What opens one live stream."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds in which it must be used.")
    url = serializers.CharField(help_text="Where live streams are: append `/sse?ticket=…` or `/ws?ticket=…`.")
