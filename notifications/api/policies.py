"""/policies: who hears of what, for everyone, for a platform, for a streamer."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from channels_app.models import Channel
from notifications import priority
from notifications.api.caller import Caller
from notifications.api.pagination import ById
from notifications.api.resource import Resources, StrictSerializer, described
from notifications.models import Policy, Streamer
from notifications.policy import Scope

_PRIORITY_SCHEMA = {
    "oneOf": [
        {"type": "integer", "minimum": priority.LOWEST, "maximum": priority.HIGHEST},
        {"type": "string", "enum": list(priority.WORDS)},
    ]
}


@extend_schema_field(_PRIORITY_SCHEMA)
class PriorityField(serializers.Field[int, Any, int, Any]):
    """A word or a number going in, a number coming out."""

    def to_internal_value(self, data: Any) -> int:
        try:
            return priority.parse(data)
        except priority.NotAPriority as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, value: int) -> int:
        return value


class ChannelKeys(serializers.ListField):
    """Keys of channels that the caller may name; null where the policy says nothing of channels."""

    child = serializers.CharField(max_length=100)

    def to_internal_value(self, data: Any) -> list[Channel]:
        keys: list[str] = super().to_internal_value(data)
        found = {channel.key: channel for channel in self._nameable().filter(key__in=keys)}
        missing: Any = {
            place: [f"No channel has the key {key!r}."] for place, key in enumerate(keys) if key not in found
        }
        if missing:
            raise serializers.ValidationError(missing)
        return list(found.values())

    def to_representation(self, data: Any) -> Any:
        return sorted(channel.key for channel in data.all() if channel.deleted_at is None)

    def _nameable(self) -> QuerySet[Channel]:
        """The caller's channels, and those that others have put into this policy before."""
        policy: PolicySerializer = self.parent  # type: ignore[assignment]
        mine = policy.caller.channels()
        return mine if policy.instance is None else mine | Channel.objects.current().filter(policies=policy.instance)


#: Types that one policy names.
MOST_EVENT_TYPES = 1000


class PolicySerializer(StrictSerializer):
    fixed = frozenset({"scope", "platform", "streamer"})

    scope = serializers.ChoiceField(choices=Policy.Kind.choices)
    streamer: Any = serializers.SlugRelatedField(
        slug_field="key",
        queryset=Streamer.objects.all(),
        required=False,
        allow_null=True,
        help_text="Key of a streamer.",
    )
    min_priority = PriorityField(required=False, allow_null=True, help_text="The least that is told.")
    channels = ChannelKeys(
        required=False, allow_null=True, help_text="Exactly these are told. null: as the wider policy says."
    )

    class Meta:
        model = Policy
        fields = [
            "id", "scope", "platform", "streamer", "enabled", "min_priority", "event_types", "channels", "created_at",
            "updated_at",
        ]  # fmt: skip
        read_only_fields = ["id", "created_at", "updated_at"]
        extra_kwargs: ClassVar = {"event_types": {"max_length": MOST_EVENT_TYPES}}
        # Said by `validate`, with the name of the field at fault.
        validators: list[Any] = []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if self.instance is None:
            self._check_scope(attrs)
        if not self.partial:
            attrs.setdefault("channels", None)
        if "channels" in attrs:
            attrs["names_channels"] = attrs["channels"] is not None
            attrs["channels"] = attrs["channels"] or []
        return attrs

    def to_representation(self, instance: Policy) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        if not instance.names_channels:
            shown["channels"] = None
        return shown

    def _check_scope(self, attrs: dict[str, Any]) -> None:
        scope, platform, streamer = attrs["scope"], attrs.get("platform", ""), attrs.get("streamer")
        errors = {}
        if bool(platform) != (scope == Scope.PLATFORM):
            errors["platform"] = "It belongs to a policy of the scope platform, and only there."
        if (streamer is not None) != (scope == Scope.STREAMER):
            errors["streamer"] = "It belongs to a policy of the scope streamer, and only there."
        if self.caller.is_bound and (streamer is None or streamer.pk != self.caller.streamer_id):
            errors["scope"] = f"This API key may set the policy of the streamer {self.caller.streamer_key!r} alone."
        if not errors and Policy.objects.filter(scope=scope, platform=platform, streamer=streamer).exists():
            named = scope if scope != Scope.GLOBAL else "scope"
            errors[named] = "There is such a policy already; change that one."
        if errors:
            raise serializers.ValidationError(errors)


class PolicyFilters(django_filters.FilterSet):  # type: ignore[misc]
    scope = django_filters.ChoiceFilter(choices=Policy.Kind.choices, help_text="global, platform or streamer.")
    platform = django_filters.CharFilter(help_text="Only that of this platform.")
    streamer = django_filters.CharFilter(
        field_name="streamer__key", help_text="Only that of the streamer with this key."
    )


_EXAMPLE = OpenApiExample(
    "From high upwards, on two channels",
    value={
        "scope": "streamer",
        "streamer": "nightowl",
        "min_priority": "high",
        "event_types": ["stream_*", "download_error"],
        "channels": ["ops-webhook", "team-mail"],
    },
    request_only=True,
)


@described(
    "policies",
    "a policy",
    example=_EXAMPLE,
    list="In the order in which they were made.",
    create="One a scope: one global, one a platform, one a streamer. A field that is null or left out is taken from "
    "the wider policy.",
    retrieve="By its id.",
    update="Its scope cannot change.",
    partial_update="Sets the fields that are sent.",
    destroy="The wider one applies from then on.",
)
class Policies(Resources):
    serializer_class = PolicySerializer
    pagination_class = ById
    filterset_class = PolicyFilters
    lookup_field = "id"

    def rows(self, caller: Caller) -> QuerySet[Policy]:
        return caller.policies().select_related("streamer").prefetch_related("channels")
