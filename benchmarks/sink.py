"""The far end of the benchmarks: answers 204, at once or as late as its path says, and counts.

    python -m benchmarks.sink          prints its port, ends when its standard input ends

    /now/...       at once
    /ms/50/...     after 50 ms
    /tail/...      after 20 ms, and one in a hundred after 3 s
    /hang/...      never
    /noted/now/... as the rest of the path says, and remembers when which `webhook-id` arrived

    GET /counts    {"total": requests so far}
    GET /notes     [[webhook-id, seconds since 1970], ...], and forgets them

Written on bare sockets: what the far end costs is taken from the sender on the same machine.
Understands what libcurl and `requests` send (`Content-Length`, no chunks), and nothing else.
"""

from __future__ import annotations

import heapq
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from random import Random
from typing import Any, Self

_ANSWER = b"HTTP/1.1 204 No Content\r\nServer: sink\r\n\r\n"
_TAIL_MS, _TAIL_SHARE, _TAIL_SLOW_MS = 20.0, 0.01, 3000.0
_NEVER = float("inf")

#: How late one answer is, in seconds.
_Delay = Callable[[], float]


class _Caller:
    """One connection."""

    __slots__ = ("pending", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket: socket.socket | None = connection
        self.pending = b""


class Server:
    """Serves from one thread until standard input ends."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listening.fileno(), select.EPOLLIN)
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        self._callers: dict[int, _Caller] = {}
        self._later: list[tuple[float, int, _Caller]] = []
        self._delays: dict[bytes, tuple[_Delay | None, bool]] = {}
        self._random = Random(0)
        self._total = 0
        self._notes: list[tuple[str, float]] = []

    def serve(self) -> None:
        listening, stdin = self._listening.fileno(), sys.stdin.fileno()
        while True:
            for fd, _ in self._epoll.poll(self._answer_due()):
                if fd == listening:
                    self._accept()
                elif fd == stdin:
                    return
                else:
                    self._hear(fd, self._callers[fd])

    def _answer_due(self) -> float:
        """Give the answers whose time has come; seconds until the next."""
        later, now = self._later, time.monotonic()
        while later and later[0][0] <= now:
            self._answer(heapq.heappop(later)[2])
        return later[0][0] - now if later else -1

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._callers[connection.fileno()] = _Caller(connection)
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _hear(self, fd: int, caller: _Caller) -> None:
        assert caller.socket is not None
        try:
            data = caller.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            caller.socket.close()
            caller.socket = None
            del self._callers[fd]
            return
        whole = caller.pending + data if caller.pending else data
        end = whole.find(b"\r\n\r\n")
        if end < 0 or len(whole) < end + 4 + _body_length(whole, end):
            caller.pending = whole
            return
        caller.pending = b""
        self._take(caller, whole[:end])

    def _take(self, caller: _Caller, head: bytes) -> None:
        path = head[head.index(b" ") + 1 : head.index(b" HTTP/")]
        known = self._delays.get(path)
        if known is None:
            if not head.startswith((b"POST ", b"PUT ")):
                self._tell(caller, path)
                return
            known = self._delays[path] = self._parse(path.decode())
        delay, noted = known
        self._total += 1
        if noted:
            self._notes.append((_message_id(head), time.time()))
        if delay is None:
            self._answer(caller)
        elif (late := delay()) != _NEVER:
            heapq.heappush(self._later, (time.monotonic() + late, self._total, caller))

    def _parse(self, path: str) -> tuple[_Delay | None, bool]:
        words = path.strip("/").split("/")
        noted = words[0] == "noted"
        kind, *rest = words[1:] if noted else words
        delays: dict[str, _Delay | None] = {"now": None, "tail": self._tail, "hang": lambda: _NEVER}
        if kind == "ms":
            late = float(rest[0]) / 1000
            return (lambda: late), noted
        return delays[kind], noted

    def _tail(self) -> float:
        return (_TAIL_SLOW_MS if self._random.random() < _TAIL_SHARE else _TAIL_MS) / 1000

    def _answer(self, caller: _Caller) -> None:
        if caller.socket is not None:
            try:
                caller.socket.send(_ANSWER)
            except OSError:
                return  # It is gone, which the next event on it says too.

    def _tell(self, caller: _Caller, path: bytes) -> None:
        told: Any = {"total": self._total}
        if path == b"/notes":
            told, self._notes = self._notes, []
        body = json.dumps(told).encode()
        assert caller.socket is not None
        caller.socket.setblocking(True)
        caller.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        caller.socket.setblocking(False)


def _body_length(whole: bytes, end: int) -> int:
    at = whole.find(b"ontent-Length: ", 0, end)
    return int(whole[at + 15 : whole.index(b"\r", at)]) if at >= 0 else 0


def _message_id(head: bytes) -> str:
    at = head.find(b"webhook-id: ")
    return head[at + 12 : head.find(b"\r\n", at)].decode() if at >= 0 else ""


class Sink:
    """The sink as a process of its own, as a context manager."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.sink"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def url(self, path: str) -> str:
        """The address of a place; see the top of the file."""
        return f"http://127.0.0.1:{self._port}/{path}"

    def total(self) -> int:
        """How many requests it took so far."""
        return int(self._ask("/counts")["total"])

    def notes(self) -> list[tuple[str, float]]:
        """What arrived at `/noted/...` since the last time it was asked: message id, seconds since 1970."""
        return [(message_id, at) for message_id, at in self._ask("/notes")]

    def _ask(self, path: str) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def main() -> None:
    server = Server()
    print(server.port, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
