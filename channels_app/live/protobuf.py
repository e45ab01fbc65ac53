"""The binary sub-protocol `belfry.v1.protobuf`: every message has an id, and each is confirmed by it.

    WebSocketNotificationProtobuf   1 message_id, 2 message_timestamp, 3 network_status (OK 0, ERROR 1), 4 notification?
    NotificationProtobuf            1 id, 2 status (NEW 0, UPDATED 1, DELETED 2), 3 timestamp, 4 created_by?, 5 seen?,
                                    6 content_type?, 7 content?
    WebSocketConfirmationProtobuf   1 message_id

A dozen fields of one direction and one of the other: written by hand, and checked in the tests against the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NANOS = 1_000
#: The longest varint that there is.
_VARINT_BYTES = 10


class Malformed(ValueError):
    """Bytes that are no confirmation."""


class Status(IntEnum):
    """What happened to a notification."""

    NEW = 0
    UPDATED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Notification:
    """What a frame tells. A new one has all fields, an updated one `seen`, a deleted one none of the last four."""

    id: str
    status: Status
    timestamp: datetime
    created_by: str | None = None
    seen: bool | None = None
    content_type: str | None = None
    content: bytes | None = None


def frame(message_id: UUID, at: datetime, notification: Notification | None, *, error: bool = False) -> bytes:
    """A `WebSocketNotificationProtobuf`. Without a notification it tells how the network is."""
    parts = [_text(1, str(message_id)), _message(2, _timestamp(at))]
    if error:
        parts.append(_number(3, 1))
    if notification is not None:
        parts.append(_message(4, _notification(notification)))
    return b"".join(parts)


def confirmed(data: bytes) -> UUID:
    """The message that a `WebSocketConfirmationProtobuf` confirms. Raises `Malformed`."""
    message_id, place = "", 0
    while place < len(data):
        tag, place = _read_varint(data, place)
        value, place = _read_field(data, place, tag & 7)
        if tag >> 3 == 1:
            if not isinstance(value, bytes):
                raise Malformed("a message_id is a text")
            message_id = value.decode("ascii", "replace")
    try:
        return UUID(message_id)
    except ValueError:
        raise Malformed("a message_id is a UUID") from None


def _notification(told: Notification) -> bytes:
    parts = [_text(1, told.id)]
    # What has the value zero is left out, as proto3 does where a field is not optional.
    if told.status:
        parts.append(_number(2, told.status))
    parts.append(_message(3, _timestamp(told.timestamp)))
    if told.created_by is not None:
        parts.append(_text(4, told.created_by))
    if told.seen is not None:
        parts.append(_number(5, told.seen))
    if told.content_type is not None:
        parts.append(_text(6, told.content_type))
    if told.content is not None:
        parts.append(_message(7, told.content))
    return b"".join(parts)


def _timestamp(at: datetime) -> bytes:
    """A `google.protobuf.Timestamp`."""
    seconds, nanos = int(at.timestamp() // 1), at.microsecond * _NANOS
    return (_number(1, seconds) if seconds else b"") + (_number(2, nanos) if nanos else b"")


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    # Negative numbers, a time before 1970, are written as 64 bits.
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise Malformed("a number does not end")


def _read_field(data: bytes, place: int, kind: int) -> tuple[bytes | int, int]:
    """The value of a field and where it ends."""
    if kind == _VARINT:
        return _read_varint(data, place)
    if kind == _BYTES:
        length, place = _read_varint(data, place)
    elif kind in (_FIXED64, _FIXED32):
        length = 8 if kind == _FIXED64 else 4
    else:
        raise Malformed("a field of no known type")
    if place + length > len(data):
        raise Malformed("a field is cut off")
    return data[place : place + length], place + length
