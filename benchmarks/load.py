"""Producers: POST at a given rate whatever the answers do, or as fast as so many clients get answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import msgspec

from benchmarks.measure import DidNotFinish
from channels_app.http import AllowedNetworks, Exchanges, Request, Response, Rules

_RULES = Rules(allowed=AllowedNetworks.of(["127.0.0.0/8"]))
_TIMEOUT_S = 30.0

_encode = msgspec.json.Encoder().encode
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post, and as whom."""

    url: str
    api_key: str

    def request(self, body: bytes) -> Request:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.api_key}"}
        return Request(self.url, body, headers)


def notification() -> dict[str, Any]:
    """One as producers send it, some 300 bytes, each with an idempotency key of its own."""
    return {
        "event_type": "stream_online",
        "priority": 5,
        "title": "Lantern Moth Radio is live",
        "body": "Night music until three, with guests.",
        "data": {"viewers": 131, "category": "Music", "url": "https://example.org/lantern-moth", "tags": ["night"]},
        "idempotency_key": f"bench-{time.time_ns()}-{next(_numbers)}",
    }


def one() -> bytes:
    """The body of a single notification."""
    return _encode(notification())


def bulk(size: int) -> bytes:
    """The body of so many at once."""
    return _encode({"notifications": [notification() for _ in range(size)]})


def at_rate(target: Target, rate: float, seconds: float) -> list[float]:
    """Post single notifications, `rate` a second. Seconds each from the time it was meant to leave to its answer.

    Those of the first second are left out. Raises `DidNotFinish` when one is not accepted.
    """
    began = time.perf_counter()
    due = (began + number / rate for number in range(int(rate * seconds)))
    waits: list[float] = []
    with Exchanges[float](_RULES) as exchanges:
        for at in due:
            while (left := at - time.perf_counter()) > 0:
                waits += _ended(exchanges, left, since=began + 1)
            exchanges.start(at, target.request(one()), timeout_s=_TIMEOUT_S)
        while exchanges.in_flight:
            waits += _ended(exchanges, 1.0, since=began + 1)
    return waits


def by_clients(target: Target, clients: int, seconds: float, make: Callable[[], bytes] = one) -> list[float]:
    """So many clients post one after the other for `seconds`. Seconds that each request took."""
    began = time.perf_counter()
    waits: list[float] = []
    with Exchanges[float](_RULES) as exchanges:
        while (now := time.perf_counter()) - began < seconds:
            for _ in range(clients - exchanges.in_flight):
                exchanges.start(now, target.request(make()), timeout_s=_TIMEOUT_S)
            waits += _ended(exchanges, 1.0)
        while exchanges.in_flight:
            waits += _ended(exchanges, 1.0)
    return waits


def _ended(exchanges: Exchanges[float], timeout_s: float, since: float = 0.0) -> Iterator[float]:
    ended = exchanges.poll(timeout_s)
    now = time.perf_counter()
    for at, end in ended:
        if not isinstance(end, Response) or end.status not in (201, 202):
            raise DidNotFinish(f"a notification was not accepted: {end!r}")
        if at >= since:
            yield now - at


def wait_for(url: str, within_s: float = 60.0) -> None:
    """Wait until something answers there. Raises `DidNotFinish`."""
    host, _, path = url.removeprefix("http://").partition("/")
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        connection = HTTPConnection(host, timeout=5)
        try:
            connection.request("GET", f"/{path}")
            connection.getresponse()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise DidNotFinish(f"nothing answers at {url}")
