"""/channels: the configured destinations. Secrets go in and never come out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import django_filters
import msgspec
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from channels_app import registry
from channels_app.configuration import MASK, InvalidConfig
from channels_app.models import PATIENCE, Channel
from channels_app.outcomes import Outcome
from channels_app.secrets import SecretUnreadable
from notifications import channel_control, clock
from notifications.api.caller import Caller, caller_of
from notifications.api.pagination import ByKey
from notifications.api.problems import conflict
from notifications.api.resource import Resources, StrictSerializer, described
from notifications.models import Streamer
from notifications.retirement import retire
from notifications.retry import PRESETS, Schedule
from notifications.trial import send_test

_READ_ONLY = ["quarantined_at", "quarantine_reason", "created_at", "updated_at"]


class ChannelSerializer(StrictSerializer):
    fixed = frozenset({"key", "kind"})

    config = serializers.DictField(
        help_text=f"The transport's settings: see `GET /transports`. Secrets that are set are shown as `{MASK}`; "
        "those that are left out, or sent back as shown, stay as they are."
    )
    retry_preset = serializers.ChoiceField(
        choices=sorted(PRESETS), write_only=True, required=False, help_text="Fills the retry fields that are not sent."
    )

    class Meta:
        model = Channel
        fields = ["key", "name", "kind", "enabled", "owner_key", "config", "retry_preset", *PATIENCE, *_READ_ONLY]
        read_only_fields = _READ_ONLY

    def validate_key(self, key: str) -> str:
        if self.instance is None and Channel.objects.current().filter(key=key).exists():
            raise serializers.ValidationError("Another channel has this key.")
        return key

    def validate_kind(self, kind: str) -> str:
        if kind not in registry.all_kinds():
            raise serializers.ValidationError(str(registry.UnknownKind(kind)))
        return kind

    def validate_owner_key(self, key: str) -> str:
        if self.caller.is_bound and key != self.caller.streamer_key:
            raise serializers.ValidationError(f"This API key speaks for {self.caller.streamer_key!r} alone.")
        if key and not Streamer.objects.filter(key=key).exists():
            raise serializers.ValidationError(f"No streamer has the key {key!r}.")
        return key

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if self.caller.is_bound:
            attrs["owner_key"] = self.caller.streamer_key
        preset = attrs.pop("retry_preset", None)
        if preset:
            attrs = {**_fields_of(PRESETS[preset]), **attrs}
        if "config" in attrs:
            attrs.update(self._sealed(attrs["config"], attrs.get("kind", "")))
        return attrs

    def _sealed(self, settings: dict[str, Any], kind: str) -> dict[str, Any]:
        """The columns that hold these settings. On PATCH, plain settings that are left out stay too."""
        old: Channel | None = self.instance
        probe = Channel(kind=old.kind, secrets=old.secrets) if old else Channel(kind=kind)
        complete = {**old.config, **settings} if old and self.partial else settings
        try:
            if "\\u0000" in msgspec.json.encode(complete).decode():
                raise InvalidConfig("", "The character NUL cannot be stored.")
            probe.configure(complete)
        except InvalidConfig as error:
            path = f"config.{error.field}" if error.field else "config"
            raise serializers.ValidationError({path: error.text}) from None
        except SecretUnreadable as error:
            raise serializers.ValidationError({"config": f"{error} Send all secrets anew."}) from None
        return {"config": probe.config, "secrets": probe.secrets, "secret_names": probe.secret_names}

    def to_representation(self, channel: Channel) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(channel)
        shown["config"] = shown_config(channel)
        return shown


def shown_config(channel: Channel) -> dict[str, Any]:
    """Its settings with secrets masked; of a kind that is no longer installed, nothing."""
    return channel.shown_config if channel.kind in registry.all_kinds() else {}


def _fields_of(preset: Schedule) -> dict[str, Any]:
    values = asdict(preset)
    return {name if name == "max_attempts" else f"retry_{name}": value for name, value in values.items()}


class ChannelFilters(django_filters.FilterSet):  # type: ignore[misc]
    kind = django_filters.CharFilter(help_text="Only those of this kind.")
    owner = django_filters.CharFilter(field_name="owner_key", help_text="Only those of the streamer with this key.")
    enabled = django_filters.BooleanFilter(help_text="Only those that are on, or off.")


class TriedSerializer(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    code = serializers.IntegerField(help_text="The far end's own number; 0 when there was no answer.")
    detail = serializers.CharField(help_text="What it said, shortened.")
    duration_ms = serializers.IntegerField()


_EXAMPLE = OpenApiExample(
    "A signed webhook",
    value={
        "key": "ops-webhook",
        "name": "Operations",
        "kind": "webhook",
        "config": {"url": "https://hooks.example.org/belfry", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
        "retry_preset": "patient",
    },
    request_only=True,
)


@described(
    "channels",
    "a channel",
    example=_EXAMPLE,
    list="By key, without deleted ones.",
    create="`config` is what the transport of this `kind` asks for: see `GET /transports`.",
    retrieve="By its key. Secrets are masked.",
    update="Secrets that are left out stay. `kind` cannot change.",
    partial_update="Sets the fields that are sent; within `config` too. `kind` cannot change.",
    destroy="What waits for it is cancelled, its secrets are forgotten, its past stays readable.",
)
class Channels(Resources):
    serializer_class = ChannelSerializer
    pagination_class = ByKey
    filterset_class = ChannelFilters
    lookup_field = "key"

    def rows(self, caller: Caller) -> QuerySet[Channel]:
        return caller.channels()

    def perform_update(self, serializer: Any) -> None:
        """A channel that gets new settings is out of quarantine at once."""
        now, by = clock.now(), caller_of(self.request).name
        if channel_control.change_settings(serializer.instance, serializer.save, by=by, now=now):
            serializer.instance.refresh_from_db()

    def perform_destroy(self, instance: Channel) -> None:
        retire(instance, by=caller_of(self.request).name, now=clock.now())

    @extend_schema(
        tags=["channels"],
        summary="Send a test",
        description="Sends a test message right now, past all policies, and answers with what came of it. "
        "The status is 200 whatever the channel said: read `outcome`.",
        request=None,
        responses=TriedSerializer,
        examples=[
            OpenApiExample(
                "It works", value={"outcome": "ok", "code": 204, "detail": "", "duration_ms": 84}, response_only=True
            )
        ],
    )
    def test(self, request: Request, key: str) -> Response:
        """A try that is recorded nowhere but in the log."""
        try:
            tested = send_test(self.get_object(), by=caller_of(request).name, now=clock.now())
        except (SecretUnreadable, registry.UnknownKind) as error:
            raise conflict(f"The channel cannot be used: {error}") from None
        verdict = tested.verdict
        return Response(
            {
                "outcome": verdict.outcome.value,
                "code": verdict.code,
                "detail": verdict.detail,
                "duration_ms": tested.duration_ms,
            }
        )
