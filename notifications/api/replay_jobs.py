"""/replay-jobs: many dead letters, sent once more at a pace, however long it takes."""

from __future__ import annotations

from typing import Annotated, Any

import django_filters
import msgspec
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from msgspec import Meta
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from notifications import clock, replays
from notifications.api.caller import Caller, IsOperator, caller_of, known_caller
from notifications.api.dead_letters import DeadLetterSerializer, GroupSerializer, refuse_nothing, shown
from notifications.api.pagination import NewestFirst
from notifications.api.problems import conflict, invalid
from notifications.api.wire import body_of
from notifications.models import DeadLetter, ReplayJob
from notifications.selection import Selection


class ReplayJobRequest(Selection, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to replay, and how fast: all waiting ones that fit every field that is given."""

    pace_per_s: Annotated[float, Meta(gt=0, le=10_000)] | None = replays.USUAL_PACE_PER_S
    dry_run: bool = False


class ReplayJobSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=ReplayJob.State.choices)
    selection = serializers.DictField(help_text="What was asked for.")
    by = serializers.CharField(help_text="Who asked for it.")
    pace_per_s = serializers.FloatField(allow_null=True, help_text="Letters a second; null: as fast as possible.")
    total = serializers.IntegerField(help_text="Letters that fitted when it began.")
    replayed = serializers.IntegerField(help_text="How many went on their way.")
    skipped = serializers.IntegerField(
        help_text="No longer dead, decided on by somebody else, withdrawn, or for a channel that was deleted."
    )
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    cancelled_by = serializers.CharField(help_text="Empty where nobody did.")


class ChannelCountSerializer(serializers.Serializer[Any]):
    channel = serializers.CharField(source="key", help_text="Key of the channel.")
    count = serializers.IntegerField()


class PreviewSerializer(serializers.Serializer[Any]):
    """What a job would do."""

    dry_run = serializers.BooleanField()
    matched = serializers.IntegerField(help_text="Waiting dead letters that fit.")
    to_replay = serializers.IntegerField(help_text="How many would go on their way.")
    not_dead = serializers.IntegerField(help_text="Left out: the delivery is no longer dead.")
    channel_deleted = serializers.IntegerField(help_text="Left out: the channel was deleted.")
    withdrawn = serializers.IntegerField(help_text="Left out: its producer has withdrawn the notification.")
    expired = serializers.IntegerField(help_text="Of those to replay: past their expiry; they are sent all the same.")
    channels = ChannelCountSerializer(many=True, help_text="Where they would go.")
    groups = GroupSerializer(many=True, help_text=f"The {replays.MOST_GROUPS} most frequent causes.")
    sample = DeadLetterSerializer(many=True, help_text="The newest few.")


class ReplayJobFilters(django_filters.FilterSet):  # type: ignore[misc]
    state = django_filters.ChoiceFilter(choices=ReplayJob.State.choices, help_text="Where they stand.")


_TAGS = ["dead letters"]


@extend_schema_view(
    list=extend_schema(tags=_TAGS, summary="List replay jobs", description="Newest first."),
    retrieve=extend_schema(
        tags=_TAGS, summary="Read a replay job", description="How far it is: `replayed` and `skipped` of `total`."
    ),
)
class ReplayJobs(ListModelMixin, RetrieveModelMixin, GenericViewSet[ReplayJob]):
    permission_classes = [IsOperator]
    pagination_class = NewestFirst
    filterset_class = ReplayJobFilters
    serializer_class = ReplayJobSerializer
    lookup_field = "id"

    @property
    def body_type(self) -> Any:
        """What the parser reads the body into."""
        return ReplayJobRequest if self.action == "create" else Any

    def get_queryset(self) -> QuerySet[ReplayJob]:
        caller = known_caller(self.request)
        rows = ReplayJob.objects.all()
        return rows.filter(selection__streamer=caller.streamer_key) if caller and caller.is_bound else rows

    @extend_schema(
        tags=_TAGS,
        summary="Replay many at a pace",
        description="Starts a job that replays all waiting dead letters that fit every field that is given, oldest "
        "first, and answers at once. It goes on wherever a worker was cut off, and sends nothing again that has "
        "arrived meanwhile. What is buried after it began is not meant. `dry_run` changes nothing and answers 200 "
        "with what would happen.",
        request={"application/json": {"$ref": "#/components/schemas/ReplayJobRequest"}},
        responses={201: ReplayJobSerializer, 200: PreviewSerializer},
        examples=[
            OpenApiExample(
                "What failed on one channel since noon",
                value={"channel": "ops-webhook", "since": "2030-01-01T12:00:00Z", "pace_per_s": 20},
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        caller, body = caller_of(request), body_of(request, ReplayJobRequest)
        refuse_nothing(body)
        selection = _within(caller, body)
        if body.dry_run:
            return Response(_preview(selection))
        job = replays.start(selection, by=caller.name, pace_per_s=body.pace_per_s, now=clock.now())
        return Response(self.get_serializer(job).data, status=201)

    @extend_schema(
        tags=_TAGS,
        summary="Cancel a replay job",
        description="What it has replayed stays so; the rest keeps waiting for a decision. 409 when it has ended.",
        request=None,
        responses=ReplayJobSerializer,
    )
    def cancel(self, request: Request, id: int) -> Response:  # noqa: A002  the name in the URL
        job = self.get_object()
        if not replays.cancel(job, by=caller_of(request).name, now=clock.now()):
            raise conflict("It has ended already.")
        return Response(self.get_serializer(job).data)


def _within(caller: Caller, selection: Selection) -> Selection:
    """Of a caller that is bound to a streamer, its letters alone; the job remembers that."""
    if caller.is_bound and selection.streamer not in (None, caller.streamer_key):
        raise invalid(("streamer", f"This API key speaks for {caller.streamer_key!r} alone."))
    return msgspec.structs.replace(selection, streamer=caller.streamer_key) if caller.is_bound else selection


def _preview(selection: Selection) -> dict[str, Any]:
    looked_at = replays.preview(selection.of(DeadLetter.objects.waiting()))
    found = PreviewSerializer(
        {
            "dry_run": True,
            "matched": looked_at.count,
            "to_replay": looked_at.to_replay,
            "not_dead": looked_at.not_dead,
            "channel_deleted": looked_at.channel_deleted,
            "withdrawn": looked_at.withdrawn,
            "expired": looked_at.expired,
            "channels": looked_at.channels,
            "groups": [shown(group) for group in looked_at.groups],
            "sample": looked_at.sample,
        }
    )
    return dict(found.data)
