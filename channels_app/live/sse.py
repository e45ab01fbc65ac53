"""Server-Sent Events: what a browser's `EventSource` reads, and any program that can read lines.

A browser gives up for good on every status but 200. So what may be well again soon is answered as a stream that says
`bye`, and only what stays as it is with a status.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from channels_app.live import metrics
from channels_app.live.answers import Headers, refuse
from channels_app.live.codes import Code, Refused
from channels_app.live.connection import Connection
from channels_app.live.credentials import Credentials
from channels_app.live.event import bye_word
from channels_app.live.frames import DIALECTS, SSE, SSE_WITH_PINGS, sse_retry
from channels_app.live.hub import Hub
from channels_app.live.origin import allowed_to_read
from channels_app.live.request import ABORT, Receive, Request, Scope, Send, slim

#: When a browser comes back by itself after an end that nobody announced.
RETRY_MS = 3_000
RETRY_AFTER_REFUSAL_MS = 15_000

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    # nginx: pass each event on at once.
    (b"x-accel-buffering", b"no"),
]


class SseWire:
    """A response whose body goes on."""

    __slots__ = ("_send", "abort")

    def __init__(self, send: Send, abort: Callable[[], None]) -> None:
        self._send, self.abort = send, abort

    async def send(self, frame: bytes) -> None:
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    async def end(self, bye: bytes, code: Code) -> None:
        await self._send({"type": "http.response.body", "body": bye, "more_body": False})

    def ping(self, number: int) -> None:
        """There is nothing below a stream that would answer."""


async def serve(hub: Hub, credentials: Credentials, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request for a stream, for as long as that lasts."""
    request = Request(scope)
    headers = allowed_to_read(request.origin, trusted=credentials.trusted)
    try:
        connection = await _attached(hub, credentials, request, SseWire(send, scope[ABORT]))
    except Refused as refused:
        metrics.CONNECTS.labels(refused.code.reason).inc()
        await _refuse(send, request, refused, headers)
        return
    metrics.CONNECTS.labels("taken").inc()
    try:
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
        del request
        slim(scope)
        await connection.wire.send(sse_retry(RETRY_MS))
        hub.open(connection)
        while (await receive())["type"] != "http.disconnect":
            pass
    finally:
        hub.detach(connection)


async def _attached(hub: Hub, credentials: Credentials, request: Request, wire: SseWire) -> Connection:
    """Raises `Refused`."""
    hub.admit()
    identity = await credentials.identify(request, websocket=False)
    dialect = DIALECTS[SSE_WITH_PINGS if request.query.get("ping") == "event" else SSE]
    connection = Connection(identity, wire, dialect, hub.limits, since=datetime.now(UTC))
    # A browser that comes back names where it was in a header; what a page put into the URL is older.
    connection.resume_after(request.headers.get("last-event-id") or request.query.get("last_event_id", ""))
    hub.attach(connection)
    return connection


async def _refuse(send: Send, request: Request, refused: Refused, headers: Headers) -> None:
    if refused.code.final or "text/event-stream" not in request.headers.get("accept", ""):
        await refuse(send, refused, headers)
        return
    bye = bye_word(refused.code, refused.retry_ms or RETRY_AFTER_REFUSAL_MS)
    frame = DIALECTS[SSE].write(bye, again=0, message_id=None, at=datetime.now(UTC))
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
    await send({"type": "http.response.body", "body": frame})
