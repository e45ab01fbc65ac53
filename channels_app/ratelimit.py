"""How fast each channel may be sent to: a token bucket, a queue of turns, and pauses.

A channel with a limit of `rate_per_s` and `burst` is never granted more than `burst + rate * time`
requests. What does not go now is told when its turn comes; those who come back for their turn
(`returning`) go before those who come for the first time (`fresh`), who are given the turns behind.

A far end that asks for time (`Retry-After`) pauses the whole channel, with or without a limit; the
longest pause wins. All of it is in Redis, by the clock of Redis, and may be lost: then buckets are
full and nothing is paused. When Redis is away everything is granted, and counted in
`belfry_ratelimit_unavailable_total`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import Counter

from channels_app.outcomes import MAX_RETRY_AFTER_S
from channels_app.volatile import Away, Script, Volatile, default_volatile

UNAVAILABLE = Counter("belfry_ratelimit_unavailable_total", "Questions to rate limits that Redis did not answer.")

_RESERVE = Script("ratelimit_bucket", "ratelimit_reserve")
_GIVE_BACK = Script("ratelimit_bucket", "ratelimit_give_back")
_FORGET = Script("ratelimit_forget")
_PAUSE = Script("ratelimit_bucket", "ratelimit_pause")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `rate_per_s` requests a second in the long run, and `burst` at once after a quiet time."""

    rate_per_s: float
    burst: float

    def __post_init__(self) -> None:
        if self.rate_per_s <= 0 or self.burst < 1:
            raise ValueError("A rate must be above zero and a burst at least one.")


@dataclass(frozen=True, slots=True)
class Ask:
    """How many requests are wanted for a channel. `returning` are those that were told a turn before."""

    channel_id: int
    fresh: int
    returning: int = 0
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer to an `Ask`, for its requests in the order: returning, then fresh.

    The first `granted` of them may go now, each of the others after its number of seconds in
    `waits_s`. `pause_s` is above zero while the far end's own pause is what holds them; those of a
    channel without a limit are then all told the same time, so add jitter.
    """

    granted: int
    waits_s: tuple[float, ...] = ()
    pause_s: float = 0.0


class RateLimits:
    """All limits and pauses of one Redis. Each method is one round trip, whatever the number of channels.

    A channel may stand in a call once. `now` is for tests; without it the clock of Redis counts.
    """

    def __init__(self, volatile: Volatile) -> None:
        self._volatile = volatile

    def reserve_many(self, asks: Sequence[Ask], *, now: datetime | None = None) -> dict[int, Grant]:
        """By channel id, what may go now and when the rest. Never raises."""
        if not asks:
            return {}
        keys = [key for ask in asks for key in (_bucket_key(ask.channel_id), _pause_key(ask.channel_id))]
        rows = [(ask.returning, ask.fresh, *_rate(ask.limit)) for ask in asks]
        try:
            answers = self._volatile.run(_RESERVE, keys, (_ms(now), MAX_RETRY_AFTER_S * 1000, rows))
        except Away:
            UNAVAILABLE.inc()
            return {ask.channel_id: _all_of(ask) for ask in asks}
        UNAVAILABLE.inc(answers.count(None))
        return {
            ask.channel_id: _grant(ask, answer) if answer else _all_of(ask)
            for ask, answer in zip(asks, answers, strict=True)
        }

    def give_back_many(self, unused: Sequence[tuple[int, Limit, int]], *, now: datetime | None = None) -> None:
        """For each (channel id, limit, number): return so many requests that were granted. Never raises."""
        if not unused:
            return
        keys = [_bucket_key(channel) for channel, _, _ in unused]
        rows = [(granted, *_rate(limit)) for _, limit, granted in unused]
        try:
            answers = self._volatile.run(_GIVE_BACK, keys, (_ms(now), rows))
        except Away:
            UNAVAILABLE.inc()
        else:
            UNAVAILABLE.inc(answers.count(None))

    def forget(self, channel_id: int) -> None:
        """Forget which turns were told: nobody comes for them any more. Never raises."""
        try:
            self._volatile.insist(_FORGET, [_bucket_key(channel_id)], None)
        except Away:
            UNAVAILABLE.inc()

    def pause(self, channel_id: int, seconds: float, *, now: datetime | None = None) -> None:
        """Let nothing go to the channel for `seconds`, at most ten hours. Never raises."""
        try:
            self.hold(channel_id, seconds, now=now)
        except Away:
            UNAVAILABLE.inc()

    def hold(self, channel_id: int, seconds: float, *, now: datetime | None = None) -> None:
        """Pause by hand: the same, but raises `Away`."""
        if seconds > 0:
            asked_ms = min(seconds, MAX_RETRY_AFTER_S) * 1000
            self._volatile.insist(_PAUSE, [_pause_key(channel_id)], (_ms(now), [asked_ms]))

    def resume(self, channel_id: int) -> None:
        """End a pause at once, by hand. Raises `Away`."""
        self._volatile.insist(_PAUSE, [_pause_key(channel_id)], (False, [-1]))

    def paused_for(self, channel_ids: Sequence[int], *, now: datetime | None = None) -> dict[int, float]:
        """The seconds that each paused channel's pause still lasts; channels that are not paused are left out."""
        if not channel_ids:
            return {}
        keys = [_pause_key(channel_id) for channel_id in channel_ids]
        try:
            lasts = self._volatile.run(_PAUSE, keys, (_ms(now), [0] * len(keys)))
        except Away:
            UNAVAILABLE.inc()
            return {}
        UNAVAILABLE.inc(lasts.count(None))
        return {channel: ms / 1000 for channel, ms in zip(channel_ids, lasts, strict=True) if ms}


def default_limits() -> RateLimits:
    """Those in the Redis of the settings."""
    return RateLimits(default_volatile())


def _all_of(ask: Ask) -> Grant:
    """Nobody knows anything against it."""
    return Grant(ask.returning + ask.fresh)


def _grant(ask: Ask, answer: Sequence[Any]) -> Grant:
    granted, pause_ms, gap_ms, returning_left, tokens, behind = answer
    fresh_left = ask.returning + ask.fresh - granted - returning_left
    if not (returning_left or fresh_left):
        return Grant(granted)
    gaps = [k - tokens for k in range(1, returning_left + 1)] + [behind + k for k in range(1, fresh_left + 1)]
    waits_s = tuple([(pause_ms + max(0.0, gap) * gap_ms) / 1000 for gap in gaps])
    return Grant(granted, waits_s, pause_ms / 1000)


def _rate(limit: Limit | None) -> tuple[float | bool, float]:
    return (limit.rate_per_s, limit.burst) if limit else (False, 0.0)


def _ms(now: datetime | None) -> float | bool:
    return now.timestamp() * 1000 if now else False


def _bucket_key(channel_id: int) -> str:
    return f"belfry:bucket:{channel_id}"


def _pause_key(channel_id: int) -> str:
    return f"belfry:pause:{channel_id}"
