"""/dead-letters: what will not be tried again until somebody decides."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import django_filters
import msgspec
from django.core.exceptions import ValidationError
from django.db.models import Count, Max, Min
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from msgspec import Meta
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from channels_app.outcomes import Outcome
from notifications import clock, dead_letters
from notifications.api.caller import IsOperator, caller_of, known_caller
from notifications.api.filters import MomentFilter, in_utc
from notifications.api.pagination import NewestFirst
from notifications.api.problems import conflict, invalid
from notifications.api.wire import body_of
from notifications.models import DeadLetter
from notifications.models.dead_letter import DeadLetterQuerySet

#: Dead letters that one request replays at most; the answer says how many are left.
MAX_REPLAYED = 1000
#: Groups in one answer.
MAX_GROUPS = 500


class Selection(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to replay: all waiting ones that fit every field that is given."""

    ids: Annotated[list[Annotated[int, Meta(ge=1)]], Meta(min_length=1, max_length=MAX_REPLAYED)] | None = None
    channel: str | None = None
    fingerprint: str | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    dry_run: bool = False

    def of(self, rows: DeadLetterQuerySet) -> DeadLetterQuerySet:
        """Those of `rows` that are meant. Raises `Problem` where nothing was named: that is never meant."""
        wanted = {
            "pk__in": self.ids,
            "channel__key": self.channel,
            "fingerprint": self.fingerprint,
            "buried_at__gte": self._since_in_utc(),
        }
        given = {lookup: value for lookup, value in wanted.items() if value is not None}
        if not given:
            raise invalid(("", "Name ids, channel, fingerprint or since."))
        if any("\0" in value for value in given.values() if isinstance(value, str)):
            raise invalid(("", "The character NUL fits nothing."))
        return rows.waiting().filter(**given)

    def _since_in_utc(self) -> datetime | None:
        try:
            return in_utc(self.since) if self.since else None
        except ValidationError as error:
            raise invalid(("since", str(error.message))) from None


class DiscardRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it will not be sent."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class DeadLetterSerializer(serializers.ModelSerializer[DeadLetter]):
    """A dead letter with what it is about."""

    delivery = serializers.IntegerField(source="delivery_id", read_only=True, help_text="Id of the delivery.")
    notification = serializers.UUIDField(source="delivery.notification_id", read_only=True)
    event_type = serializers.CharField(source="delivery.notification.event_type", read_only=True)
    title = serializers.CharField(source="delivery.notification.title", read_only=True)
    channel = serializers.CharField(source="channel.key", read_only=True, help_text="Key of the channel.")
    kind = serializers.CharField(source="channel.kind", read_only=True)

    class Meta:
        model = DeadLetter
        fields = [
            "id", "delivery", "notification", "event_type", "title", "channel", "kind", "outcome", "code", "detail",
            "fingerprint", "attempts", "buried_at", "replayed_at", "discarded_at", "discard_reason", "decided_by",
        ]  # fmt: skip


class GroupSerializer(serializers.Serializer[Any]):
    """Equal failures of one channel."""

    channel = serializers.CharField(help_text="Key of the channel.")
    fingerprint = serializers.CharField()
    count = serializers.IntegerField()
    first = serializers.DateTimeField(help_text="When the first of them was buried.")
    last = serializers.DateTimeField(help_text="When the last was.")
    sample = DeadLetterSerializer(help_text="The newest.")


class GroupsSerializer(serializers.Serializer[Any]):
    results = GroupSerializer(many=True)
    more = serializers.BooleanField(help_text=f"Whether there are more than {MAX_GROUPS} groups.")


class ReplayedSerializer(serializers.Serializer[Any]):
    matched = serializers.IntegerField(help_text="Waiting dead letters that fit.")
    replayed = serializers.IntegerField(help_text="How many went on their way now.")
    dry_run = serializers.BooleanField()


class DeadLetterFilters(django_filters.FilterSet):  # type: ignore[misc]
    channel = django_filters.CharFilter(field_name="channel__key", help_text="Key of a channel.")
    outcome = django_filters.ChoiceFilter(
        choices=[(outcome.value, outcome.value) for outcome in Outcome], help_text="What the last try came to."
    )
    fingerprint = django_filters.CharFilter(help_text="Those of one group.")
    since = MomentFilter(field_name="buried_at", lookup_expr="gte", help_text="Buried from here.")
    until = MomentFilter(field_name="buried_at", lookup_expr="lt", help_text="Buried before.")
    decided = django_filters.BooleanFilter(
        method="either", help_text="true: those replayed or discarded. Otherwise those that wait for a decision."
    )

    def either(self, rows: DeadLetterQuerySet, name: str, value: bool) -> DeadLetterQuerySet:
        return rows

    def filter_queryset(self, queryset: DeadLetterQuerySet) -> DeadLetterQuerySet:
        rows: DeadLetterQuerySet = super().filter_queryset(queryset)
        return rows.decided() if self.form.cleaned_data["decided"] else rows.waiting()


_TAGS = ["dead letters"]


@extend_schema_view(
    list=extend_schema(
        tags=_TAGS, summary="List dead letters", description="Newest first; those on which nobody has decided yet."
    ),
    retrieve=extend_schema(tags=_TAGS, summary="Read a dead letter", description="Decided on or not."),
)
class DeadLetters(ListModelMixin, RetrieveModelMixin, GenericViewSet[DeadLetter]):
    permission_classes = [IsOperator]
    pagination_class = NewestFirst
    filterset_class = DeadLetterFilters
    filtered_actions = frozenset({"list", "groups"})
    serializer_class = DeadLetterSerializer
    lookup_field = "id"

    @property
    def body_type(self) -> Any:
        """What the parser reads the body into."""
        return {"discard": DiscardRequest, "replay_many": Selection}.get(self.action or "", Any)

    def get_queryset(self) -> DeadLetterQuerySet:
        caller = known_caller(self.request)
        rows = caller.dead_letters() if caller else DeadLetter.objects.waiting()  # Without a caller: for the schema.
        return rows.select_related("channel", "delivery__notification")

    @extend_schema(
        tags=_TAGS,
        summary="Group dead letters",
        description="Equal failures of a channel as one line, the most frequent first.",
        responses=GroupsSerializer,
        filters=True,
    )
    def groups(self, request: Request) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        groups = list(
            rows.values("channel_id", "channel__key", "fingerprint")
            .annotate(count=Count("id"), first=Min("buried_at"), last=Max("buried_at"), sample=Max("id"))
            .order_by("-count", "-last", "channel_id", "fingerprint")[: MAX_GROUPS + 1]
        )
        samples = self.get_queryset().in_bulk([group["sample"] for group in groups])
        results = [
            {**group, "channel": group["channel__key"], "sample": samples[group["sample"]]}
            for group in groups[:MAX_GROUPS]
        ]
        return Response(GroupsSerializer({"results": results, "more": len(groups) > MAX_GROUPS}).data)

    @extend_schema(
        tags=_TAGS,
        summary="Replay a dead letter",
        description="Its delivery begins again, with all its attempts. One that is no longer dead is not sent twice: "
        "409.",
        request=None,
    )
    def replay(self, request: Request, id: int) -> Response:  # noqa: A002  the name in the URL
        letter = self._undecided()
        if not dead_letters.replay([letter], by=caller_of(request).name, now=clock.now()):
            raise conflict("Its delivery is no longer dead, or its channel was deleted.")
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        tags=_TAGS,
        summary="Discard a dead letter",
        description="It will not be sent. It stays readable, with the reason and who decided.",
        request={"application/json": {"$ref": "#/components/schemas/DiscardRequest"}},
        examples=[OpenApiExample("Out of date", value={"reason": "The stream is long over."}, request_only=True)],
    )
    def discard(self, request: Request, id: int) -> Response:  # noqa: A002
        letter = self._undecided()
        reason = body_of(request, DiscardRequest).reason
        if not dead_letters.discard([letter], reason=reason, by=caller_of(request).name, now=clock.now()):
            raise conflict(_DECIDED)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        tags=_TAGS,
        operation_id="dead_letters_replay_many",
        summary="Replay many dead letters",
        description=f"All waiting ones that fit every field that is given, oldest first, {MAX_REPLAYED} at most: "
        "repeat it until `matched` is 0. `dry_run` only counts.",
        request={"application/json": {"$ref": "#/components/schemas/Selection"}},
        responses=ReplayedSerializer,
        examples=[
            OpenApiExample(
                "What failed on one channel since noon",
                value={"channel": "ops-webhook", "since": "2030-01-01T12:00:00Z", "dry_run": True},
                request_only=True,
            )
        ],
    )
    def replay_many(self, request: Request) -> Response:
        selection = body_of(request, Selection)
        rows = selection.of(self.get_queryset())
        matched, replayed = rows.count(), 0
        if not selection.dry_run:
            letters = list(rows.order_by("id")[:MAX_REPLAYED])
            replayed = dead_letters.replay(letters, by=caller_of(request).name, now=clock.now())
        return Response({"matched": matched, "replayed": replayed, "dry_run": selection.dry_run})

    def _undecided(self) -> DeadLetter:
        letter: DeadLetter = self.get_object()
        if not letter.is_waiting:
            raise conflict(_DECIDED)
        return letter


_DECIDED = "Somebody has decided on it already."
