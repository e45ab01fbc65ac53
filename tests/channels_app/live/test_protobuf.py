"""Frames of `belfry.v1.protobuf` (S2-PB-01, S2-PB-04, S2-PB-05), read and written by Google's own library."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.live import protobuf
from channels_app.live.protobuf import Malformed, Notification, Status

_Field = descriptor_pb2.FieldDescriptorProto
_OPTIONAL = ("created_by", "seen", "content_type", "content")


def _schema() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="s2.proto", package="s2", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    status = file.enum_type.add(name="Status")
    network = file.enum_type.add(name="Network")
    for enum, names in ((status, ("NEW", "UPDATED", "DELETED")), (network, ("OK", "ERROR"))):
        for number, name in enumerate(names):
            enum.value.add(name=name, number=number)
    time = ".google.protobuf.Timestamp"
    messages: dict[str, list[tuple[str, int, str]]] = {
        "Told": [
            ("id", _Field.TYPE_STRING, ""),
            ("status", _Field.TYPE_ENUM, ".s2.Status"),
            ("timestamp", _Field.TYPE_MESSAGE, time),
            ("created_by", _Field.TYPE_STRING, ""),
            ("seen", _Field.TYPE_BOOL, ""),
            ("content_type", _Field.TYPE_STRING, ""),
            ("content", _Field.TYPE_BYTES, ""),
        ],
        "Frame": [
            ("message_id", _Field.TYPE_STRING, ""),
            ("message_timestamp", _Field.TYPE_MESSAGE, time),
            ("network_status", _Field.TYPE_ENUM, ".s2.Network"),
            ("notification", _Field.TYPE_MESSAGE, ".s2.Told"),
        ],
        "Confirmation": [("message_id", _Field.TYPE_STRING, "")],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, of) in enumerate(fields, 1):
            more: dict[str, Any] = {}
            if field in _OPTIONAL:
                more = {"oneof_index": len(message.oneof_decl), "proto3_optional": True}
                message.oneof_decl.add(name=f"_{field}")
            if of:
                more["type_name"] = of
            message.field.add(name=field, number=number, type=kind, label=1, **more)
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
_POOL.Add(_schema())


def made(name: str, data: bytes = b"") -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"s2.{name}")).FromString(data)


#: Microseconds before and after 1970.
times = st.integers(-(10**15), 7 * 10**15).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
notifications = st.builds(
    Notification,
    id=st.uuids().map(str),
    status=st.sampled_from(Status),
    timestamp=times,
    created_by=st.none() | st.sampled_from(["", "a source", "Quelle über alles", "\N{BELL}" * 60]),
    seen=st.none() | st.booleans(),
    content_type=st.none() | st.just("application/json"),
    content=st.none() | st.binary(max_size=300),
)


@settings(deadline=None)
@given(st.uuids(), times, st.none() | notifications, st.booleans())
def test_a_frame_says_the_same_to_the_library(
    message_id: UUID, at: datetime, told: Notification | None, error: bool
) -> None:
    frame = made("Frame", protobuf.frame(message_id, at, told, error=error))
    assert frame.message_id == str(message_id)
    assert frame.message_timestamp.ToDatetime(UTC) == at
    assert frame.network_status == int(error)
    assert frame.HasField("notification") == (told is not None)
    if told is None:
        return
    found = frame.notification
    assert (found.id, found.status, found.timestamp.ToDatetime(UTC)) == (told.id, told.status, told.timestamp)
    for name in _OPTIONAL:
        assert (getattr(found, name) if found.HasField(name) else None) == getattr(told, name)


@settings(deadline=None)
@given(st.uuids())
def test_a_confirmation_of_the_library_is_read(message_id: UUID) -> None:
    confirmation = made("Confirmation")
    confirmation.message_id = str(message_id)
    assert protobuf.confirmed(confirmation.SerializeToString()) == message_id


def test_fields_that_nobody_knows_are_passed_over() -> None:
    message_id = uuid4()
    known = b"\x0a\x24" + str(message_id).encode()
    unknown = b"\x10\x96\x01" + b"\x19" + b"8" * 8 + b"\x22\x02hi" + b"\x2d4444"
    assert protobuf.confirmed(unknown + known + unknown) == message_id


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x0a\x24short",
        b"\x0a\x03abc",
        b"\x08\x01",
        b"\x0b",
        b"\x0a",
        b"\xff" * 20,
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
    ],
)
def test_what_is_no_confirmation_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        protobuf.confirmed(data)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_confirmation_or_refused(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(protobuf.confirmed(data), UUID)
