"""The little HTTP server, byte by byte."""

import socket

import pytest
import requests

from project.outside import World
from project.outside.http_server import RequestError, body_length, parse_head


def exchange(world: World, *parts: bytes, answers: int = 1) -> bytes:
    """Send parts one after the other over one connection and read until so many answers are there."""
    read = b""
    with socket.create_connection(("127.0.0.1", world.port), timeout=2) as connection:
        for part in parts:
            connection.sendall(part)
        while read.count(b"HTTP/1.1") < answers or not read.endswith((b"\r\n", b".")):
            read += connection.recv(65536)
    return read


POST = b"POST /sink/bytes HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


def test_a_request_may_come_in_pieces(world: World) -> None:
    assert exchange(world, POST[:20], POST[20:70], POST[70:]) == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_pipelined_requests_are_answered_in_order(world: World) -> None:
    slow = POST.replace(b"/sink/bytes", b"/do/delay_ms=50")
    gone = POST.replace(b"/sink/bytes", b"/do/gone")
    read = exchange(world, slow + gone, answers=2)
    assert [line[9:12] for line in read.split(b"\r\n") if line.startswith(b"HTTP/1.1")] == [b"204", b"410"]


def test_a_connection_is_kept_alive(world: World) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.post(world.sink_url("alive"), data=b"x")
    assert len(world.seen("sink/alive")) == 3


def test_a_sender_that_asks_may_continue(world: World) -> None:
    head, body = POST.replace(b"Host", b"Expect: 100-continue\r\nHost").split(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", world.port), timeout=2) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 204")


def test_what_is_no_request_is_refused_and_the_connection_ends(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=2) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        assert connection.recv(1000) == b""


@pytest.mark.parametrize("head", [b"GET /", b"GET / HTTP/2", b"GET / HTTP/1.1\r\nnocolon", b"GET / HTTP/1.1\r\nA : b"])
def test_a_bad_head_is_refused(head: bytes) -> None:
    with pytest.raises(RequestError):
        parse_head(head)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"transfer-encoding": "chunked"}, 411),
        ({"content-length": "-1"}, 400),
        ({"content-length": "99999999999"}, 413),
    ],
)
def test_a_body_of_unknown_or_absurd_length_is_refused(headers: dict[str, str], status: int) -> None:
    with pytest.raises(RequestError) as error:
        body_length(headers)
    assert error.value.status == status
