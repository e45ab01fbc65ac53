"""/streamers: who or what notifications are about."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response

from channels_app.models import Channel
from notifications.api.caller import Caller, caller_of
from notifications.api.pagination import ByKey
from notifications.api.problems import Problem, conflict
from notifications.api.resource import Resources, StrictSerializer, described
from notifications.models import Streamer

#: Tags of one streamer.
MOST_TAGS = 100


class StreamerSerializer(StrictSerializer):
    fixed = frozenset({"key"})

    class Meta:
        model = Streamer
        fields = ["key", "name", "platform", "tags", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]
        extra_kwargs: ClassVar = {"tags": {"max_length": MOST_TAGS}}


class StreamerFilters(django_filters.FilterSet):  # type: ignore[misc]
    platform = django_filters.CharFilter(help_text="Only those of this platform.")
    tag = django_filters.CharFilter(method="having", help_text="Only those with this tag.")

    def having(self, rows: QuerySet[Streamer], name: str, value: str) -> QuerySet[Streamer]:
        return rows.filter(tags__contains=[value])


_EXAMPLE = OpenApiExample(
    "A streamer",
    value={"key": "nightowl", "name": "NightOwl", "platform": "twitch", "tags": ["vip"]},
    request_only=True,
)


@described(
    "streamers",
    "a streamer",
    example=_EXAMPLE,
    list="By key.",
    create="Not for API keys that speak for one streamer. `key` cannot be changed afterwards.",
    retrieve="By its key.",
    update="Sets all fields but the key.",
    partial_update="Sets the fields that are sent.",
    destroy="With its policy and its API keys; its notifications stay. Refused while it owns channels.",
)
class Streamers(Resources):
    serializer_class = StreamerSerializer
    pagination_class = ByKey
    filterset_class = StreamerFilters
    lookup_field = "key"

    def rows(self, caller: Caller) -> QuerySet[Streamer]:
        return caller.streamers()

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        _refuse_bound(request)
        return super().create(request, *args, **kwargs)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        _refuse_bound(request)
        owned = Channel.objects.current().filter(owner_key=kwargs["key"]).values_list("key", flat=True)[:5]
        if owned:
            raise conflict(f"It owns channels: {', '.join(owned)}. Delete them, or give them to another, first.")
        return super().destroy(request, *args, **kwargs)


def _refuse_bound(request: Request) -> None:
    if caller_of(request).is_bound:
        raise Problem(403, "This API key speaks for one streamer; it cannot make or delete any.")
