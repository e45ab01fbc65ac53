"""A wire that can be cut without either end hearing of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from project.chaos.relay import Relay


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                while heard := connection.recv(1000):
                    connection.sendall(heard)

        def welcome() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

        threading.Thread(target=welcome, daemon=True).start()
        yield listening.getsockname()
        listening.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive(), "the relay left a connection open"


@pytest.fixture
def relay(echo: tuple[str, int]) -> Iterator[Relay]:
    with Relay(lambda: echo) as running:
        yield running


def connect(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=0.3)


def hears(connection: socket.socket) -> bool:
    connection.sendall(b"hello")
    try:
        return connection.recv(1000) == b"hello"
    except TimeoutError:
        return False


def test_it_passes_on_what_is_said(relay: Relay) -> None:
    with connect(relay) as connection:
        assert hears(connection)
        assert hears(connection)


def test_when_it_is_silent_nothing_comes_and_nothing_breaks(relay: Relay) -> None:
    with connect(relay) as connection:
        assert hears(connection)
        relay.go_silent()
        assert not hears(connection)
        with connect(relay) as late:
            assert not hears(late)


def test_old_connections_stay_dumb_when_it_is_back(relay: Relay) -> None:
    with connect(relay) as connection:
        assert hears(connection)
        relay.go_silent()
        relay.come_back()
        assert not hears(connection)
        with connect(relay) as fresh:
            assert hears(fresh)


def test_an_end_that_hangs_up_is_heard_by_the_other(relay: Relay, echo: tuple[str, int]) -> None:
    with connect(relay) as connection:
        assert hears(connection)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
