"""Slots of a channel over all workers, against a real Redis: never more than there are, and nobody starves."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from channels_app.in_flight import UNAVAILABLE, InFlight, Use
from channels_app.volatile import Volatile

LEASE_S = 20.0


@pytest.fixture
def slots(volatile: Volatile) -> InFlight:
    return InFlight(volatile)


def at(seconds: float) -> datetime:
    return datetime(2026, 5, 1, 12, tzinfo=UTC) + timedelta(seconds=seconds)


def share(slots: InFlight, sender: str, open_: int, wanted: int, *, seconds: float = 0.0, most: int = 4) -> int:
    return slots.share_many(sender, [Use(1, most, open_, wanted)], lease_s=LEASE_S, now=at(seconds))[1]


def test_one_alone_gets_what_it_wants_and_there_is(slots: InFlight) -> None:
    assert share(slots, "a", 0, 3) == 3
    assert share(slots, "a", 3, 10) == 4


def test_many_channels_are_asked_for_together_and_do_not_mix(slots: InFlight) -> None:
    uses = [Use(number, number, 0, 1000) for number in range(1, 400)]
    assert slots.share_many("a", uses, lease_s=LEASE_S) == {number: number for number in range(1, 400)}


def test_another_gets_its_share_as_soon_as_requests_have_ended(slots: InFlight) -> None:
    share(slots, "a", 0, 10)
    assert share(slots, "b", 0, 10) == 0
    assert share(slots, "a", 4, 10) == 2
    assert share(slots, "b", 0, 10) == 0
    assert share(slots, "a", 3, 10) == 2
    assert share(slots, "b", 0, 10) == 1
    assert share(slots, "a", 2, 10) == 2
    assert share(slots, "b", 1, 10) == 2


def test_what_one_does_not_want_is_for_the_others(slots: InFlight) -> None:
    assert share(slots, "a", 0, 1) == 1
    assert share(slots, "b", 0, 10) == 3
    assert share(slots, "c", 0, 10) == 0
    assert share(slots, "b", 1, 10) == 2
    assert share(slots, "c", 0, 10) == 1


def test_who_leaves_leaves_its_slots(slots: InFlight, volatile: Volatile) -> None:
    share(slots, "a", 0, 10)
    assert share(slots, "a", 0, 0) == 0
    assert volatile.client.keys() == []
    assert share(slots, "b", 0, 10) == 4


def test_the_slots_of_one_that_died_are_free_after_its_lease(slots: InFlight) -> None:
    share(slots, "dead", 0, 10)
    assert share(slots, "b", 0, 10, seconds=LEASE_S - 1) == 0
    assert share(slots, "b", 0, 10, seconds=LEASE_S) == 4


def test_one_that_asks_again_is_alive(slots: InFlight) -> None:
    share(slots, "a", 0, 1, most=1)
    share(slots, "a", 1, 1, most=1, seconds=15)
    assert share(slots, "b", 0, 1, most=1, seconds=25) == 0


def test_with_fewer_slots_than_senders_each_has_its_turn(slots: InFlight) -> None:
    """Three with one slot: each sends one request after the other, of 100 ms, for as long as it is allowed to."""
    allowed, open_until, sent = Counter[str](), dict[str, float](), Counter[str]()
    for step in range(400):
        seconds = step * 0.05
        for name in ("a", "b", "c"):
            if open_until.get(name, 0.0) <= seconds:
                open_until.pop(name, None)
            open_ = int(name in open_until)
            allowed[name] = share(slots, name, open_, 1, seconds=seconds, most=1)
            if allowed[name] > open_:
                open_until[name] = seconds + 0.1
                sent[name] += 1
            assert len(open_until) <= 1
    assert min(sent.values()) > max(sent.values()) * 0.7
    assert sent.total() > 150


@pytest.mark.parametrize("seed", range(5))
def test_never_more_are_open_than_there_are_slots(slots: InFlight, seed: int) -> None:
    """Senders come, go, die and wake late, in any order; what one that died has left open ends within its lease."""
    chance, open_, seconds = Random(seed), Counter[str](), 0.0
    names = [f"sender-{number}" for number in range(6)]
    heard = dict.fromkeys(names, -LEASE_S)
    for _ in range(1500):
        seconds += chance.random()
        name = chance.choice(names)
        if seconds - heard[name] >= LEASE_S:
            open_[name] = 0
        open_[name] -= chance.randint(0, open_[name])
        wanted = chance.choice([open_[name], open_[name] + chance.randint(0, 9)])
        granted = share(slots, name, open_[name], wanted, seconds=seconds, most=7)
        open_[name] = max(open_[name], chance.randint(0, granted))
        heard[name] = seconds
        assert sum(number for other, number in open_.items() if seconds - heard[other] < LEASE_S) <= 7


def test_after_a_flush_nobody_begins_until_there_are_slots_again(slots: InFlight, volatile: Volatile) -> None:
    share(slots, "a", 0, 4)
    share(slots, "a", 4, 4)
    volatile.client.flushdb()
    assert share(slots, "b", 0, 4) == 4
    assert share(slots, "a", 4, 4) == 0
    assert share(slots, "b", 2, 4) == 0


def test_a_clock_that_jumps_back_keeps_no_dead_one_alive(slots: InFlight) -> None:
    share(slots, "dead", 0, 10, seconds=3600)
    assert share(slots, "b", 0, 10) == 4


# --- What may happen to Redis.


def test_without_redis_each_may_use_all_and_that_is_counted(absent: Volatile) -> None:
    before = UNAVAILABLE._value.get()
    assert share(InFlight(absent), "a", 3, 10) == 4
    assert UNAVAILABLE._value.get() - before == 1


def test_what_one_channel_fails_at_is_its_own(slots: InFlight, volatile: Volatile) -> None:
    volatile.client.set("belfry:in_flight:2", b"\xc1 no MessagePack")
    before = UNAVAILABLE._value.get()
    uses = [Use(number, 3, 0, 1) for number in (1, 2, 3)]
    assert slots.share_many("a", uses, lease_s=LEASE_S) == {1: 1, 2: 3, 3: 1}
    assert UNAVAILABLE._value.get() - before == 1
