"""/deliveries: one notification on its way to one channel."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.viewsets import GenericViewSet

from notifications.api.caller import IsCaller, known_caller
from notifications.api.pagination import NewestFirst
from notifications.api.shapes import DeliveryDetail, DeliverySummary
from notifications.models import Attempt, Delivery


class DeliveryFilters(django_filters.FilterSet):  # type: ignore[misc]
    notification = django_filters.UUIDFilter(field_name="notification_id", help_text="Those of one notification.")
    channel = django_filters.CharFilter(field_name="channel__key", help_text="Key of a channel.")
    state = django_filters.ChoiceFilter(choices=Delivery.STATES, help_text="Where they stand.")
    streamer = django_filters.CharFilter(field_name="notification__streamer__key", help_text="Key of a streamer.")


_TAGS = ["deliveries"]


@extend_schema_view(
    list=extend_schema(
        tags=_TAGS,
        summary="List deliveries",
        description="Newest first. Producers see those of their own notifications.",
    ),
    retrieve=extend_schema(
        tags=_TAGS,
        summary="Read a delivery",
        description="With every try: when, how long, and what the channel said.",
        responses=DeliveryDetail,
    ),
)
class Deliveries(ListModelMixin, RetrieveModelMixin, GenericViewSet[Delivery]):
    permission_classes = [IsCaller]
    pagination_class = NewestFirst
    filterset_class = DeliveryFilters
    lookup_field = "id"

    def get_serializer_class(self) -> Any:
        return DeliveryDetail if self.action == "retrieve" else DeliverySummary

    def get_queryset(self) -> QuerySet[Delivery]:
        caller = known_caller(self.request)
        rows = caller.deliveries() if caller else Delivery.objects.all()  # Without a caller: for the schema.
        rows = rows.select_related("channel")
        if self.action == "retrieve":
            rows = rows.prefetch_related(Prefetch("attempt_log", Attempt.objects.order_by("id")))
        return rows
