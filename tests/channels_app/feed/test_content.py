"""S3-FD-11, S3-AP-06, X-09: a payload is opaque bytes with a content type, and one bad row fails no list."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from channels_app.feed import reading
from channels_app.feed.content import MAX_DEPTH, Undecodable, decode
from tests.channels_app.feed.scene import NOW, write

MSGPACK = "application/msgpack"


@pytest.mark.parametrize(
    ("content_type", "payload", "said"),
    [
        ("application/json", b'{"a": [1, null]}', {"a": [1, None]}),
        ("application/json; charset=utf-8", b'"x"', "x"),
        ("application/problem+json", b"{}", {}),
        (MSGPACK, msgspec.msgpack.encode({"a": [1, None]}), {"a": [1, None]}),
        ("application/x-msgpack", msgspec.msgpack.encode({1: 2.5}), {"1": 2.5}),
        (MSGPACK, msgspec.msgpack.encode({"raw": b"\xff"}), {"raw": "/w=="}),
        (MSGPACK, msgspec.msgpack.encode(datetime(2026, 1, 1, tzinfo=UTC)), "2026-01-01T00:00:00Z"),
        (MSGPACK, msgspec.msgpack.encode(float("nan")), None),
        ("text/plain", b"plain", "cGxhaW4="),
        ("", b"\x00", "AA=="),
    ],
)
def test_what_is_understood_becomes_json_and_the_rest_base64(content_type: str, payload: bytes, said: object) -> None:
    assert decode(content_type, payload) == said


def test_no_payload_is_null() -> None:
    assert decode("application/json", None) is None


@pytest.mark.parametrize(
    ("content_type", "payload"),
    [
        ("application/json", b""),
        ("application/json", b"{"),
        ("application/json", b'{"a": NaN}'),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 100_000),
        ("application/json", b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)),
        (MSGPACK, b""),
        (MSGPACK, b"\xc1"),
        (MSGPACK, b"\xa1\xff"),
        (MSGPACK, b"\x91" * 100_000 + b"\x01"),
        (MSGPACK, b"\x91" * (MAX_DEPTH + 1) + b"\x01"),
        (MSGPACK, msgspec.msgpack.encode(msgspec.msgpack.Ext(5, b"x"))),
        (MSGPACK, msgspec.msgpack.encode({(1, 2): 3})),
    ],
)
def test_what_is_not_what_it_says_cannot_be_decoded(content_type: str, payload: bytes) -> None:
    with pytest.raises(Undecodable):
        decode(content_type, payload)


@given(st.binary(max_size=200), st.sampled_from(["application/json", MSGPACK]))
def test_any_bytes_are_json_or_cannot_be_decoded(payload: bytes, content_type: str) -> None:
    try:
        value = decode(content_type, payload)
    except Undecodable:
        return
    json.dumps(value, allow_nan=False)
    msgspec.json.encode(value)


def test_a_row_that_cannot_be_decoded_is_null_and_logged_and_the_list_goes_on(db: None) -> None:
    """S3-AP-06"""
    write("ann", payload=b'{"n": 1}')
    write("ann", payload=b"\xc1", content_type=MSGPACK)
    write("ann", payload=msgspec.msgpack.encode({"n": 3}), content_type=MSGPACK)
    with capture_logs() as logs:
        page = reading.page("ann", now=NOW)
    assert [item["data"] for item in page.items] == [{"n": 3}, None, {"n": 1}]
    (log,) = logs
    assert (log["event"], log["log_level"], log["item"]) == (
        "feed_payload_undecodable", "error", page.items[1]["id"]
    )  # fmt: skip
