"""The circuit breaker of each channel: a far end that keeps failing is left alone for a while.

    closed ──10 failures in a row, or 70 % of at least 10 calls in 5 minutes──▶ open
    open ──the pause is over──▶ half-open: one probe, among all workers
    half-open ──success──▶ closed;  ──failure──▶ open, for twice as long
    any ──by hand──▶ tripped ──by hand──▶ closed

The state is in Redis and may be lost at any time: then the breaker is closed, and learns anew. When
Redis is away every request is allowed, and counted in `belfry_breaker_unavailable_total`. The time is
that of Redis, so a worker whose clock is wrong does no harm; waits are told as lengths of time for
the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from prometheus_client import Counter

from channels_app.outcomes import BreakerSignal
from channels_app.volatile import Away, Script, Volatile, default_volatile

#: How soon deliveries held back by a probe that is out should ask again.
RECHECK_S = 5.0

UNAVAILABLE = Counter("belfry_breaker_unavailable_total", "Questions to circuit breakers that Redis did not answer.")

_ALLOW = Script("breaker_state", "breaker_allow")
_OBSERVE = Script("breaker_state", "breaker_observe")
_FORCE = Script("breaker_state", "breaker_force")
_LOOK = Script("breaker_state", "breaker_look")


class State(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    #: One request is on its way to find out; all others wait for it.
    HALF_OPEN = "half_open"
    #: Opened by hand; stays so until reset by hand.
    TRIPPED = "tripped"
    #: Redis is away.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens and for how long. Both conditions hold at the same time.

    The first pause is `cooldown_s`; each further one without a success in between is twice as long,
    up to `longest_cooldown_s`. A probe that has not reported after `probe_s` counts as lost, so that
    must be longer than a request may take.
    """

    consecutive_failures: int = 10
    failure_rate: float = 0.7
    min_calls: int = 10
    window_s: float = 300.0
    cooldown_s: float = 30.0
    longest_cooldown_s: float = 300.0
    probe_s: float = 30.0

    @property
    def longest_pause_ms(self) -> float:
        return max(self.cooldown_s, self.longest_cooldown_s) * 1000


@dataclass(frozen=True, slots=True)
class Allowed:
    """How many of the wanted requests may go now. The others ask again after `wait_s` (None: not by themselves).

    Add jitter to `wait_s`: all who wait for a channel are told the same. A `count` of one in state
    `HALF_OPEN` is the probe; if it is not sent after all, report it as `BreakerSignal.NOTHING`.
    """

    count: int
    wait_s: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker that an observation has moved. `wait_s` is the length of the pause that begins, if one does."""

    before: State
    after: State
    wait_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """How a breaker stands, for people. Counts are those of the window; times are None where they mean nothing."""

    state: State
    since: datetime | None = None
    next_probe_at: datetime | None = None
    consecutive_failures: int = 0
    successes: int = 0
    failures: int = 0
    times_opened: int = 0


class Breakers:
    """All breakers of one Redis. Each method is one round trip, whatever the number of channels.

    A channel may stand in a call once. `now` is for tests; without it the clock of Redis counts.
    """

    def __init__(self, volatile: Volatile) -> None:
        self._volatile = volatile

    def allow_many(
        self, wanted: Sequence[tuple[int, int, BreakerSettings]], *, now: datetime | None = None
    ) -> dict[int, Allowed]:
        """For each (channel id, number of requests, settings): how many may go. Never raises."""
        if not wanted:
            return {}
        rows = [(count, rules.longest_pause_ms, rules.probe_s * 1000) for _, count, rules in wanted]
        arguments = (_ms(now), RECHECK_S * 1000, rows)
        try:
            answers = self._volatile.run(_ALLOW, [_key(channel) for channel, _, _ in wanted], arguments)
        except Away:
            UNAVAILABLE.inc()
            return {channel: _passing(count) for channel, count, _ in wanted}
        UNAVAILABLE.inc(answers.count(None))
        return {
            channel: _allowed(answer) if answer else _passing(count)
            for (channel, count, _), answer in zip(wanted, answers, strict=True)
        }

    def observe_many(
        self, results: Sequence[tuple[int, Sequence[BreakerSignal], BreakerSettings]], *, now: datetime | None = None
    ) -> dict[int, Change]:
        """Report what requests came to, in their order. Returns the breakers that moved by it. Never raises."""
        if not results:
            return {}
        rows = [("".join([_LETTERS[signal] for signal in signals]), *_rules(rules)) for _, signals, rules in results]
        try:
            answers = self._volatile.run(_OBSERVE, [_key(channel) for channel, _, _ in results], (_ms(now), rows))
        except Away:
            UNAVAILABLE.inc()
            return {}
        UNAVAILABLE.inc(answers.count(None))
        return {channel: _change(answer) for (channel, _, _), answer in zip(results, answers, strict=True) if answer}

    def trip(self, channel_id: int, *, now: datetime | None = None) -> None:
        """Open by hand, until `reset`. Raises `Away`. Redis may forget it: to stop a channel for good, disable it."""
        self._volatile.insist(_FORCE, [_key(channel_id)], (_ms(now), State.TRIPPED))

    def reset(self, channel_id: int) -> None:
        """Close by hand and forget the past. Raises `Away`."""
        self._volatile.insist(_FORCE, [_key(channel_id)], (False, State.CLOSED))

    def look_many(
        self, channels: Sequence[tuple[int, BreakerSettings]], *, now: datetime | None = None
    ) -> dict[int, Look]:
        """How the breakers of (channel id, settings) stand; state `UNKNOWN` while Redis is away. Never raises."""
        if not channels:
            return {}
        windows = [rules.window_s * 1000 for _, rules in channels]
        try:
            looks = self._volatile.run(_LOOK, [_key(channel) for channel, _ in channels], (_ms(now), windows))
        except Away:
            UNAVAILABLE.inc()
            return {channel: Look(State.UNKNOWN) for channel, _ in channels}
        UNAVAILABLE.inc(looks.count(None))
        return {
            channel: _look(row) if row else Look(State.UNKNOWN)
            for (channel, _), row in zip(channels, looks, strict=True)
        }


def default_breakers() -> Breakers:
    """Those in the Redis of the settings."""
    return Breakers(default_volatile())


_LETTERS = {BreakerSignal.SUCCESS: "S", BreakerSignal.FAILURE: "F", BreakerSignal.NOTHING: "-"}


def _rules(rules: BreakerSettings) -> tuple[float, ...]:
    return (
        rules.consecutive_failures,
        rules.failure_rate,
        rules.min_calls,
        rules.window_s * 1000,
        rules.cooldown_s * 1000,
        rules.longest_pause_ms,
    )


def _allowed(answer: Sequence[Any]) -> Allowed:
    count, wait_ms, state = answer
    return Allowed(count, None if wait_ms is False else wait_ms / 1000, State(state))


def _passing(count: int) -> Allowed:
    """Nobody knows anything against it."""
    return Allowed(count, 0.0, State.UNKNOWN)


def _change(answer: Sequence[Any]) -> Change:
    before, after, wait_ms = answer
    return Change(State(before), State(after), wait_ms / 1000)


def _look(row: Sequence[Any]) -> Look:
    state, since, until, trips, failed, successes, failures = row
    return Look(
        State(state),
        since=None if state == State.CLOSED else _moment(since),
        next_probe_at=_moment(until) if state in (State.OPEN, State.HALF_OPEN) else None,
        consecutive_failures=failed,
        successes=successes,
        failures=failures,
        times_opened=trips,
    )


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(now: datetime | None) -> int | bool:
    return int(now.timestamp() * 1000) if now else False


def _key(channel_id: int) -> str:
    return f"belfry:breaker:{channel_id}"
