"""How one client listens to its feed: by Server-Sent Events or by WebSocket, as programs in the world do it.

It goes on for ever: whatever ends a connection, it comes back after as long as it was told to wait, from where it
stands. It reads what `docs/live.md` describes and knows nothing else of Belfry.
"""

from __future__ import annotations

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

import httptools
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from project.chaos.live.replica import Replica

CHANGES = frozenset({"new", "updated", "deleted"})
#: Codes of ends after which one does not come back, and the one after which one comes back without a cursor.
_FINAL, _STATE_INVALID = range(4000, 4100), 4201
_CONNECTS_WITHIN_S = 10.0
#: What a slow reader reads at a time, and how long it rests afterwards.
_SIP_BYTES, _SIP_S = 1024, 0.25
_CHUNK_BYTES = 16_384
#: A far network's, so that little waits in the machine itself.
_SEGMENT_BYTES, _WINDOW_BYTES = 1400, 8192
#: When one comes back after an end of which nobody said anything.
_BACK_OFF_S = (1.0, 4.0)

#: What a client shows to be let in: headers, and what stands in the URL.
Credential = Callable[[], tuple[Mapping[str, str], Mapping[str, str]]]


@dataclass(slots=True)
class Client(ABC):
    """One client, and what it has. `slow`: it takes its time to read. `robbed`: somebody takes a change from it."""

    replica: Replica
    url: str
    credential: Credential
    random: Random
    slow: bool = False
    robbed: bool = False
    connected: bool = field(default=False, init=False)
    #: How often it was let in.
    connects: int = field(default=0, init=False)
    #: The server has told it to stay away.
    sent_away: bool = field(default=False, init=False)
    #: When to come back, in seconds, where the server has said so.
    wait_s: float | None = field(default=None, init=False)

    async def live(self) -> None:
        """Listen for ever, or until it is sent away."""
        while not self.sent_away:
            self.wait_s = None
            with suppress(OSError, TimeoutError, EOFError, WebSocketException, httptools.HttpParserError):
                await self.listen()
            self.connected = False
            await asyncio.sleep(self.random.uniform(*_BACK_OFF_S) if self.wait_s is None else self.wait_s)

    @abstractmethod
    async def listen(self) -> None:
        """Connect, and hear until it ends. Raises whatever ended it."""

    def hear_word(self, name: str, said: Mapping[str, Any]) -> None:
        """A word about the stream itself."""
        if name == "hello":
            self.connected = True
            self.connects += 1
            self.replica.greet(said["cursor"])
        elif name == "state":
            self.replica.count(said["unread"])
        elif name == "reset":
            self.replica.reset(said["cursor"])
        elif name == "bye":
            self.sent_away = said["code"] in _FINAL
            self.wait_s = said["retry_ms"] / 1000
            if said["code"] == _STATE_INVALID:
                self.replica.epoch = 0

    def hear_change(self, change: Mapping[str, Any], *, again: bool = False) -> None:
        """A change of the feed."""
        if self.robbed and change["type"] == "new":
            self.robbed = False
            self.replica.seq = max(self.replica.seq, change["seq"])
            return
        self.replica.apply(change, again=again)

    @property
    def _where(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 80)

    async def _dial(self) -> socket.socket:
        """A connection; that of a slow client goes through a narrow pipe."""
        dialled = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        dialled.setblocking(False)
        if self.slow:
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
            dialled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW_BYTES)
        try:
            async with asyncio.timeout(_CONNECTS_WITHIN_S):
                await asyncio.get_running_loop().sock_connect(dialled, self._where)
        except BaseException:
            dialled.close()
            raise
        return dialled


@dataclass(slots=True)
class StreamClient(Client):
    """By Server-Sent Events. It waits between connections as a browser does."""

    retry_s: float = field(default=3.0, init=False)
    _rest: bytes = field(default=b"", init=False)
    _ended: bool = field(default=False, init=False)

    async def listen(self) -> None:
        self._rest, self._ended, self.wait_s = b"", False, self.retry_s
        reader, writer = await asyncio.open_connection(sock=await self._dial(), limit=_CHUNK_BYTES)
        try:
            writer.write(self._request())
            parser = httptools.HttpResponseParser(self)
            while not self._ended and (chunk := await reader.read(_SIP_BYTES if self.slow else _CHUNK_BYTES)):
                parser.feed_data(chunk)
                if self.slow:
                    await asyncio.sleep(_SIP_S)
        finally:
            writer.close()

    def _request(self) -> bytes:
        headers, query = self.credential()
        lines = [
            f"GET /rt/sse?{urlencode({'device': self.replica.name, **query})} HTTP/1.1",
            f"Host: {urlsplit(self.url).netloc}",
            "Accept: text/event-stream",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if self.replica.cursor:
            lines.append(f"Last-Event-ID: {self.replica.cursor}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def on_body(self, body: bytes) -> None:
        """More of the stream."""
        *blocks, self._rest = (self._rest + body).split(b"\n\n")
        for block in blocks:
            self._hear_block(block.decode())

    def on_message_complete(self) -> None:
        """The stream has ended, though the connection has not."""
        self._ended = True

    def _hear_block(self, block: str) -> None:
        fields = {name: value for name, _, value in (line.partition(": ") for line in block.split("\n"))}
        if "retry" in fields:
            self.retry_s = self.wait_s = int(fields["retry"]) / 1000
        name, cursor = fields.get("event", ""), fields.get("id", "")
        if name in CHANGES:
            self.hear_change(json.loads(fields["data"]))
        elif cursor:
            self.replica.move(cursor)
        elif name:
            self.hear_word(name, json.loads(fields["data"]))


@dataclass(slots=True)
class SocketClient(Client):
    """By WebSocket, `belfry.v1`. It acknowledges everything that it took."""

    async def listen(self) -> None:
        headers, query = self.credential()
        address = f"ws{self.url.removeprefix('http')}/rt/ws?"
        dialled = await self._dial()
        async with connect(
            address + urlencode({"device": self.replica.name, "last": self.replica.cursor, **query}),
            sock=dialled,
            subprotocols=["belfry.v1"],  # type: ignore[list-item]  # A text by another name.
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            max_queue=4,
            close_timeout=1.0,
            proxy=None,
        ) as wire:
            async for message in wire:
                cursor = self._hear(json.loads(message))
                if self.slow:
                    await asyncio.sleep(_SIP_S)
                if cursor:
                    await wire.send(json.dumps({"t": "ack", "upto": cursor}))

    def _hear(self, frame: Mapping[str, Any]) -> str:
        """Take a frame; the cursor that it brought, if it did."""
        name, again = frame["t"], bool(frame.get("re"))
        if name in CHANGES:
            self.hear_change(frame["d"], again=again)
        elif name == "batch":
            for change in frame["d"]:
                self.hear_change(change, again=again)
            self.replica.move(frame["id"])
        else:
            self.hear_word(name, frame if name == "hello" else frame.get("d", {}))
            return ""
        return str(frame["id"])
