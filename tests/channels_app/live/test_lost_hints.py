"""Whoever could not send hints says so as soon as Redis is back, and clients have what they missed soon after."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from channels_app.feed import hints
from channels_app.feed.unread import feed_volatile
from channels_app.live.bus import Bus
from tests.channels_app.live.running import Running, eventually, tell


def not_taken() -> float:
    return float(hints.DROPPED._value.get())


def test_what_redis_did_not_take_reaches_clients_though_nothing_follows(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "REST_S", 0.2)
    live = start(check_s=3600.0)
    with live.stream("ada") as stream:
        stream.until("state")
        before = not_taken()
        # A call failed a moment ago, and it is left alone.
        monkeypatch.setattr(feed_volatile(), "_rests_until", time.monotonic() + 0.1)
        tell("ada", "unheard of")
        assert not_taken() == before + 1
        assert json.loads(stream.take(1)[0].data)["title"] == "unheard of"


def test_a_loss_is_told_of_again_until_that_gets_through(bus: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "REST_S", 0.1)
    monkeypatch.setattr(feed_volatile(), "_rests_until", time.monotonic() + 0.5)
    tell("ada", "unheard of")
    stream = hints.stream("*", 4)
    # One more says that the stream is new.
    eventually(lambda: bus.xlen(stream) == 2)
    found: Any = bus.xrange(stream)
    assert [fields for _, fields in found] == [{b"u": b"*", b"k": b"lost"}] * 2


def test_what_a_flush_took_reaches_clients_though_the_stream_goes_on_at_once(
    start: Callable[..., Running], bus: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bus, "_look", begins_to_read_and_looks_no_more)
    live = start(check_s=3600.0)
    live.wait_for_bus()
    beside = next(name for name in map(str, range(99)) if hints.stream(name, 4) == hints.stream("ada", 4))
    with live.stream("ada") as stream:
        stream.until("state")
        with monkeypatch.context() as lossy:
            lossy.setattr(hints, "_send", lambda _: True)
            tell("ada", "never read")
        bus.flushdb()
        tell(beside, "the next in this stream")
        assert json.loads(stream.take(1)[0].data)["title"] == "never read"


LOOK = Bus._look


async def begins_to_read_and_looks_no_more(bus: Bus) -> None:
    """As between two looks, which are seconds apart."""
    if not bus._last:
        await LOOK(bus)
