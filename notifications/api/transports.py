"""/transports: which kinds of channel there are, and what each asks for."""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from channels_app import registry
from channels_app.base import Config, secret_fields
from notifications.api.caller import IsCaller
from notifications.api.wire import without_query


class TransportSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # of a Field, in the stubs
    lane = serializers.CharField(help_text="http, or blocking where a library of its own speaks for it.")
    config_schema = serializers.DictField(
        help_text="JSON Schema of a channel's `config`. Secret fields are `writeOnly`."
    )


class TransportsSerializer(serializers.Serializer[Any]):
    results = TransportSerializer(many=True)


class Transports(APIView):
    permission_classes = [IsCaller]

    @extend_schema(
        tags=["catalogue"],
        operation_id="transports_list",
        summary="List transports",
        description="The kinds that a channel may be of, with the schema of their settings.",
        responses=TransportsSerializer,
    )
    def get(self, request: Request) -> Response:
        without_query(request)
        return Response({"results": [_shown(transport) for transport in registry.all_transports()]})


def _shown(transport: registry.AnyTransport) -> dict[str, Any]:
    return {
        "kind": transport.kind,
        "label": transport.label,
        "lane": transport.lane,
        "config_schema": config_schema(transport.Config),
    }


def config_schema(config: type[Config]) -> dict[str, Any]:
    """JSON Schema of a transport's settings; a secret field is `writeOnly`, as it never comes back."""
    (reference,), definitions = msgspec.json.schema_components([config], ref_template="#/$defs/{name}")
    schema = definitions.pop(reference["$ref"].removeprefix("#/$defs/"))
    hidden = secret_fields(config)
    schema["properties"] = {
        name: {**field, "writeOnly": True} if name in hidden else field for name, field in schema["properties"].items()
    }
    return {**schema, "$defs": definitions} if definitions else schema
