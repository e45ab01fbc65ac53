"""Answers that are no streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
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

#: What the client does about it.
_DETAILS = {
    Code.BAD_REQUEST: "A parameter cannot be read.",
    Code.FORBIDDEN: "Show `ticket`, a feed token as bearer, or an operator's API key and `recipient`.",
    Code.BAD_VERSION: "Offer the sub-protocol belfry.v1 or belfry.v1.protobuf, or none.",
    Code.CONNECTION_LIMIT: "This recipient has as many connections as one may have, and somebody looks at each.",
    Code.KICKED: "An operator has sent this recipient, or this device, away. Stay away.",
    Code.TOKEN_EXPIRED: "The ticket, token or session has ended, or the ticket was used. Come with a new one.",
}
_LATER_DETAIL = "It cannot be served now. Come back later."
_RETRY_AFTER_S = 2


def status_of(code: Code) -> int:
    """The status of HTTP for a refusal."""
    return _STATUS.get(code, _LATER)


async def answer(send: Send, status: int, body: Mapping[str, Any] | None = None, headers: Headers = ()) -> None:
    """A JSON answer, or an empty one."""
    content = msgspec.json.encode(body) if body is not None else b""
    kind = b"application/problem+json" if status >= 400 else b"application/json"
    all_headers = [(b"content-type", kind), (b"content-length", b"%d" % len(content)), (b"cache-control", b"no-store")]
    all_headers += headers
    if status == 204:
        all_headers = [each for each in all_headers if not each[0].startswith(b"content-")]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": content})


async def refuse(send: Send, refused: Refused, headers: Headers = ()) -> None:
    """Say why a request is not served."""
    status = status_of(refused.code)
    await answer(send, status, None if status == 204 else problem_of(refused), [*headers, *retry_after(refused)])


def retry_after(refused: Refused) -> Headers:
    """When to come back, as a header, where that is of use."""
    after_s = ceil(refused.retry_ms / 1000) or (_RETRY_AFTER_S if status_of(refused.code) == _LATER else 0)
    return [(b"retry-after", b"%d" % after_s)] if after_s else []


def problem_of(refused: Refused) -> dict[str, Any]:
    """The members of a problem (RFC 9457) for a refusal."""
    detail = refused.detail or _DETAILS.get(refused.code, _LATER_DETAIL)
    return problem(status_of(refused.code), refused.code.reason, detail)


def problem(status: int, reason: str, detail: str) -> dict[str, Any]:
    kind, title = reason.replace("_", "-"), reason.replace("_", " ")
    return {"type": f"urn:belfry:problem:{kind}", "title": title, "status": status, "detail": detail}


async def wrong_method(send: Send, right: str) -> None:
    """405, with the method that there is."""
    body = problem(405, "method_not_allowed", f"Use {right}.")
    await answer(send, 405, body, headers=[(b"allow", right.encode())])
