"""Brokers that are not as they should be, for tests of what must not depend on them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from celery import current_app

from notifications import wake


@contextlib.contextmanager
def broker_at(url: str) -> Iterator[None]:
    """Celery publishes to the broker at `url`, by a new bell; then again to the usual one."""
    usual = current_app.conf.broker_write_url
    _use(url)
    try:
        yield
    finally:
        _use(usual)


@contextlib.contextmanager
def no_broker() -> Iterator[str]:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = _url(taken)
    with broker_at(url):
        yield url


@contextlib.contextmanager
def frozen_broker() -> Iterator[socket.socket]:
    """Somebody takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent, broker_at(_url(silent)):
        yield silent


def _use(url: str) -> None:
    current_app.conf.update(broker_write_url=url)
    # Connections and producers are kept by the app, and so is the bell that may hang on one of them.
    current_app.amqp.__dict__["_producer_pool"] = None
    wake._bells.clear()


def _url(server: socket.socket) -> str:
    return f"redis://127.0.0.1:{server.getsockname()[1]}/0"
