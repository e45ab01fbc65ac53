"""/dead-letters: what will not be tried again until somebody decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import django_filters
import msgspec
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
from notifications.api.filters import MomentFilter
from notifications.api.pagination import NewestFirst
from notifications.api.problems import conflict, invalid
from notifications.api.wire import body_of
from notifications.dead_letters import Group
from notifications.models import DeadLetter
from notifications.models.dead_letter import DeadLetterQuerySet
from notifications.selection import NO_NUL, Selection

#: Dead letters that one request replays, or discards, at most.
MAX_REPLAYED, MAX_DISCARDED = 1000, 50_000
#: Groups in one answer.
MAX_GROUPS = 500


class ReplayRequest(Selection, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to replay: all waiting ones that fit every field that is given."""

    dry_run: bool = False


_Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]


class DiscardRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it will not be sent."""

    reason: _Reason


class DiscardManyRequest(Selection, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters will not be sent, and why: all waiting ones that fit every field that is given."""

    reason: _Reason
    dry_run: bool = False


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
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    code = serializers.IntegerField(help_text="The far end's own number; 0 when there was no answer.")
    detail = serializers.CharField(help_text="What it said to the newest, shortened.")
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


class DiscardedSerializer(serializers.Serializer[Any]):
    matched = serializers.IntegerField(help_text="Waiting dead letters that fit.")
    discarded = serializers.IntegerField(help_text="How many were decided on now.")
    dry_run = serializers.BooleanField()


class DeadLetterFilters(django_filters.FilterSet):  # type: ignore[misc]
    channel = django_filters.CharFilter(field_name="channel__key", help_text="Key of a channel.")
    outcome = django_filters.ChoiceFilter(
        choices=[(outcome.value, outcome.value) for outcome in Outcome], help_text="What the last try came to."
    )
    fingerprint = django_filters.CharFilter(help_text="Those of one group.")
    streamer = django_filters.CharFilter(
        field_name="delivery__notification__streamer__key", help_text="Key of a streamer."
    )
    event_type = django_filters.CharFilter(
        field_name="delivery__notification__event_type", help_text="What they are about."
    )
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
        return _BODIES.get(self.action or "", Any)

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
        rows: Any = self.filter_queryset(self.get_queryset())
        found = dead_letters.groups(rows, limit=MAX_GROUPS + 1)
        results = [shown(group) for group in found[:MAX_GROUPS]]
        return Response(GroupsSerializer({"results": results, "more": len(found) > MAX_GROUPS}).data)

    @extend_schema(
        tags=_TAGS,
        summary="Replay a dead letter",
        description="Its delivery begins again, with all its attempts. One that is no longer dead is not sent twice, "
        "and one whose notification was withdrawn, or whose channel was deleted, is not sent at all: 409.",
        request=None,
    )
    def replay(self, request: Request, id: int) -> Response:  # noqa: A002  the name in the URL
        letter = self._undecided()
        if not dead_letters.replay([letter], by=caller_of(request).name, now=clock.now()):
            raise conflict(dead_letters.obstacle(letter) or _DECIDED)
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
        description=f"All waiting ones that fit every field that is given, at once, oldest first, {MAX_REPLAYED} at "
        "most. `dry_run` only counts. For more than that, and for a pace, use `POST /replay-jobs`.",
        request={"application/json": {"$ref": "#/components/schemas/ReplayRequest"}},
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
        selection = body_of(request, ReplayRequest)
        rows = self._selected(selection)
        matched, replayed = rows.count(), 0
        if not selection.dry_run:
            letters = list(rows.replayable().order_by("id")[:MAX_REPLAYED])
            replayed = dead_letters.replay(letters, by=caller_of(request).name, now=clock.now())
        return Response({"matched": matched, "replayed": replayed, "dry_run": selection.dry_run})

    @extend_schema(
        tags=_TAGS,
        operation_id="dead_letters_discard_many",
        summary="Discard many dead letters",
        description="All waiting ones that fit every field that is given will not be sent, and stay readable with the "
        f"reason. Oldest first, {MAX_DISCARDED} at most: repeat it until `matched` is 0. `dry_run` only counts.",
        request={"application/json": {"$ref": "#/components/schemas/DiscardManyRequest"}},
        responses=DiscardedSerializer,
        examples=[
            OpenApiExample(
                "All of one cause",
                value={
                    "channel": "ops-webhook",
                    "fingerprint": "0f6f1ad8d0c14be6a1f5e1f5d6f1a2b3",
                    "reason": "The receiver was taken down.",
                },
                request_only=True,
            )
        ],
    )
    def discard_many(self, request: Request) -> Response:
        body = body_of(request, DiscardManyRequest)
        rows = self._selected(body)
        matched, discarded = rows.count(), 0
        if not body.dry_run:
            by, now = caller_of(request).name, clock.now()
            discarded = dead_letters.discard_many(rows, reason=body.reason, by=by, now=now, most=MAX_DISCARDED)
        return Response({"matched": matched, "discarded": discarded, "dry_run": body.dry_run})

    def _selected(self, selection: Selection) -> DeadLetterQuerySet:
        refuse_nothing(selection)
        return selection.of(self.get_queryset()).waiting()

    def _undecided(self) -> DeadLetter:
        letter: DeadLetter = self.get_object()
        if not letter.is_waiting:
            raise conflict(_DECIDED)
        return letter


def refuse_nothing(selection: Selection) -> None:
    """Raises `Problem` where nothing was named: that is never meant."""
    if selection.is_empty:
        raise invalid(("", f"Name at least one of {', '.join(Selection.__struct_fields__)}."))


def shown(group: Group) -> dict[str, Any]:
    """A group as its serializer reads it."""
    return {
        "channel": group.newest.channel.key,
        "fingerprint": group.newest.fingerprint,
        "outcome": group.newest.outcome,
        "code": group.newest.code,
        "detail": group.newest.detail,
        "count": group.count,
        "first": group.first_at,
        "last": group.last_at,
        "sample": group.newest,
    }


_BODIES: Mapping[str, Any] = {
    "discard": DiscardRequest,
    "discard_many": DiscardManyRequest,
    "replay_many": ReplayRequest,
}
_DECIDED = "Somebody has decided on it already."
