"""uvicorn, as the live process needs it: sockets that notice dead peers, an orderly end, little memory a connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request as Handshake

from channels_app.live.app import LiveApp
from channels_app.live.limits import Limits
from channels_app.live.request import ABORT, PING, PONG

#: A peer that acknowledges nothing for so long is dead, whether it is asked for a sign of life or written to.
_DEAD_AFTER_MS = 45_000
_KEEPALIVE_IDLE_S, _KEEPALIVE_EVERY_S, _KEEPALIVE_PROBES = 30, 5, 3
_BACKLOG = 4_096
#: For saying good-bye, and for what is left after that.
_DRAIN_S, _GRACE_S = 3.0, 2


class StreamProtocol(HttpToolsProtocol):
    """HTTP whose applications can cut a connection off, whatever still waits to be written."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]


class SocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with pings of the application's own, in its own time: no timer for each connection."""

    def handle_connect(self, event: Handshake) -> None:
        # The application runs after this has returned.
        super().handle_connect(event)
        if not self.close_sent:
            self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]
            self.scope[PING] = self.send_ping  # type: ignore[literal-required]

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # Else uvicorn writes down as an error that nobody answered.
            self.handshake_complete = True

    def send_ping(self, number: int) -> None:
        """A ping whose payload is a number of four bytes."""
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.conn.send_ping(struct.pack("!I", number & 0xFFFFFFFF))
            self.transport.write(b"".join(self.conn.data_to_send()))

    def handle_ping(self) -> None:
        """Answer it, unless the far end does not even read what it was told: answers would pile up."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_pong(self, event: Frame) -> None:
        """Pass it on; what it answers, the application knows. As with messages, no more is read before it is heard."""
        if self.close_sent:
            return
        self.queue.put_nowait({"type": PONG, "bytes": bytes(event.data)})  # type: ignore[typeddict-item]
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()


class LiveServer(uvicorn.Server):
    """Ends by sending everybody away in order, and then as uvicorn does. A second signal ends it at once."""

    def __init__(self, config: uvicorn.Config, app: LiveApp, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._ready = app, ready
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._draining is None and self.started:
            self._loop.call_soon_threadsafe(self._begin_draining, sig)
        else:
            super().handle_exit(sig, frame)

    def _begin_draining(self, sig: int) -> None:
        if self._draining is None:
            self._draining = self._loop.create_task(self._drain(sig))

    async def _drain(self, sig: int) -> None:
        # Whoever comes from now on goes to another process.
        for server in self.servers:
            server.close()
        await self._app.process.drain(_DRAIN_S)
        super().handle_exit(sig, None)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket to listen at. What it accepts inherits how long a dead peer goes unnoticed. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_USER_TIMEOUT", _DEAD_AFTER_MS),
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", _KEEPALIVE_EVERY_S),
        ("TCP_KEEPCNT", _KEEPALIVE_PROBES),
    ):
        # Linux has them all.
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    return listening


def server(limits: Limits, ready: Callable[[], None] = lambda: None) -> LiveServer:
    """A server, for `run(sockets=[...])`. `ready` is called once it takes connections."""
    # At the level of information they write addresses down, and tickets stand in those.
    for name in ("uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    app = LiveApp(limits)
    given: dict[str, Any] = {"http": StreamProtocol, "ws": SocketProtocol, "loop": "uvloop", "lifespan": "on"}
    config = uvicorn.Config(
        app,
        **given,
        # A compressor for each WebSocket would cost twice as much memory as all the rest of it.
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        ws_max_size=limits.frame_bytes,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return LiveServer(config, app, ready)
