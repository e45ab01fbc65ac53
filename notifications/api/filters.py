"""Filters of lists, as query parameters. One that does not exist is refused: a slip would show everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from notifications import priority
from notifications.api import pagination
from notifications.api.problems import invalid

#: A view that filters more than its list names them in `filtered_actions`.
_LISTS = frozenset({"list"})


class StrictFilters(DjangoFilterBackend):  # type: ignore[misc]
    """Takes the filters that a view's filterset declares, and no others."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        if getattr(view, "action", None) not in getattr(view, "filtered_actions", _LISTS):
            return queryset
        filterset = self.get_filterset_class(view, queryset)
        paged = pagination.PARAMETERS if view.action == "list" else frozenset()
        known = paged | set(filterset.base_filters if filterset else ())
        text = f"There is no such filter. There are: {', '.join(sorted(known)) or 'none'}."
        unknown = [(name, text) for name in request.query_params if name not in known]
        if unknown:
            raise invalid(*unknown)
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises `ValidationError` for one whose offset leads out of the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValidationError("It lies outside of the calendar.") from None


class _MomentField(IsoDateTimeField):  # type: ignore[misc]
    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        return None if moment is None else in_utc(moment)


class MomentFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    """A moment in ISO 8601; without an offset, in UTC."""

    field_class = _MomentField


class _PriorityField(forms.CharField):
    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return priority.parse(text)
        except priority.NotAPriority as error:
            raise ValidationError(str(error)) from None


class PriorityFilter(django_filters.Filter):  # type: ignore[misc]
    """A priority by its word or its number."""

    field_class = _PriorityField
