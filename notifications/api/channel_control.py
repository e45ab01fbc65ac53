"""/channels/{key}/...: how a channel stands at its breaker, and the same by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from msgspec import Meta
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from channels_app.breaker import State
from channels_app.models import Channel
from channels_app.volatile import Away
from notifications import channel_control, clock
from notifications.api.caller import IsOperator, caller_of, known_caller
from notifications.api.problems import Problem, conflict
from notifications.api.wire import body_of

T = TypeVar("T")

BREAKER_STATES = tuple([state.value for state in State if state is not State.UNKNOWN])


class PauseRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long nothing is sent."""

    seconds: Annotated[float, Meta(ge=1, le=channel_control.LONGEST_PAUSE_S)]


class StandingSerializer(serializers.Serializer[Any]):
    """How a channel stands at its gates."""

    state = serializers.ChoiceField(
        choices=BREAKER_STATES,
        help_text="closed: everything passes; open: it failed too often; half_open: one request finds out; "
        "tripped: opened by hand.",
    )
    since = serializers.DateTimeField(allow_null=True, help_text="null where it is closed.")
    next_probe_at = serializers.DateTimeField(allow_null=True, help_text="When one request may find out.")
    consecutive_failures = serializers.IntegerField()
    successes = serializers.IntegerField(help_text="Within its window.")
    failures = serializers.IntegerField(help_text="Within its window.")
    times_opened = serializers.IntegerField(help_text="Without closing in between; each pause is twice as long.")
    paused_until = serializers.DateTimeField(allow_null=True, help_text="Asked for by the far end, or by hand.")
    quarantined_at = serializers.DateTimeField(allow_null=True, help_text="Out of service since.")
    quarantine_reason = serializers.CharField(help_text="The evidence.")
    quarantine_probe_at = serializers.DateTimeField(
        allow_null=True, help_text="When one delivery may find out whether it works again."
    )


class ControlledSerializer(StandingSerializer):
    released = serializers.IntegerField(help_text="Deliveries that waited for this, and follow within seconds.")


_TAGS = ["channels"]


class ChannelControl(GenericViewSet[Channel]):
    permission_classes = [IsOperator]
    serializer_class = StandingSerializer
    lookup_field = "key"

    @property
    def body_type(self) -> Any:
        """What the parser reads the body into."""
        return PauseRequest if self.action == "pause" else Any

    def get_queryset(self) -> QuerySet[Channel]:
        caller = known_caller(self.request)
        return caller.channels() if caller else Channel.objects.current()  # Without a caller: for the schema.

    @extend_schema(
        tags=_TAGS,
        summary="Read a channel's breaker",
        description="And its pause and quarantine. 503 while Redis is away: everything passes then.",
    )
    def read(self, request: Request, key: str) -> Response:
        return Response(_standing(self.get_object()))

    @extend_schema(
        tags=_TAGS,
        summary="Trip a channel's breaker",
        description="Nothing is sent until somebody resets it; everything waits, and no attempt is counted. Redis may "
        "forget it: to stop a channel for good, disable it.",
        request=None,
    )
    def trip(self, request: Request, key: str) -> Response:
        channel, by = self.get_object(), caller_of(request).name
        _asked(lambda: channel_control.trip(channel, by=by))
        return Response(_standing(channel))

    @extend_schema(
        tags=_TAGS,
        summary="Reset a channel's breaker",
        description="Closes it and forgets its failures. What waited for it follows within seconds.",
        request=None,
        responses=ControlledSerializer,
    )
    def reset(self, request: Request, key: str) -> Response:
        channel, by = self.get_object(), caller_of(request).name
        released = _asked(lambda: channel_control.reset(channel, by=by, now=clock.now()))
        return Response({**_standing(channel), "released": released})

    @extend_schema(
        tags=_TAGS,
        summary="Pause a channel",
        description="Sends nothing for so long; everything waits, and no attempt is counted. A longer pause stays.",
        request={"application/json": {"$ref": "#/components/schemas/PauseRequest"}},
        examples=[OpenApiExample("Ten minutes", value={"seconds": 600}, request_only=True)],
    )
    def pause(self, request: Request, key: str) -> Response:
        channel, by = self.get_object(), caller_of(request).name
        seconds = body_of(request, PauseRequest).seconds
        _asked(lambda: channel_control.pause(channel, seconds, by=by))
        return Response(_standing(channel))

    @extend_schema(
        tags=_TAGS,
        summary="End a channel's pause",
        description="Whoever began it. What waited for it follows within seconds.",
        request=None,
        responses=ControlledSerializer,
    )
    def resume(self, request: Request, key: str) -> Response:
        channel, by = self.get_object(), caller_of(request).name
        released = _asked(lambda: channel_control.resume(channel, by=by, now=clock.now()))
        return Response({**_standing(channel), "released": released})

    @extend_schema(
        tags=_TAGS,
        summary="Bring a channel back into service",
        description="Ends its quarantine and resets its breaker; what waited follows within seconds. 409 when it is in "
        "service.",
        request=None,
        responses={204: None},
    )
    def restore(self, request: Request, key: str) -> Response:
        if not channel_control.restore(self.get_object(), by=caller_of(request).name, now=clock.now()):
            raise conflict("It is in service.")
        return Response(status=204)


def _standing(channel: Channel) -> dict[str, Any]:
    found = channel_control.look(channel, clock.now())
    if not found.is_known:
        raise _away()
    breaker = found.breaker
    shown = StandingSerializer(
        {
            "state": breaker.state.value,
            "since": breaker.since,
            "next_probe_at": breaker.next_probe_at,
            "consecutive_failures": breaker.consecutive_failures,
            "successes": breaker.successes,
            "failures": breaker.failures,
            "times_opened": breaker.times_opened,
            "paused_until": found.paused_until,
            "quarantined_at": channel.quarantined_at,
            "quarantine_reason": channel.quarantine_reason,
            "quarantine_probe_at": channel.probe_at,
        }
    )
    return dict(shown.data)


def _asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except Away:
        raise _away() from None


def _away() -> Problem:
    return Problem(
        503, "Redis, which keeps breakers and pauses, does not answer. Everything passes.", (), **{"Retry-After": "2"}
    )
