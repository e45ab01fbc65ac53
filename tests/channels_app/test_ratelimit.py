"""Rate limits and pauses: the Lua against a plain model, against races, and without Redis."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from channels_app.ratelimit import UNAVAILABLE, Ask, Grant, Limit, RateLimits
from channels_app.volatile import Away, Volatile

START = datetime(2026, 1, 1, tzinfo=UTC)
TWO_A_SECOND = Limit(rate_per_s=2.0, burst=3)


@pytest.fixture
def limits(volatile: Volatile) -> RateLimits:
    return RateLimits(volatile)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def reserve(
    limits: RateLimits, seconds: float, fresh: int, returning: int = 0, limit: Limit | None = TWO_A_SECOND
) -> Grant:
    return limits.reserve_many([Ask(1, fresh, returning, limit)], now=at(seconds))[1]


def waits(grant: Grant) -> list[float]:
    return [round(wait, 6) for wait in grant.waits_s]


# --- The bucket and the turns.


def test_after_a_quiet_time_a_burst_goes_and_the_rest_is_told_its_turns(limits: RateLimits) -> None:
    grant = reserve(limits, 0, fresh=6)
    assert (grant.granted, waits(grant), grant.pause_s) == (3, [0.5, 1.0, 1.5], 0.0)


def test_later_ones_are_told_turns_behind_the_earlier_ones(limits: RateLimits) -> None:
    reserve(limits, 0, fresh=5)
    assert waits(reserve(limits, 0, fresh=2)) == [1.5, 2.0]
    assert waits(reserve(limits, 0.5, fresh=1)) == [2.0]


def test_those_who_return_at_their_turn_go(limits: RateLimits) -> None:
    first = reserve(limits, 0, fresh=5)
    for wait in first.waits_s:
        assert reserve(limits, wait, fresh=0, returning=1) == Grant(1)


def test_fresh_ones_do_not_overtake_those_who_were_told_a_turn(limits: RateLimits) -> None:
    reserve(limits, 0, fresh=5)
    overtaking = reserve(limits, 0.5, fresh=1)
    assert (overtaking.granted, waits(overtaking)) == (0, [1.0])
    assert reserve(limits, 0.5, fresh=0, returning=1).granted == 1


def test_those_who_return_are_served_before_fresh_ones_of_the_same_ask(limits: RateLimits) -> None:
    reserve(limits, 0, fresh=5)
    grant = reserve(limits, 1.0, fresh=2, returning=2)
    assert (grant.granted, waits(grant)) == (2, [0.5, 1.0])


def test_those_who_return_late_all_at_once_still_keep_to_the_limit(limits: RateLimits) -> None:
    reserve(limits, 0, fresh=103)
    grant = reserve(limits, 1000, fresh=0, returning=100)
    assert grant.granted == 3
    assert waits(grant)[:3] == [0.5, 1.0, 1.5]
    assert waits(grant)[-1] == 48.5


def test_turns_that_nobody_comes_for_hold_up_nobody_for_ever(limits: RateLimits) -> None:
    reserve(limits, 0, fresh=103)
    assert reserve(limits, 51, fresh=3).granted == 3


def test_what_was_granted_and_not_used_can_be_given_back(limits: RateLimits) -> None:
    reserve(limits, 0, fresh=3)
    limits.give_back_many([(1, TWO_A_SECOND, 2)], now=at(0))
    assert reserve(limits, 0, fresh=5).granted == 2


def test_more_given_back_than_the_burst_does_not_overfill(limits: RateLimits) -> None:
    limits.give_back_many([(1, TWO_A_SECOND, 100)], now=at(0))
    assert reserve(limits, 0, fresh=100).granted == 3


def test_a_slow_rate_is_kept(limits: RateLimits) -> None:
    one_an_hour = Limit(rate_per_s=1 / 3600, burst=1)
    assert reserve(limits, 0, fresh=1, limit=one_an_hour).granted == 1
    told = reserve(limits, 600, fresh=2, limit=one_an_hour)
    assert (told.granted, waits(told)) == (0, [3000.0, 6600.0])
    assert reserve(limits, 3600, fresh=0, returning=1, limit=one_an_hour).granted == 1


def test_a_limit_that_was_changed_holds_at_once(limits: RateLimits) -> None:
    assert reserve(limits, 0, fresh=10, limit=Limit(100, 100)).granted == 10
    assert reserve(limits, 0, fresh=10, limit=Limit(1, 2)).granted == 2


def test_without_a_limit_everything_goes(limits: RateLimits, volatile: Volatile) -> None:
    assert reserve(limits, 0, fresh=1000, returning=5, limit=None) == Grant(1005)
    assert volatile.client.dbsize() == 0


def test_channels_do_not_share_a_limit(limits: RateLimits) -> None:
    asks = [Ask(1, 10, limit=TWO_A_SECOND), Ask(2, 10, limit=Limit(1, 5)), Ask(3, 10)]
    grants = limits.reserve_many(asks, now=START)
    assert {channel: grant.granted for channel, grant in grants.items()} == {1: 3, 2: 5, 3: 10}


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0.5), (1, 0)])
def test_a_limit_that_lets_nothing_through_is_refused(rate: float, burst: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Limit(rate, burst)


# --- Pauses.


@pytest.mark.parametrize("limit", [None, TWO_A_SECOND])
def test_a_paused_channel_sends_nothing_until_the_pause_is_over(limits: RateLimits, limit: Limit | None) -> None:
    limits.pause(1, 30, now=at(0))
    grant = reserve(limits, 10, fresh=2, limit=limit)
    assert (grant.granted, waits(grant), grant.pause_s) == (0, [20.0, 20.0], 20.0)
    assert reserve(limits, 30, fresh=0, returning=2, limit=limit).granted == 2


def test_turns_after_a_pause_keep_to_the_limit(limits: RateLimits) -> None:
    limits.pause(1, 30, now=at(0))
    assert waits(reserve(limits, 0, fresh=5)) == [30.0, 30.0, 30.0, 30.5, 31.0]
    assert waits(reserve(limits, 10, fresh=2)) == [21.5, 22.0]


def test_the_longest_pause_wins(limits: RateLimits) -> None:
    limits.pause(1, 30, now=at(0))
    limits.pause(1, 5, now=at(1))
    assert limits.paused_for([1, 2], now=at(10)) == {1: 20.0}
    limits.pause(1, 60, now=at(10))
    assert limits.paused_for([1], now=at(10)) == {1: 60.0}


def test_a_pause_is_at_most_ten_hours(limits: RateLimits) -> None:
    limits.pause(1, 1e9, now=at(0))
    assert limits.paused_for([1], now=at(0)) == {1: 36000.0}


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_pause_of_nothing_is_none(limits: RateLimits, seconds: float) -> None:
    limits.pause(1, 30, now=at(0))
    limits.pause(1, seconds, now=at(0))
    assert limits.paused_for([1], now=at(0)) == {1: 30.0}


def test_a_pause_can_be_ended_by_hand(limits: RateLimits) -> None:
    limits.pause(1, 30, now=at(0))
    limits.resume(1)
    assert reserve(limits, 0, fresh=1) == Grant(1)


# --- What may happen to Redis and to clocks.


def test_without_redis_everything_is_granted_and_counted(absent: Volatile) -> None:
    limits, before = RateLimits(absent), UNAVAILABLE._value.get()
    assert reserve(limits, 0, fresh=100, returning=1) == Grant(101)
    limits.pause(1, 30)
    limits.give_back_many([(1, TWO_A_SECOND, 1)])
    assert limits.paused_for([1]) == {}
    assert UNAVAILABLE._value.get() - before == 4


def test_what_one_limit_fails_at_is_its_own(limits: RateLimits, volatile: Volatile) -> None:
    volatile.client.set("belfry:bucket:2", b"\xc1 no MessagePack")
    volatile.client.set("belfry:pause:3", "no number")
    before = UNAVAILABLE._value.get()
    grants = limits.reserve_many([Ask(number, fresh=10, limit=TWO_A_SECOND) for number in range(1, 5)], now=at(0))
    assert {number: grant.granted for number, grant in grants.items()} == {1: 3, 2: 10, 3: 10, 4: 3}
    limits.pause(1, 30)
    assert set(limits.paused_for([1, 3, 4])) == {1}
    limits.give_back_many([(2, TWO_A_SECOND, 1)])
    assert UNAVAILABLE._value.get() - before == 4
    with pytest.raises(Away):
        limits.hold(3, 30)
    limits.resume(3)
    assert reserve(limits, 0, fresh=1).granted == 0


def test_nothing_is_kept_for_ever(limits: RateLimits, volatile: Volatile) -> None:
    limits.reserve_many([Ask(1, 103, limit=TWO_A_SECOND)])
    limits.pause(2, 30)
    assert 50_000 < volatile.client.pttl("belfry:bucket:1") <= 51_001
    assert 29_000 < volatile.client.pttl("belfry:pause:2") <= 30_000


def test_a_clock_of_redis_that_jumps_back_grants_nothing_extra(limits: RateLimits) -> None:
    assert reserve(limits, 1000, fresh=3).granted == 3
    assert reserve(limits, 0, fresh=3).granted == 0
    assert reserve(limits, 0.5, fresh=0, returning=1).granted == 1


def test_workers_that_race_are_not_granted_more_than_the_limit(limits: RateLimits) -> None:
    limit, together = Limit(rate_per_s=200, burst=50), threading.Barrier(8)
    granted: list[int] = []

    def ask() -> None:
        together.wait()
        for turn in range(60):
            grant = limits.reserve_many([Ask(1, fresh=turn % 3, returning=2, limit=limit)])[1]
            granted.append(grant.granted)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.monotonic() - started
    assert 50 <= sum(granted) <= 50 + 200 * elapsed_s + 1


# --- Against a model.


@dataclass
class Model:
    """The same rules in plain Python, on moments of time instead of counts of turns."""

    limit: Limit
    tokens: float
    last_turn_at: float
    moment: float

    def reserve(self, now: float, fresh: int, returning: int) -> Grant:
        rate = self.limit.rate_per_s
        self.tokens = min(self.limit.burst, self.tokens + (now - self.moment) * rate)
        self.moment = now
        ready = int(self.tokens + 1e-6)
        granted = min(returning, ready)
        if granted == returning and self.last_turn_at <= now + 1e-6 / rate:
            granted += min(fresh, ready - granted)
        self.tokens -= granted
        told = [now + max(0.0, k - self.tokens) / rate for k in range(1, returning - granted + 1)]
        for k in range(1, fresh - max(0, granted - returning) + 1):
            earliest = now + max(0.0, max(0, returning - granted) + k - self.tokens) / rate
            if k > 1 or self.last_turn_at > now + 1e-6 / rate:
                earliest = max(earliest, self.last_turn_at + 1 / rate)
            self.last_turn_at = earliest
            told.append(earliest)
        return Grant(granted, tuple(moment - now for moment in told))


STEPS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 8), st.integers(0, 5)), min_size=1, max_size=40)
LIMITS = st.builds(Limit, st.sampled_from([0.25, 1.0, 8.0, 64.0]), st.integers(1, 10))


@given(limit=LIMITS, steps=STEPS)
@hypothesis_settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_script_does_what_the_model_does(
    limits: RateLimits, volatile: Volatile, limit: Limit, steps: list[tuple[int, int, int]]
) -> None:
    volatile.client.delete("belfry:bucket:1")
    moment = START.timestamp()
    model = Model(limit, limit.burst, 0.0, moment)
    for later_ms, fresh, returning in steps:
        moment += later_ms / 1000
        grant = reserve(limits, moment - START.timestamp(), fresh, returning, limit)
        expected = model.reserve(moment, fresh, returning)
        assert grant.granted == expected.granted
        assert grant.waits_s == pytest.approx(expected.waits_s, abs=0.01)


@given(limit=LIMITS, steps=STEPS)
@hypothesis_settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_never_more_than_the_burst_and_the_rate_in_any_stretch_of_time(
    limits: RateLimits, volatile: Volatile, limit: Limit, steps: list[tuple[int, int, int]]
) -> None:
    volatile.client.delete("belfry:bucket:1")
    moment, history = 0.0, []
    for later_ms, fresh, returning in steps:
        moment += later_ms / 1000
        history.append((moment, reserve(limits, moment, fresh, returning, limit).granted))
        for begin, (begin_s, _) in enumerate(history):
            total = sum(granted for _, granted in history[begin:])
            assert total <= limit.burst + limit.rate_per_s * (moment - begin_s) + 0.001


@given(limit=LIMITS, arrivals=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 8)), min_size=1, max_size=20))
@hypothesis_settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_returns_at_the_turn_that_was_told_goes_then(
    limits: RateLimits, volatile: Volatile, limit: Limit, arrivals: list[tuple[int, int]]
) -> None:
    volatile.client.delete("belfry:bucket:1")
    moment = 0.0
    due: list[float] = []
    for later_ms, fresh in arrivals:
        moment += later_ms / 1000
        for turn in sorted(turn for turn in due if turn <= moment):
            assert reserve(limits, turn + 0.001, 0, 1, limit).granted == 1
            due.remove(turn)
        due.extend(moment + 0.001 + wait for wait in reserve(limits, moment + 0.001, fresh, 0, limit).waits_s)
    for turn in sorted(due):
        assert reserve(limits, turn + 0.001, 0, 1, limit).granted == 1
