"""The circuit breaker: its Lua against a plain model, against races, and without Redis."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from channels_app.breaker import UNAVAILABLE, Allowed, Breakers, BreakerSettings, Look, State
from channels_app.outcomes import BreakerSignal
from channels_app.volatile import Away, Volatile

START = datetime(2026, 1, 1, tzinfo=UTC)
SIGNALS = {"S": BreakerSignal.SUCCESS, "F": BreakerSignal.FAILURE, "-": BreakerSignal.NOTHING}
RULES = BreakerSettings()


@pytest.fixture
def breakers(volatile: Volatile) -> Breakers:
    return Breakers(volatile)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def allow(breakers: Breakers, seconds: float, wanted: int = 5, rules: BreakerSettings = RULES) -> Allowed:
    return breakers.allow_many([(1, wanted, rules)], now=at(seconds))[1]


def observe(breakers: Breakers, seconds: float, results: str, rules: BreakerSettings = RULES) -> State | None:
    changes = breakers.observe_many([(1, [SIGNALS[each] for each in results], rules)], now=at(seconds))
    return changes[1].after if changes else None


def look(breakers: Breakers, seconds: float = 0.0) -> Look:
    return breakers.look_many([(1, RULES)], now=at(seconds))[1]


# --- Opening.


def test_a_channel_nobody_knows_is_allowed(breakers: Breakers) -> None:
    assert allow(breakers, 0) == Allowed(5, 0.0, State.CLOSED)


def test_ten_failures_in_a_row_open_it_even_among_many_successes(breakers: Breakers) -> None:
    assert observe(breakers, 0, "S" * 100 + "F" * 9) is None
    assert observe(breakers, 1, "F") is State.OPEN
    assert allow(breakers, 2) == Allowed(0, 29.0, State.OPEN)


def test_the_order_within_a_report_counts(breakers: Breakers) -> None:
    assert observe(breakers, 0, "S" * 100 + "FFFFFSFFFFF") is None
    assert look(breakers).consecutive_failures == 5


def test_seventy_percent_of_ten_calls_open_it(breakers: Breakers) -> None:
    assert observe(breakers, 0, "SFFSFFSFF") is None
    assert observe(breakers, 1, "F") is State.OPEN


def test_fewer_than_seventy_percent_do_not(breakers: Breakers) -> None:
    assert observe(breakers, 0, "SFF" * 100) is None


def test_what_lies_before_the_window_no_longer_counts(breakers: Breakers) -> None:
    assert observe(breakers, 0, "FFFSFFF") is None
    assert observe(breakers, 301, "SFF") is None
    assert (look(breakers, 301).successes, look(breakers, 301).failures) == (1, 2)


def test_what_is_neither_success_nor_failure_changes_nothing(breakers: Breakers) -> None:
    assert observe(breakers, 0, "FFFF-----FFFFF-") is None
    assert observe(breakers, 0, "F") is State.OPEN


def test_a_change_is_told_once_with_its_pause(breakers: Breakers) -> None:
    [change] = breakers.observe_many([(7, [BreakerSignal.FAILURE] * 12, RULES)], now=START).values()
    assert (change.before, change.after, change.wait_s) == (State.CLOSED, State.OPEN, 30.0)
    assert breakers.observe_many([(7, [BreakerSignal.FAILURE] * 12, RULES)], now=START) == {}


def test_channels_do_not_share_a_breaker(breakers: Breakers) -> None:
    failures = [BreakerSignal.FAILURE] * 10
    changes = breakers.observe_many([(1, failures, RULES), (2, failures[:3], RULES), (3, failures, RULES)])
    assert set(changes) == {1, 3}
    allowed = breakers.allow_many([(channel, 4, RULES) for channel in (1, 2, 3, 4)])
    assert {channel: each.count for channel, each in allowed.items()} == {1: 0, 2: 4, 3: 0, 4: 4}


# --- Half-open.


def test_after_the_pause_one_probe_goes_and_the_others_ask_again_soon(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    assert allow(breakers, 30) == Allowed(1, 0.0, State.HALF_OPEN)
    assert allow(breakers, 30) == Allowed(0, 5.0, State.HALF_OPEN)
    assert allow(breakers, 58) == Allowed(0, 2.0, State.HALF_OPEN)


def test_a_successful_probe_closes_it_and_forgets(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    allow(breakers, 30)
    assert observe(breakers, 31, "S") is State.CLOSED
    assert allow(breakers, 31) == Allowed(5, 0.0, State.CLOSED)
    assert observe(breakers, 32, "F" * 9) is None
    assert observe(breakers, 33, "F") is State.OPEN
    assert allow(breakers, 33).wait_s == 30.0


def test_each_failed_probe_doubles_the_pause_up_to_the_longest(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    moment, pauses = 0.0, []
    for _ in range(6):
        pause = allow(breakers, moment).wait_s
        assert pause is not None
        pauses.append(pause)
        moment += pause
        assert allow(breakers, moment).count == 1
        assert observe(breakers, moment, "F") is State.OPEN
    assert pauses == [30, 60, 120, 240, 300, 300]


def test_a_probe_whose_worker_died_is_followed_by_another(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    assert allow(breakers, 30).count == 1
    assert allow(breakers, 59.9).count == 0
    assert allow(breakers, 60).count == 1
    assert allow(breakers, 60).count == 0


def test_a_probe_that_says_nothing_is_followed_by_another_at_once(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    allow(breakers, 30)
    assert observe(breakers, 31, "-") is None
    assert allow(breakers, 31) == Allowed(1, 0.0, State.HALF_OPEN)


def test_who_wants_nothing_does_not_use_up_the_probe(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    assert allow(breakers, 30, wanted=0).count == 0
    assert allow(breakers, 30).count == 1


def test_late_results_of_requests_from_before_do_not_touch_an_open_breaker(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    assert observe(breakers, 5, "SSFFFF") is None
    assert allow(breakers, 10) == Allowed(0, 20.0, State.OPEN)


def test_one_probe_goes_out_however_many_workers_ask(breakers: Breakers, volatile: Volatile) -> None:
    rules = replace(RULES, cooldown_s=0.001)
    breakers.observe_many([(1, [BreakerSignal.FAILURE] * 10, rules)])
    time.sleep(0.05)
    together = threading.Barrier(16)
    counts: list[int] = []

    def ask() -> None:
        together.wait()
        counts.extend(breakers.allow_many([(1, 50, rules)])[1].count for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0] * 319 + [1]


# --- By hand.


def test_a_breaker_tripped_by_hand_stays_open_until_it_is_reset_by_hand(breakers: Breakers) -> None:
    breakers.trip(1, now=START)
    assert allow(breakers, 10_000_000) == Allowed(0, None, State.TRIPPED)
    assert observe(breakers, 10_000_000, "SSSS") is None
    assert look(breakers) == Look(State.TRIPPED, since=START)
    breakers.reset(1)
    assert allow(breakers, 10_000_000) == Allowed(5, 0.0, State.CLOSED)


def test_reset_closes_an_open_breaker_and_forgets(breakers: Breakers) -> None:
    observe(breakers, 0, "F" * 10)
    breakers.reset(1)
    assert allow(breakers, 0).count == 5
    assert look(breakers) == Look(State.CLOSED)


def test_a_look_tells_state_since_when_and_the_next_probe(breakers: Breakers) -> None:
    observe(breakers, 0, "SSF")
    assert look(breakers) == Look(State.CLOSED, consecutive_failures=1, successes=2, failures=1)
    observe(breakers, 1, "F" * 9)
    opened = look(breakers, 2)
    assert opened == Look(State.OPEN, since=at(1), next_probe_at=at(31), times_opened=1)
    allow(breakers, 31)
    assert look(breakers, 32).state is State.HALF_OPEN


# --- What may happen to Redis and to clocks.


def test_without_redis_everything_is_allowed_and_counted(absent: Volatile) -> None:
    breakers, before = Breakers(absent), UNAVAILABLE._value.get()
    assert allow(breakers, 0) == Allowed(5, 0.0, State.UNKNOWN)
    assert observe(breakers, 0, "F" * 20) is None
    assert look(breakers).state is State.UNKNOWN
    assert UNAVAILABLE._value.get() - before == 3
    with pytest.raises(Away):
        breakers.trip(1)


def test_what_one_breaker_fails_at_is_its_own(breakers: Breakers) -> None:
    endless, before = replace(RULES, window_s=1e300), UNAVAILABLE._value.get()
    failures = [BreakerSignal.FAILURE] * 10
    results = [(number, failures, endless if number == 2 else RULES) for number in range(1, 4)]
    assert set(breakers.observe_many(results, now=at(0))) == {1, 3}
    allowed = breakers.allow_many([(number, 5, RULES) for number in range(1, 4)], now=at(1))
    assert {number: one.count for number, one in allowed.items()} == {1: 0, 2: 5, 3: 0}
    assert UNAVAILABLE._value.get() - before == 1


def test_a_breaker_that_cannot_be_read_lets_pass_until_it_is_reset(breakers: Breakers, volatile: Volatile) -> None:
    volatile.client.set("belfry:breaker:1", b"\xc1 no MessagePack")
    before = UNAVAILABLE._value.get()
    assert allow(breakers, 0) == Allowed(5, 0.0, State.UNKNOWN)
    assert observe(breakers, 0, "F" * 20) is None
    assert look(breakers).state is State.UNKNOWN
    assert UNAVAILABLE._value.get() - before == 3
    with pytest.raises(Away):
        breakers.trip(1)
    breakers.reset(1)
    assert observe(breakers, 0, "F" * 20) is State.OPEN


def test_a_redis_that_is_full_still_says_which_breakers_are_open(breakers: Breakers, volatile: Volatile) -> None:
    observe(breakers, 0, "F" * 10)
    volatile.client.config_set("maxmemory", 1)
    try:
        assert observe(breakers, 1, "F") is None
        assert allow(breakers, 1) == Allowed(0, 29.0, State.OPEN)
        assert breakers.observe_many([(2, [BreakerSignal.FAILURE] * 10, RULES)], now=at(1)) == {}
    finally:
        volatile.client.config_set("maxmemory", 0)
    assert allow(breakers, 31).state is State.HALF_OPEN


def test_a_flushed_redis_means_closed_breakers(breakers: Breakers, volatile: Volatile) -> None:
    observe(breakers, 0, "F" * 10)
    volatile.client.flushall()
    volatile.client.script_flush()
    assert allow(breakers, 0).count == 5


def test_a_clock_of_redis_that_jumps_back_cannot_prolong_a_pause(breakers: Breakers) -> None:
    observe(breakers, 1_000_000, "F" * 10)
    assert allow(breakers, 0).wait_s == 300.0


def test_nothing_is_kept_for_ever(breakers: Breakers, volatile: Volatile) -> None:
    breakers.observe_many([(1, [BreakerSignal.FAILURE] * 3, RULES), (2, [BreakerSignal.FAILURE] * 10, RULES)])
    keys = list(volatile.client.scan_iter("belfry:breaker:*"))
    assert len(keys) == 2
    assert all(0 < volatile.client.pttl(key) <= 900_000 for key in keys)


def test_many_channels_are_one_round_trip(breakers: Breakers, volatile: Volatile) -> None:
    def ask_and_tell() -> int:
        breakers.allow_many([(channel, 1, RULES) for channel in range(300)])
        breakers.observe_many([(channel, [BreakerSignal.SUCCESS], RULES) for channel in range(300)])
        return int(volatile.client.info("commandstats")["cmdstat_evalsha"]["calls"])

    before = ask_and_tell()
    assert ask_and_tell() - before == 2


# --- Against a model.


@dataclass
class Model:
    """The same rules in plain Python, by lists of what happened instead of counters."""

    rules: BreakerSettings
    state: State = State.CLOSED
    until: float = 0.0
    trips: int = 0
    calls: list[tuple[float, bool]] = field(default_factory=list)

    def allow(self, now: float, wanted: int) -> tuple[int, State]:
        if self.state is State.CLOSED:
            return wanted, self.state
        if now < self.until or wanted < 1:
            return 0, self.state
        self.state, self.until, self.calls = State.HALF_OPEN, now + self.rules.probe_s, []
        return 1, self.state

    def observe(self, now: float, results: str) -> None:
        for result in results:
            if self.state is State.HALF_OPEN:
                self._probe_ended(now, result)
            elif self.state is State.CLOSED and result != "-":
                self.calls.append((now, result == "S"))
                if result == "F" and self._has_failed(now):
                    self._open(now)

    def _probe_ended(self, now: float, result: str) -> None:
        if result == "S":
            self.state, self.trips, self.calls = State.CLOSED, 0, []
        elif result == "F":
            self._open(now)
        else:
            self.until = now

    def _open(self, now: float) -> None:
        pause = min(self.rules.cooldown_s * 2**self.trips, self.rules.longest_cooldown_s)
        self.state, self.until, self.calls = State.OPEN, now + pause, []
        self.trips += 1

    def _has_failed(self, now: float) -> bool:
        row = 0
        for _, success in reversed(self.calls):
            if success:
                break
            row += 1
        slice_s = self.rules.window_s / 10
        recent = [success for moment, success in self.calls if moment // slice_s > now // slice_s - 10]
        rate_counts = len(recent) >= self.rules.min_calls
        return row >= self.rules.consecutive_failures or (
            rate_counts and recent.count(False) >= self.rules.failure_rate * len(recent)
        )


STEPS = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.one_of(st.integers(0, 3), st.text("SF-", min_size=1, max_size=6), st.just("FFFFFF")),
    ),
    max_size=60,
)
SOME_RULES = st.builds(
    BreakerSettings,
    consecutive_failures=st.integers(1, 12),
    failure_rate=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    min_calls=st.integers(1, 15),
    window_s=st.sampled_from([10.0, 100.0, 1000.0]),
    cooldown_s=st.sampled_from([1.0, 20.0]),
    longest_cooldown_s=st.sampled_from([20.0, 200.0]),
    probe_s=st.sampled_from([5.0, 50.0]),
)


@given(rules=SOME_RULES, steps=STEPS)
@hypothesis_settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_scripts_do_what_the_model_does(
    breakers: Breakers, rules: BreakerSettings, steps: list[tuple[int, int | str]]
) -> None:
    breakers.reset(1)
    model, moment = Model(rules), int(START.timestamp())
    for later_s, step in steps:
        moment += later_s
        seconds = moment - START.timestamp()
        if isinstance(step, int):
            allowed = allow(breakers, seconds, step, rules)
            assert (allowed.count, allowed.state) == model.allow(moment, step)
        else:
            observe(breakers, seconds, step, rules)
            model.observe(moment, step)
        assert look(breakers, seconds).state is model.state
