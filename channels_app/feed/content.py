"""What an opaque payload says to readers."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import msgspec

#: Whoever encodes a value that is nested deeper than this may run out of stack.
MAX_DEPTH = 64


class Undecodable(ValueError):
    """A payload is not what its content type says. The message does not repeat it."""


def decode(content_type: str, payload: bytes | None) -> Any:
    """The payload as a JSON-able value; as base64 where the content type is one that is not understood here.

    Raises `Undecodable`.
    """
    if payload is None:
        return None
    bare = content_type.partition(";")[0].strip().lower()
    decoder = _DECODERS.get(bare) or (_from_json if bare.endswith("+json") else None)
    if decoder is None:
        return b64encode(payload).decode()
    try:
        return decoder(payload)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Undecodable(type(error).__name__) from None


def _from_json(payload: bytes) -> Any:
    value = msgspec.json.decode(payload)
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH and _is_deep(value):
        raise RecursionError
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _from_msgpack(payload: bytes) -> Any:
    # There and back, because MessagePack knows more than JSON does: bytes, times, numbers that are none.
    return _from_json(msgspec.json.encode(msgspec.msgpack.decode(payload)))


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "application/json": _from_json,
    "application/msgpack": _from_msgpack,
    "application/vnd.msgpack": _from_msgpack,
    "application/x-msgpack": _from_msgpack,
}
