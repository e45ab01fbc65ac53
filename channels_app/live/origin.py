"""Which pages may open a stream with somebody's cookies: those of our own origins.

A browser sends cookies with whatever page asks, so the page must be told from strangers by its `Origin`. A ticket or
a token is shown on purpose, and needs no such check.
"""

from __future__ import annotations

from collections.abc import Collection


def may_use_cookies(origin: str | None, *, fetch_site: str | None, trusted: Collection[str], websocket: bool) -> bool:
    """Whether a request's session counts. `origin` and `fetch_site` are the headers `Origin` and `Sec-Fetch-Site`.

    Browsers name the origin with every WebSocket, and leave it out of a GET to where the page came from.
    """
    if origin is not None:
        return origin in trusted
    return not websocket and fetch_site in (None, "same-origin", "none")


def allowed_to_read(origin: str | None, *, trusted: Collection[str]) -> list[tuple[bytes, bytes]]:
    """CORS headers of an answer. Who shows a ticket or a token may read from anywhere, but not with cookies."""
    if origin is None:
        return []
    headers = [(b"access-control-expose-headers", b"Retry-After")]
    if origin in trusted:
        return [
            *headers,
            (b"access-control-allow-origin", origin.encode("latin-1", "replace")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"Origin"),
        ]
    return [*headers, (b"access-control-allow-origin", b"*")]
