"""/event-types: the catalogue of what Belfry knows by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications import catalogue, priority
from notifications.api.caller import IsCaller
from notifications.api.wire import without_query


class EventTypeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # of a Field, in the stubs
    priority = serializers.IntegerField(help_text="Where the producer names none.")
    priority_label = serializers.CharField()
    title = serializers.CharField(help_text="Default text, with {field} for fields of `data`.")
    body = serializers.CharField()


class EventTypesSerializer(serializers.Serializer[Any]):
    results = EventTypeSerializer(many=True)


class EventTypes(APIView):
    permission_classes = [IsCaller]

    @extend_schema(
        tags=["catalogue"],
        operation_id="event_types_list",
        summary="List event types",
        description="The types that have a usual priority and default texts. Others may be sent too. Letter case and "
        "the separators `.`, `-`, `_` and space do not matter.",
        responses=EventTypesSerializer,
    )
    def get(self, request: Request) -> Response:
        without_query(request)
        return Response({"results": [_shown(known) for known in catalogue.KNOWN.values()]})


def _shown(known: catalogue.EventType) -> dict[str, Any]:
    return {
        "name": known.name,
        "label": known.label,
        "priority": int(known.priority),
        "priority_label": priority.label(known.priority),
        "title": known.title,
        "body": known.body,
    }
