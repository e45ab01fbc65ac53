"""How what goes out is written: Server-Sent Events, JSON frames of `belfry.v1`, binary frames of `belfry.v1.protobuf`.

Pure: no connection, no clock. What a dialect has no word for is an empty frame, and is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from channels_app.live import protobuf
from channels_app.live.event import NEW, Batch, Control, Event, Outgoing, cursor_of

VERSION = 1
SSE, SSE_WITH_PINGS, JSON, PROTOBUF = "sse", "sse+ping", "json", "protobuf"
#: Sub-protocols of WebSocket by the dialect that they mean.
SUBPROTOCOLS = {"belfry.v1": JSON, "belfry.v1.protobuf": PROTOBUF}

_encode = msgspec.json.Encoder().encode


class Dialect(Protocol):
    """A way to write. `acks`: clients confirm what they got. `batches`: what was missed comes as one message."""

    name: str
    acks: bool
    batches: bool

    def write(self, thing: Outgoing, *, again: int, message_id: UUID | None, at: datetime) -> bytes:
        """The frame. `again`: how often it was sent before; `message_id` and `at` are for those that need them."""

    def confirms(self, word: Control) -> bool:
        """Whether clients confirm this word too."""


class SseDialect:
    """Frames follow one another in a stream. Signs of life are comments, or events for scripts that watch for them."""

    name, acks, batches = SSE, False, True

    def __init__(self, *, pings_are_events: bool = False) -> None:
        self._pings_are_events = pings_are_events

    def write(self, thing: Outgoing, *, again: int = 0, message_id: UUID | None = None, at: datetime) -> bytes:
        if isinstance(thing, Event):
            return _sse_event(thing)
        if isinstance(thing, Batch):
            told = b"".join([_sse_event(event) for event in thing.events])
            # Without data nothing is dispatched, but the browser remembers the id.
            behind = not thing.events or thing.events[-1].place < thing.place
            return told + (b"id: %b\n\n" % cursor_of(thing.place).encode() if behind else b"")
        if thing.name == "ping" and not self._pings_are_events:
            return b": ping %d\n\n" % thing.data["n"]
        return _sse_control(thing)

    def confirms(self, word: Control) -> bool:
        return False


class JsonDialect:
    name, acks, batches = JSON, True, True

    def write(self, thing: Outgoing, *, again: int = 0, message_id: UUID | None = None, at: datetime) -> bytes:
        if isinstance(thing, Control):
            return _encode({"t": thing.name, **_json_control(thing)})
        repeated = b',"re":%d' % again if again else b""
        head = b'"id":"%b"%b' % (cursor_of(thing.place).encode(), repeated)
        if isinstance(thing, Event):
            return b'{"t":"%b",%b,"d":%b}' % (thing.kind.encode(), head, thing.body)
        return b'{"t":"batch",%b,"d":[%b]}' % (head, b",".join([event.body for event in thing.events]))

    def confirms(self, word: Control) -> bool:
        return False


class ProtobufDialect:
    """Tells changes and how the network is. A `reset` is told as "the network is well again": fetch once more."""

    name, acks, batches = PROTOBUF, True, False

    def write(self, thing: Outgoing, *, again: int = 0, message_id: UUID | None, at: datetime) -> bytes:
        if message_id is None:
            return b""
        if isinstance(thing, Batch):
            # The last of what was caught up with comes as a batch of one.
            (thing,) = thing.events
        if isinstance(thing, Event):
            return protobuf.frame(message_id, at, _notification(thing))
        return protobuf.frame(message_id, at, None, error=thing.data.get("status", "ok") != "ok")

    def confirms(self, word: Control) -> bool:
        """Of all words only these are sent."""
        return word.name in ("net", "reset")


DIALECTS: dict[str, Dialect] = {
    SSE: SseDialect(),
    SSE_WITH_PINGS: SseDialect(pings_are_events=True),
    JSON: JsonDialect(),
    PROTOBUF: ProtobufDialect(),
}


def data_of(item: dict[str, Any]) -> bytes:
    """An item as the body of an event."""
    return _encode(item)


def sse_retry(wait_ms: int) -> bytes:
    """How long a browser waits before it comes back by itself."""
    return b"retry: %d\n\n" % wait_ms


def _sse_event(event: Event) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor_of(event.place).encode(), event.kind.encode(), event.body)


def _sse_control(control: Control) -> bytes:
    retry = control.data.get("retry_ms")
    before = b"retry: %d\n" % retry if retry else b""
    return before + b"event: %b\ndata: %b\n\n" % (control.name.encode(), _encode(control.data))


def _json_control(control: Control) -> Mapping[str, Any]:
    # What answers a frame of the client's says which; the rest of these few is flat, too.
    if control.name in ("hello", "ping", "ok"):
        return control.data
    if control.name == "err":
        return {"re": control.data.get("re"), "d": {k: v for k, v in control.data.items() if k != "re"}}
    return {"d": control.data}


def _notification(event: Event) -> protobuf.Notification:
    item = event.item
    status = protobuf.Status[event.kind.upper()]
    seen = bool(item.get("seen") or item.get("read")) if status is not protobuf.Status.DELETED else None
    if event.kind != NEW:
        return protobuf.Notification(str(item["id"]), status, _when(event), seen=seen)
    return protobuf.Notification(
        str(item["id"]),
        status,
        _when(event),
        created_by=str(item.get("source") or ""),
        seen=seen,
        content_type="application/json",
        content=event.body,
    )


def _when(event: Event) -> datetime:
    return datetime.fromtimestamp(event.at, UTC)
