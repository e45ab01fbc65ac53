"""Answers that are no streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from channels_app.live.codes import Code, Refused
from channels_app.live.request import Send

Headers = Sequence[tuple[bytes, bytes]]

_STATUS = {
    Code.BAD_REQUEST: 400,
    Code.FORBIDDEN: 403,
    Code.BAD_VERSION: 400,
    Code.CONNECTION_LIMIT: 429,
    # The one answer that tells an EventSource to stay away.
    Code.KICKED: 204,
    Code.TOKEN_EXPIRED: 401,
}
_LATER = 503
_RETRY_AFTER_S = b"2"


def status_of(code: Code) -> int:
    """The status of HTTP for a refusal."""
    return _STATUS.get(code, _LATER)


async def answer(send: Send, status: int, body: Mapping[str, Any] | None = None, headers: Headers = ()) -> None:
    """A JSON answer, or an empty one."""
    content = msgspec.json.encode(body) if body is not None else b""
    kind = b"application/problem+json" if status >= 400 else b"application/json"
    all_headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content)), (b"cache-control", b"no-store")]
    all_headers += headers
    if status == _LATER:
        all_headers.append((b"retry-after", _RETRY_AFTER_S))
    if status == 204:
        all_headers = [each for each in all_headers if not each[0].startswith(b"content-")]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": content})


async def refuse(send: Send, refused: Refused, headers: Headers = ()) -> None:
    """Say why a request is not served."""
    status = status_of(refused.code)
    await answer(send, status, None if status == 204 else problem(status, refused.code.reason), headers)


def problem(status: int, reason: str) -> dict[str, Any]:
    return {"type": f"urn:belfry:problem:{reason}", "title": reason.replace("_", " "), "status": status}
