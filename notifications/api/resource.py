"""What the things that operators configure have in common: strict fields, and changes under a lock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.mixins import (
    CreateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from notifications.api.caller import Caller, IsOperator, caller_of, known_caller


class FiniteFloat(serializers.FloatField):
    """A number of JSON: neither a text nor `nan`."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, (bool, str)):
            self.fail("invalid")
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class StrictSerializer(serializers.ModelSerializer[Any]):
    """Refuses fields that it does not know, and keeps those of `fixed` as they were made.

    Fields that can only be read are left alone, so that what was read can be sent back.
    """

    serializer_field_mapping = {**serializers.ModelSerializer.serializer_field_mapping, models.FloatField: FiniteFloat}

    #: Fields that are set once and for all.
    fixed: ClassVar[frozenset[str]] = frozenset()

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in self.fixed if self.instance is not None else ():
            fields[name].required = False
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = {name: ["There is no such field."] for name in data if name not in self.fields}
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in self.fixed if self.instance is not None else ():
            old = getattr(self.instance, name)
            if attrs.pop(name, old) != old:
                shown = self.to_representation(self.instance)[name]
                raise serializers.ValidationError({name: f"It cannot be changed; it is {shown!r}."})
        replaces = self.instance is not None and not self.partial
        return {**self._defaults(), **attrs} if replaces else attrs

    def _defaults(self) -> dict[str, Any]:
        """What the columns hold that a replacement leaves out."""
        columns = {column.name: column for column in self.model._meta.concrete_fields}  # noqa: SLF001
        return {
            name: columns[name].get_default()
            for name, field in self.fields.items()
            if not field.read_only and not field.required and name in columns and name not in self.fixed
        }

    @property
    def model(self) -> type[models.Model]:
        model: type[models.Model] = self.Meta.model
        return model

    @property
    def caller(self) -> Caller:
        return caller_of(self.context["request"])


V = TypeVar("V", bound=Callable[..., Any])

#: What the actions of `Resources` do, in the schema.
_SUMMARIES = {
    "list": "List {tag}",
    "create": "Create {one}",
    "retrieve": "Read {one}",
    "update": "Replace {one}",
    "partial_update": "Change {one}",
    "destroy": "Delete {one}",
}


def described(tag: str, one: str, *, example: OpenApiExample, **actions: str) -> Callable[[V], V]:
    """Tell the schema of a subclass of `Resources`: what is to be known of each action; how one is created."""
    return extend_schema_view(
        **{
            action: extend_schema(
                tags=[tag],
                summary=_SUMMARIES[action].format(tag=tag, one=one),
                description=text,
                examples=[example] if action == "create" else None,
            )
            for action, text in actions.items()
        }
    )


#: Whose rows the schema is made from.
_NOBODY = Caller(name="", role="")


class Resources(
    CreateModelMixin, ListModelMixin, RetrieveModelMixin, UpdateModelMixin, DestroyModelMixin, GenericViewSet[Any]
):
    """Create, list, read, change and delete, for operators. Subclasses say which rows are the caller's."""

    permission_classes = [IsOperator]

    def rows(self, caller: Caller) -> QuerySet[Any]:
        """What the caller may see, with all that a serializer reads of it."""
        raise NotImplementedError

    def get_queryset(self) -> QuerySet[Any]:
        rows = self.rows(known_caller(self.request) or _NOBODY)
        return rows.select_for_update(of=("self",)) if self.action in {"update", "partial_update", "destroy"} else rows

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """In one transaction with its relations."""
        return super().create(request, *args, **kwargs)

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Under the row's lock: two changes at once come one after the other."""
        return super().update(request, *args, **kwargs)

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)
