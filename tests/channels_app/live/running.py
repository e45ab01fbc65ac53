"""A live process in a thread, and clients to talk to it."""

from __future__ import annotations

import json
import signal
import socket as sockets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode

import httpx
from httpx_sse import EventSource, ServerSentEvent
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from channels_app.feed.item import Change, NewItem
from channels_app.feed.writing import publish
from channels_app.live import server, tickets
from channels_app.live.limits import Limits
from channels_app.live.process import LiveProcess

WITHIN_S = 10.0


def now() -> datetime:
    return datetime.now(UTC)


def eventually(holds: Callable[[], bool], *, within_s: float = WITHIN_S) -> None:
    give_up_at = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.01)


def tell(recipient: str, *titles: str, **more: Any) -> list[Change]:
    """Write items into a feed."""
    return publish(
        [NewItem(recipient=recipient, event_type="test.said", title=title, **more) for title in titles], now=now()
    )


class Running:
    """A server on a port of loopback, from entering to leaving."""

    def __init__(self, limits: Limits, port: int = 0) -> None:
        self._socket = server.listening_socket("127.0.0.1", port)
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self.server = server.server(limits, self._ready.set)
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()

    @property
    def process(self) -> LiveProcess:
        return self.server._app.process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rt"

    def cut(self) -> None:
        """Lose all connections, as a network does."""
        for connection in list(self.process.hub):
            self.server._loop.call_soon_threadsafe(connection.wire.abort)

    def end(self) -> None:
        """As by SIGTERM: in order."""
        self.server.handle_exit(signal.SIGTERM, None)
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()

    def wait_for_bus(self) -> None:
        """Until hints are read."""
        eventually(lambda: bool(self.process._bus._last))

    @contextmanager
    def stream(self, recipient: str, last: str = "", **query: str) -> Iterator[Stream]:
        """A stream of Server-Sent Events of `recipient`, after the cursor `last`."""
        query = {"ticket": tickets.issue(recipient, now=now()), **query}
        headers = {"last-event-id": last} if last else {}
        with (
            httpx.Client(timeout=WITHIN_S) as client,
            client.stream(
                "GET", f"{self.url}/sse?{urlencode(query)}", headers={"accept": "text/event-stream", **headers}
            ) as response,
        ):
            yield Stream(response)

    def socket(self, recipient: str, *, protocol: str = "belfry.v1", **query: str) -> Socket:
        """A WebSocket of `recipient`."""
        query = {"ticket": tickets.issue(recipient, now=now()), **query}
        return Socket(self.connect(urlencode(query), protocol=protocol))

    @contextmanager
    def mute(self, recipient: str, *, transport: str = "ws", buffer: int = 0) -> Iterator[sockets.socket]:
        """A connection that says nothing after its greeting, and reads only what the test does."""
        ticket = tickets.issue(recipient, now=now())
        with sockets.socket() as raw:
            if buffer:
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, buffer)
            raw.settimeout(WITHIN_S)
            raw.connect(("127.0.0.1", self.port))
            lines = [f"GET /rt/{transport}?{urlencode({'ticket': ticket})} HTTP/1.1", "Host: x"]
            if transport == "ws":
                lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
                lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
            raw.sendall("\r\n".join([*lines, "", ""]).encode())
            yield raw

    def connect(self, query: str = "", *, protocol: str = "belfry.v1", **more: Any) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/rt/ws?{query}"
        opened: ClientConnection = connect(address, subprotocols=[Subprotocol(protocol)], open_timeout=WITHIN_S, **more)
        return opened


class Stream:
    """Events of a response, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._events = EventSource(response).iter_sse()

    def next(self) -> ServerSentEvent:
        return next(self._events)

    def until(self, name: str) -> ServerSentEvent:
        """The next event of this name; others are passed over."""
        return self.until_any(name)

    def until_any(self, *names: str) -> ServerSentEvent:
        while (event := self.next()).event not in names:
            pass
        return event

    def take(self, count: int) -> list[ServerSentEvent]:
        """The next changes."""
        found: list[ServerSentEvent] = []
        while len(found) < count:
            event = self.next()
            if event.event in ("new", "updated", "deleted"):
                found.append(event)
        return found


class Socket:
    """Frames of a WebSocket, one after the other."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def __enter__(self) -> Self:
        self.connection.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.__exit__(None, None, None)

    def code(self) -> int:
        """The code with which the other side ends it."""
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv(timeout=WITHIN_S)
        assert self.connection.close_code is not None
        return self.connection.close_code

    def say(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def next(self, within_s: float = WITHIN_S) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(timeout=within_s))
        return frame

    def until(self, *names: str, within_s: float = WITHIN_S) -> dict[str, Any]:
        while (frame := self.next(within_s))["t"] not in names:
            pass
        return frame


#: Starts a live process with other limits, as keyword arguments.
StartsLive = Callable[..., Running]
