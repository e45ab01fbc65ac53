"""Lost, doubled and late hints, Redis away, readers that are too slow, and an end in order."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from pytest_django import Settings

from channels_app.feed import hints
from project.embedded.home import Home
from project.embedded.valkey import Valkey
from tests.channels_app.live.running import WITHIN_S, Running, StartsLive, eventually, tell


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings) -> Iterator[Valkey]:
    """A Redis of the test's own, to be killed."""
    own = Valkey(Home(tmp_path), fast=True)
    own.start()
    settings.BELFRY_REDIS_URL = own.url(0)
    yield own
    own.process.kill()


def test_a_flushed_bus_loses_nothing(live: Running, bus: redis.Redis) -> None:
    live.wait_for_bus()
    with live.stream("ada") as stream:
        stream.until("state")
        tell("ada", "first")
        assert stream.take(1)[0].id == "1-1"
        bus.flushall()
        tell("ada", "second")
        assert stream.take(1)[0].id == "1-2"


def test_hints_that_come_twice_or_late_are_told_once(live: Running, bus: redis.Redis) -> None:
    live.wait_for_bus()
    with live.stream("ada") as stream:
        stream.until("state")
        tell("ada", "first", "second")
        stream.take(2)
        name = hints.stream("ada", 4)
        entries: Any = bus.xrange(name)
        for _, fields in reversed(entries):
            bus.xadd(name, fields)
        bus.xadd(name, {"u": "ada", "k": "nonsense"})
        tell("ada", "third")
        assert stream.take(1)[0].id == "1-3"


def test_a_last_hint_that_is_lost_is_found_by_comparing_positions(
    start: StartsLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start(check_s=0.5)
    with live.stream("ada") as stream:
        stream.until("state")
        with monkeypatch.context() as lossy:
            lossy.setattr(hints, "_send", lambda entries: True)
            tell("ada", "first")
        assert stream.take(1)[0].id == "1-1"


def test_while_redis_is_away_the_server_asks_for_its_clients(start: StartsLive, valkey: Valkey) -> None:
    live = start(degraded_check_s=0.5)
    live.wait_for_bus()
    with live.stream("ada") as stream, live.socket("grace") as socket:
        stream.until("state")
        socket.until("state")
        valkey.process.kill()
        assert json.loads(stream.until("net").data) == {"status": "degraded", "poll_ms": 5000}
        assert socket.until("net")["d"]["status"] == "degraded"
        assert httpx.get(f"{live.url}/health", timeout=WITHIN_S).json()["bus"] == "away"
        tell("ada", "meanwhile")
        tell("grace", "meanwhile")
        assert stream.take(1)[0].id == "1-1"
        assert socket.until("new")["id"] == "1-1"
        with live.stream("eve") as late:
            assert json.loads(late.until("net").data)["status"] == "degraded"
        valkey.start()
        assert json.loads(stream.until("net").data) == {"status": "ok"}
        tell("ada", "afterwards")
        assert stream.take(1)[0].id == "1-2"


def test_a_slow_reader_falls_behind_and_catches_up_while_others_are_told_at_once(start: StartsLive) -> None:
    live = start(queue_events=10)
    live.wait_for_bus()
    count = 0
    with live.mute("ada", transport="sse", buffer=4_096) as slow, live.stream("ada") as quick:
        quick.until("state")
        eventually(lambda: all(each.greeted for each in live.process.hub.of("ada")))
        while not any(each.overflows for each in live.process.hub.of("ada")):
            assert count < 900, "it was never too slow"
            tell("ada", *["x"] * 10, body="x" * 15_000)
            count += 10
            quick.take(10)
        got = b""
        while f"id: 1-{count}\n".encode() not in got:
            got += slow.recv(1 << 20)
    ids = [int(number) for number in re.findall(rb"\nid: 1-(\d+)\nevent: new", got)]
    assert ids == list(range(1, count + 1))


def test_who_reads_nothing_at_all_is_cut_off(start: StartsLive) -> None:
    live = start(send_s=0.5, ping_s=0.5, queue_events=10)
    live.wait_for_bus()
    with live.mute("ada", transport="sse", buffer=4_096):
        eventually(lambda: any(each.greeted for each in live.process.hub.of("ada")))
        for _ in range(90):
            if not live.process.hub.of("ada"):
                break
            tell("ada", *["x"] * 10, body="x" * 15_000)
        eventually(lambda: live.process.hub.of("ada") == [])


def test_it_ends_in_order_and_spreads_who_comes_back(start: StartsLive) -> None:
    live = start()
    sockets = [live.socket(f"r{number}") for number in range(10)]
    waits = []
    with live.stream("ada") as stream:
        stream.until("state")
        for socket in sockets:
            socket.__enter__()
            socket.until("state")
        began = time.monotonic()
        live.server.handle_exit(signal.SIGTERM, None)
        bye = json.loads(stream.until("bye").data)
        assert (bye["code"], bye["reason"]) == (4100, "shutdown")
        waits.append(bye["retry_ms"])
        for socket in sockets:
            waits.append(socket.until("bye")["d"]["retry_ms"])
            assert socket.code() == 4100
            socket.__exit__()
    live._thread.join(WITHIN_S)
    assert not live._thread.is_alive()
    assert time.monotonic() - began < WITHIN_S
    # Over the ten seconds that they are to come back in, no two at once.
    assert len(set(waits)) == 11
    assert max(waits) - min(waits) > 8_000
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{live.url}/health", timeout=WITHIN_S)
