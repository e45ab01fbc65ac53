"""/notifications: telling Belfry what happened, and asking what came of it.

Accepting is the hot path: the body goes through msgspec straight into `intake`, and the answer is
built by hand. No serializer and no query but those of `intake` stands in the way.
"""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from msgspec import UNSET
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from notifications import clock, intake
from notifications.api import examples
from notifications.api.caller import IsCaller, caller_of, known_caller
from notifications.api.filters import MomentFilter, PriorityFilter
from notifications.api.pagination import NewestFirst
from notifications.api.problems import invalid
from notifications.api.shapes import AcceptedBulkSerializer, AcceptedSerializer, NotificationDetail, NotificationSummary
from notifications.api.wire import body_of
from notifications.draft import Bulk, Draft
from notifications.intake import Accepted
from notifications.models import Attempt, Delivery, Notification
from notifications.withdrawal import withdraw

_MAX_KEY_CHARS = 200
_HEADER = "Idempotency-Key"
_TAGS = ["notifications"]


def accept_one(request: Request) -> Response:
    """Accept the one notification of the body."""
    draft = body_of(request, Draft)
    _adopt_key(draft, request)
    answers = intake.accept([draft], producer=caller_of(request).api_key, now=clock.now())
    return Response(_answer(answers[0]), status=202, headers=_replayed(answers))


class NotificationsInBulk(APIView):
    """POST /notifications/bulk"""

    permission_classes = [IsCaller]
    body_type = Bulk
    max_body_bytes = 32 * 1024 * 1024

    @extend_schema(
        tags=_TAGS,
        operation_id="notifications_create_bulk",
        summary="Send many notifications",
        description="Up to 1,000, accepted all or none; errors are named `notifications[3].priority`. Each may bear an "
        "`idempotency_key` of its own.",
        request={"application/json": {"$ref": "#/components/schemas/Bulk"}},
        responses={202: AcceptedBulkSerializer},
        examples=examples.BULK,
    )
    def post(self, request: Request) -> Response:
        drafts = body_of(request, Bulk).notifications
        if _HEADER in request.headers:
            raise invalid((_HEADER, "In bulk, give each notification an idempotency_key of its own."))
        answers = intake.accept(drafts, producer=caller_of(request).api_key, now=clock.now(), bulk=True)
        return Response(
            {"notifications": [_answer(answer) for answer in answers]}, status=202, headers=_replayed(answers)
        )


def _adopt_key(draft: Draft, request: Request) -> None:
    """The idempotency key of the header stands for that of the body; two different ones are a mistake."""
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= _MAX_KEY_CHARS):
        raise invalid((_HEADER, f"Use 1 to {_MAX_KEY_CHARS} printable ASCII characters."))
    if draft.idempotency_key not in (UNSET, None, key):
        raise invalid(("idempotency_key", f"It differs from the header {_HEADER}; send one of them."))
    draft.idempotency_key = key


def _answer(accepted: Accepted) -> dict[str, Any]:
    return {
        "id": accepted.id,
        "event_type": accepted.event_type,
        "accepted_at": accepted.accepted_at,
        "state": "waiting",
        "url": f"/api/v1/notifications/{accepted.id}",
    }


def _replayed(answers: list[Accepted]) -> dict[str, str]:
    return {"Idempotent-Replayed": "true"} if all(answer.repeated for answer in answers) else {}


class NotificationFilters(django_filters.FilterSet):  # type: ignore[misc]
    event_type = django_filters.CharFilter(help_text="Only those of this type, in the catalogue's spelling.")
    streamer = django_filters.CharFilter(field_name="streamer__key", help_text="Key of a streamer.")
    priority_min = PriorityFilter(field_name="priority", lookup_expr="gte", help_text="A word or a number, 0 to 10.")
    state = django_filters.ChoiceFilter(
        field_name="summary", choices=Notification.Summary.choices, help_text="Where it stands as a whole."
    )
    accepted_after = MomentFilter(field_name="accepted_at", lookup_expr="gte", help_text="From here.")
    accepted_before = MomentFilter(field_name="accepted_at", lookup_expr="lt", help_text="To here.")
    search = django_filters.CharFilter(field_name="title", lookup_expr="icontains", help_text="Part of the title.")


@extend_schema_view(
    create=extend_schema(
        tags=_TAGS,
        summary="Send a notification",
        description="Answers 202 as soon as it is stored for good; who hears of it is decided right after. The same "
        "idempotency key gets the same answer, with the header `Idempotent-Replayed: true`; another notification "
        "under it is a conflict (409).",
        request={"application/json": {"$ref": "#/components/schemas/Draft"}},
        parameters=[
            OpenApiParameter(
                _HEADER, str, OpenApiParameter.HEADER, description="Makes repeating safe. Or the field of that name."
            )
        ],
        responses={202: AcceptedSerializer},
        examples=examples.NOTIFICATION,
    ),
    list=extend_schema(
        tags=_TAGS,
        summary="List notifications",
        description="Newest first. Producers see their own.",
        responses=NotificationSummary(many=True),
    ),
    retrieve=extend_schema(
        tags=_TAGS,
        summary="Read a notification",
        description="With its deliveries and all their tries: who heard of it, who did not, and why.",
        responses=NotificationDetail,
    ),
)
class Notifications(ListModelMixin, RetrieveModelMixin, GenericViewSet[Notification]):
    permission_classes = [IsCaller]
    pagination_class = NewestFirst
    filterset_class = NotificationFilters
    serializer_class = NotificationSummary
    body_type = Draft
    lookup_field = "id"

    def create(self, request: Request) -> Response:
        return accept_one(request)

    def get_queryset(self) -> QuerySet[Notification]:
        caller = known_caller(self.request)
        rows = caller.notifications() if caller else Notification.objects.all()  # Without a caller: for the schema.
        return rows.with_state().select_related("streamer")

    def retrieve(self, request: Request, id: str) -> Response:  # noqa: A002  the name in the URL
        return Response(NotificationDetail(self._with_deliveries(id)).data)

    @extend_schema(
        tags=_TAGS,
        summary="Withdraw a notification",
        description="Ends every delivery that is still open. What is being sent at this moment may still arrive. "
        "Doing it twice changes nothing more.",
        request=None,
        responses=NotificationDetail,
    )
    def withdraw(self, request: Request, id: str) -> Response:  # noqa: A002
        caller = caller_of(request)
        withdraw(self.get_object(), by=caller.name, now=clock.now())
        return Response(NotificationDetail(self._with_deliveries(id)).data)

    def _with_deliveries(self, pk: str) -> Notification:
        attempts = Prefetch("attempt_log", Attempt.objects.order_by("id"))
        deliveries = Delivery.objects.select_related("channel").prefetch_related(attempts).order_by("id")
        found = self.get_queryset().prefetch_related(Prefetch("deliveries", deliveries)).filter(pk=pk).first()
        if found is None:
            raise Http404
        return found
