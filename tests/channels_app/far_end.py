"""A far end for tests of the HTTP seam: a real server on loopback that does what a test says, and calls to it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from channels_app.http import AllowedNetworks, Ended, NoAnswer, Request, Response, Rules, exchange

LOOPBACK = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8", "::1/128"]))
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Visit:
    """One connection, from the server's side."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection = connection
        self.number = number
        self._seen = b""

    def request(self) -> bytes | None:
        """The next whole request, head and body; None when the client has closed."""
        while True:
            head, gap, rest = self._seen.partition(b"\r\n\r\n")
            length = _content_length(head)
            if gap and len(rest) >= length:
                self._seen = rest[length:]
                return head + gap + rest[:length]
            chunk = self.connection.recv(65536)
            if not chunk:
                return None
            self._seen += chunk

    def answer(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reset(self) -> None:
        """End the connection by RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Behaviour = Callable[[Visit], None]


class FarEnd:
    """Serves each connection in a thread by `behaviour`; keeps what it saw."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.visits: list[Visit] = []
        self.stopped = threading.Event()
        self._behaviour = behaviour
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/hooks/1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for visit in self.visits:
            with contextlib.suppress(OSError):
                visit.connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            visit = Visit(connection, len(self.visits) + 1)
            self.visits.append(visit)
            with connection:
                self._behaviour(visit)


@contextlib.contextmanager
def far_end(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[FarEnd]:
    server = FarEnd(behaviour, tls)
    try:
        yield server
    finally:
        server.close()


def always(answer: bytes) -> Behaviour:
    """Answer every request alike and keep the connection open."""

    def behave(visit: Visit) -> None:
        while visit.request() is not None:
            visit.answer(answer)

    return behave


def silent(visit: Visit) -> None:
    """Take everything and never answer."""
    while visit.connection.recv(65536):
        pass


def post(url: str, body: bytes = b"{}", headers: dict[str, str] | None = None, method: str = "POST") -> Request:
    return Request(url, body, headers or {"content-type": "application/json"}, method)


def send(request: Request, *, timeout_s: float = 5.0, rules: Rules = LOOPBACK) -> Ended:
    return exchange(request, timeout_s=timeout_s, rules=rules)


def answer(request: Request, *, timeout_s: float = 5.0, rules: Rules = LOOPBACK) -> Response:
    ended = send(request, timeout_s=timeout_s, rules=rules)
    assert isinstance(ended, Response), ended
    return ended


def no_answer(request: Request, *, timeout_s: float = 5.0, rules: Rules = LOOPBACK) -> NoAnswer:
    ended = send(request, timeout_s=timeout_s, rules=rules)
    assert isinstance(ended, NoAnswer), ended
    return ended


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
