"""The ASGI application below `/rt/`: streams, sockets, the long poll, and what operators ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from channels_app.live import polling, sse
from channels_app.live.answers import answer, problem, wrong_method
from channels_app.live.limits import Limits
from channels_app.live.operating import Operating
from channels_app.live.origin import allowed_to_read
from channels_app.live.process import LiveProcess
from channels_app.live.request import Receive, Request, Scope, Send
from channels_app.live.websocket import WebSocketSide

_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET"),
    (b"access-control-allow-headers", b"authorization, last-event-id, cache-control"),
    (b"access-control-max-age", b"600"),
]

Endpoint = Callable[[Request, Send], Awaitable[None]]


class LiveApp:
    """Begins and ends with the lifespan of its server."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.process: LiveProcess

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # No frame of this function stays below the streams: what serves them is returned, and awaited in its place.
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["path"] == "/rt/sse" and scope["method"] == "GET":
            await sse.serve(self.process.hub, self.process.credentials, scope, receive, send)
        else:
            await self._other(Request(scope), receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.process = LiveProcess(self._limits)
        await self.process.start()
        self._sockets = WebSocketSide(self.process.hub, self.process.credentials, self.process.conversation)
        self._operating = Operating(
            self.process.hub, self.process.credentials, self.process.presence, self.process.threads
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.process.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/rt/ws":
            await self._sockets.serve(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _other(self, request: Request, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(request.path)
        if request.method == "OPTIONS":
            headers = allowed_to_read(request.origin, trusted=self.process.credentials.trusted)
            await answer(send, 204, headers=[*headers, *_PREFLIGHT])
        elif request.path == "/rt/changes" and request.method == "GET":
            process = self.process
            await polling.serve(process.hub, process.store, process.credentials, request, receive, send)
        elif endpoint is None:
            await _not_there(request, send)
        else:
            await endpoint(request, send)

    def _endpoint(self, path: str) -> Endpoint | None:
        return {
            "/rt/health": self._operating.health,
            "/rt/presence": self._operating.presence,
            "/rt/connections": self._operating.connections,
            "/rt/metrics": self._operating.metrics,
        }.get(path)


async def _not_there(request: Request, send: Send) -> None:
    """Whoever has come the wrong way is told the right one."""
    if request.path in ("/rt/sse", "/rt/changes"):
        await wrong_method(send, "GET")
    elif request.path == "/rt/ws":
        detail = "This opens WebSockets, and nobody asked for one. Over plain HTTP there are /rt/sse and /rt/changes."
        await answer(
            send,
            426,
            problem(426, "upgrade_required", detail),
            [(b"connection", b"upgrade"), (b"upgrade", b"websocket")],
        )
    else:
        detail = "There are /rt/sse, /rt/ws, /rt/changes, /rt/presence, /rt/connections, /rt/metrics, /rt/health."
        await answer(send, 404, problem(404, "not_found", detail))
