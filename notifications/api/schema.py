"""What the OpenAPI document says beyond the views: problems at every endpoint, and msgspec's types."""

from __future__ import annotations

from typing import Any

import msgspec

from notifications.api.channel_control import PauseRequest
from notifications.api.dead_letters import DiscardManyRequest, DiscardRequest, ReplayRequest
from notifications.api.inbox import AckRequest, ItemsRequest, ReadRequest, SeenRequest
from notifications.api.problems import MEDIA_TYPE
from notifications.api.replay_jobs import ReplayJobRequest
from notifications.api.ticket import TicketRequest
from notifications.draft import Bulk, Draft

#: Bodies that msgspec checks.
_BODIES = (
    Draft,
    Bulk,
    ReplayRequest,
    DiscardRequest,
    DiscardManyRequest,
    ReplayJobRequest,
    PauseRequest,
    AckRequest,
    ReadRequest,
    SeenRequest,
    ItemsRequest,
    TicketRequest,
)

_REFERENCE = {"$ref": "#/components/schemas/Problem"}

_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `errors` names each field at fault; an empty name is the body as a whole.",
    "required": ["type", "title", "status", "detail", "instance", "errors"],
    "properties": {
        "type": {"type": "string", "description": "Its kind.", "examples": ["urn:belfry:problem:invalid-request"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {"type": "string", "examples": ["notifications[3].priority"]},
                    "message": {"type": "string"},
                },
            },
        },
    },
}

_WORDS = {
    400: "The request is not valid.",
    401: "No API key or feed token, or one that is not valid.",
    403: "The caller may not do that.",
    404: "Nothing there, or nothing that the caller may see.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    503: "The database, or what the request is about, does not answer; nothing was changed.",
}


def complete(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Drf-spectacular's last step: add the components, and the problems that each operation may answer with."""
    schemas: dict[str, Any] = result.setdefault("components", {}).setdefault("schemas", {})
    structs = msgspec.json.schema_components(
        _BODIES,
        ref_template="#/components/schemas/{name}",
    )[1]
    schemas.update({"Problem": _PROBLEM, **structs})
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for status in _statuses(path, method, operation):
                operation["responses"].setdefault(str(status), _response(status))
    return result


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    if not operation.get("security", True) or path.endswith("/health"):
        return []
    found = [400, 401, 403, 503]
    if "{" in path:
        found.append(404)
    if "requestBody" in operation:
        found += [413, 415]
    if method != "get":
        found.append(409)
    return found


def _response(status: int) -> dict[str, Any]:
    return {"description": _WORDS[status], "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
