"""/inbox: a recipient's feed. Its state, its items, what changed, and marks on them.

Every answer comes out of one look at the feed, and names the cursor from which to go on, here or in a
live stream. Marks are absolute: repeating one changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID
from zlib import crc32

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta, Struct
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from channels_app.feed import acking, marking, reading
from channels_app.feed.cursor import BadCursor, Cursor
from channels_app.feed.item import MAX_DEVICE, Change
from channels_app.models import InboxItem
from notifications import clock
from notifications.api import examples
from notifications.api.feed_reader import RECIPIENTS_TOO, MayReadFeeds, recipient_of
from notifications.api.item_shapes import (
    AckedSerializer,
    ChangesSerializer,
    FeedPageSerializer,
    FeedStateSerializer,
    MarkedSerializer,
)
from notifications.api.open_to_pages import OpenToPages
from notifications.api.problems import invalid
from notifications.api.wire import ONE_LINE, body_of, query_of
from notifications.selection import NO_NUL

#: Seconds after which a client that holds no stream should ask again.
POLL_S = 30

#: Items that one request names.
_MOST_NAMED = 1000

_TAGS = ["inbox"]

CursorText = Annotated[str, Meta(max_length=30)]
Ids = Annotated[list[UUID], Meta(max_length=_MOST_NAMED)]
Device = Annotated[str, Meta(min_length=1, max_length=MAX_DEVICE, pattern=ONE_LINE)]


class Whose(Struct, kw_only=True, forbid_unknown_fields=True):
    """A query that says no more than whose feed it is about."""

    recipient: str = ""


class PageQuery(Whose, kw_only=True, forbid_unknown_fields=True):
    before: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=reading.LONGEST_PAGE)] = reading.PAGE
    unread: bool = False
    archived: bool = False
    category: Annotated[str, Meta(max_length=100, pattern=NO_NUL)] = ""


class ChangesQuery(Whose, kw_only=True, forbid_unknown_fields=True):
    after: CursorText = ""
    limit: Annotated[int, Meta(ge=1, le=reading.CATCH_UP)] = reading.CATCH_UP


class AckRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What has arrived on a device: everything up to a cursor, or these items, or both."""

    device: Device
    upto: CursorText | None = None
    ids: Ids = []


class ReadRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """These items, or everything up to a cursor, or all."""

    ids: Ids = []
    upto: CursorText | None = None
    all: bool = False


class SeenRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """These items, or everything up to a cursor."""

    ids: Ids = []
    upto: CursorText | None = None


class ItemsRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """These items."""

    ids: Annotated[list[UUID], Meta(min_length=1, max_length=_MOST_NAMED)]


#: Action → the body that it reads.
_BODIES: dict[str | None, type[Struct]] = {
    "ack": AckRequest,
    "read": ReadRequest,
    "unread": ItemsRequest,
    "seen": SeenRequest,
    "archive": ItemsRequest,
}

WHOSE = OpenApiParameter("recipient", str, description="Whose feed. Only with an operator's API key, and then always.")


def _body(name: str) -> Any:
    return {"application/json": {"$ref": f"#/components/schemas/{name}"}}


class Inbox(OpenToPages, ViewSet):
    authentication_classes = RECIPIENTS_TOO
    permission_classes = [MayReadFeeds]

    @property
    def body_type(self) -> Any:
        """What the parser reads the body into."""
        return _BODIES.get(self.action, Any)

    @extend_schema(
        tags=_TAGS,
        summary="How a feed stands",
        description="Its cursor and how much is unread: what a bell shows. Send the `ETag` of the last answer as "
        "`If-None-Match` and get 304 while nothing has changed. `X-Poll-Interval` says after how many seconds to ask "
        "again; a live stream tells at once.",
        parameters=[
            WHOSE,
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The `ETag` of before."),
        ],
        responses={200: FeedStateSerializer, 304: None},
        examples=examples.FEED_STATE,
    )
    def state(self, request: Request) -> Response:
        query_of(request, Whose)
        recipient = recipient_of(request)
        found = reading.state(recipient, now=clock.now())
        # Feeds have the same numbers, and a browser that two people share keeps one answer of this address.
        tag = f'"{crc32(recipient.encode()):08x}-{found.etag}"'
        headers = {"ETag": tag, "X-Poll-Interval": str(POLL_S), "Cache-Control": "private, no-cache"}
        if _matches(request.headers.get("If-None-Match", ""), tag):
            return Response(status=304, headers=headers)
        return Response(found.shown(), headers=headers)

    @extend_schema(
        tags=_TAGS,
        summary="List a feed",
        description="Newest first, with `state` and the `cursor` of the same moment: go on from it with `changes`, or "
        "with a live stream. `next` is the `before` of the page behind this one, or null.",
        parameters=[
            WHOSE,
            OpenApiParameter("before", int, description="Items whose `position` lies below this: taken from `next`."),
            OpenApiParameter("limit", int, description=f"1 to {reading.LONGEST_PAGE}; {reading.PAGE} unless said."),
            OpenApiParameter("unread", bool, description="Only what is unread."),
            OpenApiParameter("archived", bool, description="What was archived, instead of what was not."),
            OpenApiParameter("category", str, description="An event type, or the beginning of some up to a dot."),
        ],
        responses=FeedPageSerializer,
        examples=examples.FEED_PAGE,
    )
    def page(self, request: Request) -> Response:
        query = query_of(request, PageQuery)
        if query.archived and (query.unread or query.category):
            raise invalid(("archived", "It cannot be combined with `unread` or `category`."))
        recipient, now = recipient_of(request), clock.now()
        if query.archived:
            found = reading.archived(recipient, now=now, before=query.before, limit=query.limit)
        else:
            found = reading.page(
                recipient,
                now=now,
                before=query.before,
                limit=query.limit,
                unread=query.unread,
                category=query.category,
            )
        shown = {"items": found.items, "cursor": str(found.cursor), "state": found.state.shown(), "next": found.next}
        return Response(shown)

    @extend_schema(
        tags=_TAGS,
        summary="What changed in a feed",
        description="After a cursor: each item once, as it is now, in the order of `seq`; go on from `cursor`, at once "
        "where there is `more`. Without `after`: nothing, and the cursor to begin with. With a `reset` there are no "
        "items: load the first page. For clients without a live stream, after `X-Poll-Interval` seconds.",
        parameters=[
            WHOSE,
            OpenApiParameter("after", str, description="The cursor up to which everything is known, such as `7-1042`."),
            OpenApiParameter("limit", int, description=f"1 to {reading.CATCH_UP}, which is usual."),
        ],
        responses=ChangesSerializer,
        examples=examples.FEED_CHANGES,
    )
    def changes(self, request: Request) -> Response:
        query = query_of(request, ChangesQuery)
        after = _cursor("after", query.after) if query.after else None
        found = reading.changes(recipient_of(request), after, now=clock.now(), limit=query.limit)
        return Response(
            {
                "items": [change.item for change in found.items],
                "cursor": str(found.cursor),
                "state": found.state.shown(),
                "reset": found.reset.value,
                "more": found.more,
            },
            headers={"X-Poll-Interval": str(POLL_S)},
        )

    @extend_schema(
        tags=_TAGS,
        summary="Acknowledge items",
        description="They have arrived on this device. The first device to say so makes an item delivered; what was "
        "acknowledged stays so, whatever comes late.",
        parameters=[WHOSE],
        request=_body("AckRequest"),
        responses={200: AckedSerializer},
        examples=examples.ACK,
    )
    def ack(self, request: Request) -> Response:
        query_of(request, Whose)
        body = body_of(request, AckRequest)
        if not body.ids and body.upto is None:
            raise invalid(("", "Say what has arrived: `upto` a cursor, or `ids`."))
        delivered = acking.ack(recipient_of(request), body.device, now=clock.now(), upto=_upto(body.upto), ids=body.ids)
        return Response({"delivered": len(delivered)})

    @extend_schema(
        tags=_TAGS,
        summary="Mark items as read",
        description="These, or all up to a cursor, or all. Every device of the recipient hears of it.",
        parameters=[WHOSE],
        request=_body("ReadRequest"),
        responses={200: MarkedSerializer},
        examples=examples.READ,
    )
    def read(self, request: Request) -> Response:
        body = self._marks(request, ReadRequest)
        _one_of({"ids": body.ids, "upto": body.upto, "all": body.all})
        recipient, upto = recipient_of(request), _upto(body.upto)
        return _marked(
            recipient, marking.read(recipient, ids=body.ids, upto=upto, everything=body.all, now=clock.now())
        )

    @extend_schema(
        tags=_TAGS,
        summary="Mark items as unread",
        description="As if they had not been read yet.",
        parameters=[WHOSE],
        request=_body("ItemsRequest"),
        responses={200: MarkedSerializer},
        examples=examples.ITEMS,
    )
    def unread(self, request: Request) -> Response:
        ids, recipient = self._marks(request, ItemsRequest).ids, recipient_of(request)
        return _marked(recipient, marking.unread(recipient, ids, now=clock.now()))

    @extend_schema(
        tags=_TAGS,
        summary="Mark items as seen",
        description="They were on a screen, though perhaps nobody has read them. These, or all up to a cursor.",
        parameters=[WHOSE],
        request=_body("SeenRequest"),
        responses={200: MarkedSerializer},
        examples=examples.ITEMS,
    )
    def seen(self, request: Request) -> Response:
        body = self._marks(request, SeenRequest)
        _one_of({"ids": body.ids, "upto": body.upto})
        recipient = recipient_of(request)
        return _marked(recipient, marking.seen(recipient, ids=body.ids, upto=_upto(body.upto), now=clock.now()))

    @extend_schema(
        tags=_TAGS,
        summary="Archive items",
        description="Out of the list and out of the unread count; they are kept, and listed with `archived`.",
        parameters=[WHOSE],
        request=_body("ItemsRequest"),
        responses={200: MarkedSerializer},
        examples=examples.ITEMS,
    )
    def archive(self, request: Request) -> Response:
        ids, recipient = self._marks(request, ItemsRequest).ids, recipient_of(request)
        return _marked(recipient, marking.archive(recipient, ids, now=clock.now()))

    @extend_schema(
        tags=_TAGS,
        summary="Delete an item",
        description="Out of this feed alone. Doing it twice changes nothing more.",
        parameters=[WHOSE],
        responses={204: None},
    )
    def delete(self, request: Request, id: UUID) -> Response:  # noqa: A002  the name in the URL
        query_of(request, Whose)
        recipient = recipient_of(request)
        changed = marking.delete(recipient, [id], now=clock.now())
        if not changed and not InboxItem.objects.filter(pk=id, recipient=recipient).exists():
            raise NotFound
        return Response(status=204)

    def _marks(self, request: Request, body_type: type[msgspec.Struct]) -> Any:
        query_of(request, Whose)
        return body_of(request, body_type)


def _marked(recipient: str, changes: Sequence[Change]) -> Response:
    return Response({"changed": len(changes), "state": reading.state(recipient, now=clock.now()).shown()})


def _one_of(ways: Mapping[str, object]) -> None:
    """Raises `Problem` unless exactly one way of saying which items is used."""
    if sum(map(bool, ways.values())) != 1:
        names = ", ".join(f"`{name}`" for name in ways)
        raise invalid(("", f"Say which items, in one way: {names}."))


def _upto(text: str | None) -> Cursor | None:
    return None if text is None else _cursor("upto", text)


def _cursor(field: str, text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except BadCursor as error:
        raise invalid((field, str(error))) from None


def _matches(asked: str, tag: str) -> bool:
    """RFC 9110, 13.1.2: any of the tags, weak or not, or `*`."""
    return any(part.strip().removeprefix("W/") in (tag, "*") for part in asked.split(","))
