"""More connections at once than are taken, and when the rest of them is told to come."""

from __future__ import annotations

import json
import time

import pytest
from httpx_sse import ServerSentEvent
from hypothesis import given
from hypothesis import strategies as some

from channels_app.live.limits import Rate
from tests.channels_app.live.running import Running, StartsLive


@given(per_s=some.integers(1, 5_000), burst=some.integers(1, 10_000), crowd=some.integers(1, 400))
def test_whoever_comes_at_its_turn_finds_room(per_s: int, burst: int, crowd: int) -> None:
    rate = Rate(per_s, burst, 100.0)
    turned_away = [rate.turn_s(100.0, within_s=1e9) or 0.0 for _ in range(burst + crowd) if not rate.take(100.0)]
    assert len(turned_away) == crowd
    assert turned_away == sorted(turned_away)
    assert all(rate.take(100.0 + turn_s) for turn_s in turned_away)
    assert turned_away[-1] <= 1.0 + 1.3 * crowd / per_s


def test_turns_that_are_over_hold_up_nobody() -> None:
    rate = Rate(10, 1, 0.0)
    for _ in range(100):
        rate.turn_s(0.0, within_s=1e9)
    assert (rate.turn_s(60.0, within_s=1e9) or 9.9) < 0.2


def test_who_asks_without_end_sends_nobody_away_for_long() -> None:
    rate = Rate(10, 1, 0.0)
    told = [rate.turn_s(0.0, within_s=5.0) for _ in range(1_000)]
    assert None in told
    assert max(turn for turn in told if turn) <= 5.0
    assert (rate.turn_s(5.0, within_s=5.0) or 9.9) < 0.2


def test_a_crowd_is_told_when_to_come_and_is_taken_then(start: StartsLive, monkeypatch: pytest.MonkeyPatch) -> None:
    live = start(accepts_per_s=2)
    crowd = [f"one-{number}" for number in range(10)]
    with monkeypatch.context() as at_once:
        began = time.monotonic()
        at_once.setattr(live.process.hub, "_clock", lambda: began)
        greetings = [greeting(live, who) for who in crowd]
    assert [each.event for each in greetings] == ["hello"] * 4 + ["bye"] * 6
    turns = [json.loads(each.data) for each in greetings[4:]]
    assert {(turn["reason"], turn["final"]) for turn in turns} == {("overloaded", False)}
    for who, turn in zip(crowd[4:], turns, strict=True):
        time.sleep(max(0.0, began + turn["retry_ms"] / 1000 - time.monotonic()))
        assert greeting(live, who).event == "hello"


def test_who_finds_no_turn_is_sent_behind_those_who_have_one(
    start: StartsLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start(accepts_per_s=1, spread_s=2.0)
    frozen = time.monotonic()
    monkeypatch.setattr(live.process.hub, "_clock", lambda: frozen)
    told = [greeting(live, f"one-{number}") for number in range(6)][2:]
    waits_ms = [json.loads(each.data)["retry_ms"] for each in told]
    assert waits_ms[0] == 200 + 1250
    assert all(2_000 <= wait_ms <= 4_200 for wait_ms in waits_ms[1:])


def greeting(live: Running, who: str) -> ServerSentEvent:
    """The first that a client hears; it goes away again at once."""
    with live.stream(who) as stream:
        return stream.until_any("hello", "bye")
