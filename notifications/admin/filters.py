"""Filters that several lists share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from channels_app.models import Channel
from notifications import clock
from notifications.states import OPEN, State

_PERIODS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
_UUID_BITS_BELOW_TIME = 80


class AcceptedFilter(admin.SimpleListFilter):
    """By age, over the primary key: it begins with the time in milliseconds, so no further index is needed."""

    title, parameter_name = "accepted", "accepted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, f"in the last {word}") for word in _PERIODS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        period = _PERIODS.get(self.value() or "")
        if period is None:
            return queryset
        since_ms = int((clock.now() - period).timestamp() * 1000)
        return queryset.filter(pk__gte=UUID(int=since_ms << _UUID_BITS_BELOW_TIME))


class PriorityFilter(admin.SimpleListFilter):
    """By the words of the scale."""

    title, parameter_name = "priority", "urgency"
    _BOUNDS = {"critical": (10, 10), "high": (7, 9), "normal": (4, 6), "low": (0, 3)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word) for word in self._BOUNDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        bounds = self._BOUNDS.get(self.value() or "")
        return queryset.filter(priority__range=bounds) if bounds else queryset


class ChannelFilter(admin.SimpleListFilter):
    """By channel, the deleted ones last. `path` leads from the row to the channel's id."""

    title, parameter_name = "channel", "channel"
    path = "channel_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        channels = Channel.objects.order_by("-deleted_at", "name").values_list("pk", "name", "key", "deleted_at")
        return [(str(pk), (name or key) + (" (deleted)" if gone else "")) for pk, name, key, gone in channels]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value() or ""
        return queryset.filter(**{self.path: int(wanted)}) if wanted.isdecimal() else queryset


class ChannelOfDeliveryFilter(ChannelFilter):
    """For rows that know their channel through their delivery."""

    path = "delivery__channel_id"


class StateFilter(admin.SimpleListFilter):
    """By the state of a delivery, or all that are still open."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "open: any that still moves"), *((state.value, state.value) for state in State)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value()
        if wanted == "open":
            return queryset.filter(state__in=OPEN)
        return queryset.filter(state=wanted) if wanted else queryset
