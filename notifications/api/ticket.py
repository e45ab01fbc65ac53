"""/rt/ticket: what a page shows to open a live stream, since an `EventSource` cannot send headers."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from msgspec import Struct
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from channels_app.live import tickets
from notifications import clock
from notifications.api import examples
from notifications.api.feed_reader import RECIPIENTS_TOO, MayReadFeeds, known_reader, recipient_of
from notifications.api.inbox import WHOSE, Device, Whose
from notifications.api.item_shapes import TicketSerializer
from notifications.api.open_to_pages import OpenToPages
from notifications.api.wire import query_of


class TicketRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The name of the device, where it has one: what it acknowledges is kept under it."""

    device: Device | None = None


class Ticket(OpenToPages, ViewSet):
    authentication_classes = RECIPIENTS_TOO
    permission_classes = [MayReadFeeds]
    body_type = TicketRequest

    @extend_schema(
        tags=["live"],
        operation_id="rt_ticket_create",
        summary="Get a ticket",
        description="For one live stream, to be opened within `expires_in` seconds. The stream ends with the feed "
        "token for which it was given. A body may be left out.",
        parameters=[WHOSE],
        request={"application/json": {"$ref": "#/components/schemas/TicketRequest"}},
        responses={201: TicketSerializer},
        examples=examples.TICKET,
    )
    def create(self, request: Request) -> Response:
        query_of(request, Whose)
        recipient, reader = recipient_of(request), known_reader(request)
        until = reader.until if reader is not None else None
        text = tickets.issue(recipient, device=_device(request.data), until=until, now=clock.now())
        url = f"{settings.BELFRY_LIVE_URL or settings.BELFRY_PUBLIC_URL}/rt"
        return Response({"ticket": text, "expires_in": int(settings.BELFRY_LIVE_TICKET_S), "url": url}, status=201)


def _device(body: Any) -> str:
    """Without a body there is no name."""
    return (body.device or "") if isinstance(body, TicketRequest) else ""
