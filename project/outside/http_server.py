"""A small HTTP/1.1 server that can answer rightly, and wrongly on purpose.

It speaks plain asyncio protocols, because a sink that measures a sender must be faster than it.
Bodies need a `Content-Length`; connections are kept alive; pipelined requests are answered in order.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar, cast

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 8 * 1024 * 1024
#: What `Manner.HUGE` sends: more than any sender should be willing to read.
HUGE_BYTES = 100 * 1024 * 1024
DRIP_INTERVAL_S = 1.0
_CHUNK = b"\xb7" * 65536


class Manner(StrEnum):
    """How an answer is given."""

    #: Whole and at once.
    WHOLE = "whole"
    #: The connection is reset and nothing is answered.
    RESET = "reset"
    #: The head promises more than comes; then the connection ends.
    HALF = "half"
    #: A body of `HUGE_BYTES`.
    HUGE = "huge"
    #: One byte a second.
    DRIP = "drip"
    #: Nothing, for as long as the sender cares to wait.
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. Header names are in lower case; `path` and `query` are not decoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, how long after the request, and in what manner."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    manner: Manner = Manner.WHOLE


Handler = Callable[[Request], Answer]


class RequestError(Exception):
    """What came is not a request that this server reads; the text goes into the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class HttpServer:
    """Listens on loopback and hands every request to `handler`, which must not block."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, *, port: int = 0) -> int:
        """Listen on `port` (0: a free one) and return the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", port, backlog=2048)
        return cast("int", self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and cut what is still connected."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.cut()
        await self._server.wait_closed()

    def _connect(self) -> Connection:
        return Connection(self._handler, self._connections)


class Connection(asyncio.Protocol):
    """One connection: reads requests, answers them one after the other."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._buffer = bytearray()
        self._continued = False
        self._answering: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._answering is None:
            self._serve()

    def cut(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    def _serve(self) -> None:
        try:
            while (request := self._next_request()) is not None:
                answer = self._handler(request)
                if answer.manner is Manner.WHOLE and not answer.after_s:
                    self._transport.write(render(answer))
                    continue
                self._answering = asyncio.get_running_loop().create_task(self._misbehave(answer))
                return
        except RequestError as error:
            body = str(error).encode()
            self._transport.write(render(Answer(error.status, body, {"Connection": "close"})))
            self._transport.close()

    def _next_request(self) -> Request | None:
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise RequestError(431, "The head of the request is too long.")
            return None
        method, target, headers = parse_head(bytes(self._buffer[:head_end]))
        body_start = head_end + 4
        body_end = body_start + body_length(headers)
        if len(self._buffer) < body_end:
            self._ask_to_continue(headers)
            return None
        body = bytes(self._buffer[body_start:body_end])
        del self._buffer[:body_end]
        self._continued = False
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body, datetime.now(UTC))

    def _ask_to_continue(self, headers: Mapping[str, str]) -> None:
        if not self._continued and headers.get("expect", "").lower() == "100-continue":
            self._continued = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _misbehave(self, answer: Answer) -> None:
        if answer.after_s:
            await asyncio.sleep(answer.after_s)
        await self._MANNERS[answer.manner](self, answer)
        self._answering = None
        if not self._transport.is_closing():
            self._serve()

    async def _give_whole(self, answer: Answer) -> None:
        self._transport.write(render(answer))

    async def _reset(self, _answer: Answer) -> None:
        # A linger of nothing turns the close into a reset, which the sender sees as an error.
        sock: socket.socket = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def _give_half(self, answer: Answer) -> None:
        whole = answer.body or _CHUNK[:200]
        self._transport.write(render_head(answer, length=len(whole)) + whole[: len(whole) // 2])
        self._transport.close()

    async def _give_too_much(self, answer: Answer) -> None:
        self._transport.write(render_head(answer, length=HUGE_BYTES))
        for _ in range(HUGE_BYTES // len(_CHUNK)):
            await self._writable.wait()
            if self._transport.is_closing():  # The sender has had enough.
                return
            self._transport.write(_CHUNK)

    async def _drip(self, answer: Answer) -> None:
        for byte in render(Answer(answer.status, answer.body or _CHUNK[:3600], answer.headers)):
            self._transport.write(bytes((byte,)))
            await asyncio.sleep(DRIP_INTERVAL_S)

    async def _hang(self, _answer: Answer) -> None:
        await asyncio.Event().wait()

    _MANNERS: ClassVar[Mapping[Manner, Callable[[Connection, Answer], Coroutine[None, None, None]]]] = {
        Manner.WHOLE: _give_whole,
        Manner.RESET: _reset,
        Manner.HALF: _give_half,
        Manner.HUGE: _give_too_much,
        Manner.DRIP: _drip,
        Manner.HANG: _hang,
    }


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers of a request. Raises `RequestError`."""
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise RequestError(400, "The request line is not HTTP/1.1.")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise RequestError(400, "A header line has no name and value.")
        headers[name.lower()] = value.strip()
    return parts[0], parts[1], headers


def body_length(headers: Mapping[str, str]) -> int:
    """How many bytes of body follow the head. Raises `RequestError`."""
    if "transfer-encoding" in headers:
        raise RequestError(411, "A body needs a Content-Length here.")
    text = headers.get("content-length", "0")
    if not text.isdecimal():
        raise RequestError(400, "Content-Length is not a number.")
    if int(text) > MAX_BODY_BYTES:
        raise RequestError(413, "The body is too large.")
    return int(text)


def render(answer: Answer) -> bytes:
    """The answer as bytes."""
    return render_head(answer, length=len(answer.body)) + answer.body


def render_head(answer: Answer, *, length: int) -> bytes:
    """Status line and headers. A 204 has no body and says no length (RFC 9110, 8.6)."""
    if answer.status == 204 and not answer.headers:
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status != 204:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
