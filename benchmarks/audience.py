"""Thousands of live connections from one process: `python -m benchmarks.audience`, spoken to over its standard input.

Each line is a JSON object and is answered by one. All times are in seconds.

    {"do": "open", "url": [host, port], "transport": "sse" | "ws", "tickets": FILE, "at_once": N, "resume": BOOL}
        one connection for each line of FILE; answered with how long it took until the last one had caught up
    {"do": "arrivals", "file": FILE}   how many changes have arrived; written to FILE and forgotten, where one is named
    {"do": "close"}                    all connections

One loop over epoll, no library: what is measured shares the machine with this.
"""

from __future__ import annotations

import heapq
import itertools
import resource
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

_READ_BYTES = 65_536
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_KEY = "YmVsZnJ5LWJlbmNobWFyaw=="
#: When to come back after an end that nobody announced.
_RETRY_S = 1.0


class Member:
    """One connection, and where its client stands."""

    __slots__ = ("buffer", "cursor", "has_head", "is_ready", "socket", "ticket")

    def __init__(self) -> None:
        self.ticket = self.cursor = ""
        self.reset()

    def reset(self) -> None:
        self.socket: socket.socket | None = None
        self.buffer, self.has_head, self.is_ready = b"", False, False


class Audience:
    """All members, and what has come to them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._members: list[Member] = []
        self._open: dict[int, Member] = {}
        self._arrivals: list[tuple[str, float]] = []
        self._waiting: deque[Member] = deque()
        self._later: list[tuple[float, int, Member]] = []
        self._tie = itertools.count()
        self._connecting, self._ready, self._refused = 0, 0, 0
        self._order: dict[str, Any] = {}

    def run(self) -> None:
        """Until standard input ends."""
        while True:
            for descriptor, event in self._epoll.poll(0.05):
                if descriptor == sys.stdin.fileno():
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self._obey(msgspec.json.decode(line))
                elif descriptor in self._open:
                    self._serve(self._open[descriptor], event)
            self._connect_more()

    # --- Orders ----------------------------------------------------------------------------------

    def _obey(self, order: dict[str, Any]) -> None:
        if order["do"] == "open":
            self._begin(order)
        elif order["do"] == "arrivals":
            count = len(self._arrivals)
            if order.get("file"):
                Path(order["file"]).write_bytes(msgspec.json.encode(self._arrivals))
                self._arrivals = []
            _answer(count=count)
        else:
            self._close_all()
            _answer()

    def _begin(self, order: dict[str, Any]) -> None:
        tickets = Path(order["tickets"]).read_text().split()
        if not order["resume"]:
            self._members = [Member() for _ in tickets]
        for member, ticket in zip(self._members, tickets, strict=True):
            member.ticket = ticket
        self._order = {**order, "began": time.monotonic()}
        self._waiting = deque(self._members)
        self._connecting = self._ready = self._refused = 0

    def _close_all(self) -> None:
        for descriptor, member in list(self._open.items()):
            self._epoll.unregister(descriptor)
            assert member.socket is not None
            member.socket.close()
            member.reset()
        self._open.clear()

    # --- Connecting ------------------------------------------------------------------------------

    def _connect_more(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._waiting.append(heapq.heappop(self._later)[2])
        while self._waiting and self._connecting < self._order["at_once"]:
            self._connect(self._waiting.popleft())

    def _connect(self, member: Member) -> None:
        member.reset()
        member.socket = socket.socket()
        member.socket.setblocking(False)
        member.socket.connect_ex(tuple(self._order["url"]))
        self._connecting += 1
        self._open[member.socket.fileno()] = member
        self._epoll.register(member.socket.fileno(), select.EPOLLOUT)

    def _ask(self, member: Member) -> None:
        host, port = self._order["url"]
        is_sse = self._order["transport"] == "sse"
        query = f"ticket={quote(member.ticket)}&last={member.cursor}&last_event_id={member.cursor}"
        lines = [f"GET /rt/{self._order['transport']}?{query} HTTP/1.1", f"Host: {host}:{port}"]
        if is_sse:
            lines += ["Accept: text/event-stream", "Cache-Control: no-cache"]
        else:
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
            lines += [f"Sec-WebSocket-Key: {_KEY}", "Sec-WebSocket-Protocol: belfry.v1"]
        self._send(member, "\r\n".join([*lines, "", ""]).encode())

    def _lose(self, member: Member, retry_s: float) -> None:
        """It was refused, or has ended: it comes back."""
        assert member.socket is not None
        self._epoll.unregister(member.socket.fileno())
        del self._open[member.socket.fileno()]
        member.socket.close()
        self._connecting -= not member.is_ready
        self._ready -= member.is_ready
        self._refused += 1
        heapq.heappush(self._later, (time.monotonic() + retry_s, next(self._tie), member))
        member.reset()

    def _make_ready(self, member: Member) -> None:
        if member.is_ready:
            return
        member.is_ready = True
        self._connecting -= 1
        self._ready += 1
        if self._ready == len(self._members):
            _answer(seconds=time.monotonic() - self._order["began"], refused=self._refused)

    # --- Reading ---------------------------------------------------------------------------------

    def _serve(self, member: Member, event: int) -> None:
        assert member.socket is not None
        try:
            if event & select.EPOLLOUT and not event & (select.EPOLLERR | select.EPOLLHUP):
                self._epoll.modify(member.socket.fileno(), select.EPOLLIN)
                self._ask(member)
                return
            data = member.socket.recv(_READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._lose(member, _RETRY_S)
            return
        now = time.time()
        member.buffer += data
        if not member.has_head:
            _, ends, rest = member.buffer.partition(b"\r\n\r\n")
            if not ends:
                return
            member.has_head, member.buffer = True, rest
        read = self._read_stream if self._order["transport"] == "sse" else self._read_frames
        read(member, now)

    def _read_stream(self, member: Member, now: float) -> None:
        # Of a chunked response: the lines of sizes between the chunks mean nothing to the ones looked for.
        *blocks, member.buffer = member.buffer.split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.splitlines() if b": " in line)
            if b"id" in fields:
                member.cursor = fields[b"id"].decode()
            self._take(member, fields.get(b"event", b"").decode(), fields.get(b"data", b"{}"), now)

    def _read_frames(self, member: Member, now: float) -> None:
        while len(member.buffer) >= 2:
            kind, length, start = member.buffer[0] & 15, member.buffer[1] & 127, 2
            if length >= 126:
                start = 4 if length == 126 else 10
                length = int.from_bytes(member.buffer[2:start])
            if len(member.buffer) < start + length:
                return
            payload, member.buffer = member.buffer[start : start + length], member.buffer[start + length :]
            if kind == _TEXT:
                self._hear(member, msgspec.json.decode(payload, type=_Frame), now)
            elif kind == _PING:
                self._send(member, _masked(_PONG, payload))

    def _hear(self, member: Member, frame: _Frame, now: float) -> None:
        for change in _items(frame.d) if frame.t == "batch" else [frame.d]:
            self._take(member, "new" if frame.t == "batch" else frame.t, bytes(change), now)
        if frame.id:
            member.cursor = frame.id
            self._send(member, _masked(_TEXT, b'{"t":"ack","upto":"%b"}' % frame.id.encode()))

    def _take(self, member: Member, name: str, data: bytes, now: float) -> None:
        if name == "new":
            self._arrivals.append((msgspec.json.decode(data, type=_Item).title, now))
        elif name == "state":
            # Where a client begins that had no cursor.
            member.cursor = member.cursor or msgspec.json.decode(data, type=_State).cursor
            self._make_ready(member)
        elif name == "bye":
            self._lose_later(member, msgspec.json.decode(data, type=_Bye).retry_ms / 1000)

    def _lose_later(self, member: Member, retry_s: float) -> None:
        if member.socket is not None:
            self._lose(member, retry_s)

    def _send(self, member: Member, data: bytes) -> None:
        if member.socket is not None:
            member.socket.send(data)


class _Item(msgspec.Struct):
    title: str = ""


class _State(msgspec.Struct):
    cursor: str = ""


class _Bye(msgspec.Struct):
    retry_ms: int = 0


class _Frame(msgspec.Struct):
    t: str
    id: str = ""
    d: msgspec.Raw = msgspec.Raw(b"{}")


def _items(batch: bytes) -> list[msgspec.Raw]:
    return msgspec.json.decode(batch, type=list[msgspec.Raw])


def _masked(kind: int, payload: bytes) -> bytes:
    """A frame of a client's, masked by zeros. Payloads are short."""
    return bytes((0x80 | kind, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def _answer(**said: float) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Audience().run()
