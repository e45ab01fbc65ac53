"""What an ASGI scope asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Where `server` puts, in a scope, a function that cuts the connection off, and one that sends a WebSocket's own ping.
ABORT, PING = "belfry.abort", "belfry.ping"
#: The type of the message by which it tells of the answer to one.
PONG = "belfry.pong"


class Request:
    """A request's method, path, query and headers. Later values of the same name win."""

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

    @property
    def origin(self) -> str | None:
        return self.headers.get("origin")

    @property
    def bearer(self) -> str:
        """The token behind `Authorization: Bearer`, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def cookie(self, name: str) -> str:
        """A cookie's value, or nothing."""
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return ""
        return found.value if found else ""


def slim(scope: Scope) -> None:
    """Let go of what was asked for. A stream keeps its scope for hours, and a browser's headers are two kilobytes."""
    method = scope.get("method", "GET")
    scope.clear()
    scope["method"] = method
