"""What may pass to a channel now: its circuit breaker, its pause and its rate limit, asked together.

Asked once a claim and channel, told once a flush, never per delivery. What is held back waits with
a reason and a time, and no attempt is counted. The state is in Redis and may be lost at any time;
when Redis is away everything passes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels_app.breaker import Allowed, Change, State, default_breakers
from channels_app.outcomes import BreakerSignal, Outcome
from channels_app.ratelimit import Ask, Grant, default_limits
from notifications.held import Held, Tried
from notifications.rulebook import ChannelInUse

#: Reason codes of what waits at a gate.
BREAKER, LIMIT, PAUSE = "breaker_open", "rate_limit", "paused"

#: What is held by a breaker that was opened by hand looks again this often, in seconds.
TRIPPED_RECHECK_S = 30.0

#: Waits are stretched by up to this share, so that what was held together does not return together.
_STRETCH = 0.2

_log = structlog.get_logger(__name__)

#: By channel id, the (id, token) of the delivery that was last let through as its probe, in this process.
_probes: dict[int, tuple[int, int]] = {}


@dataclass(frozen=True, slots=True)
class Wait:
    """One delivery that may not pass: until when it waits, and why."""

    row: Any
    until: datetime
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Passes:
    """Of a channel's deliveries: those that may go on, and those that wait."""

    rows: list[Any]
    waits: list[Wait]


def ask(wanted: Sequence[tuple[ChannelInUse, list[Any]]], now: datetime) -> list[Passes]:
    """For each (channel, claimed rows): what may pass. Two round trips to Redis, whatever the number of channels."""
    allowed = default_breakers().allow_many(
        [(channel.id, len(rows), channel.breaker_settings) for channel, rows in wanted]
    )
    queues = [_in_order(rows) for _, rows in wanted]
    limited = [
        (channel, queue[: allowed[channel.id].count])
        for (channel, _), queue in zip(wanted, queues, strict=True)
        if allowed[channel.id].count
    ]
    grants = default_limits().reserve_many([_ask_of(channel, rows) for channel, rows in limited])
    _return_unused_probes(limited, allowed, grants)
    passes = []
    for (channel, _), queue in zip(wanted, queues, strict=True):
        passes.append(_passes(queue, allowed[channel.id], grants.get(channel.id), now))
        if allowed[channel.id].state is State.HALF_OPEN and passes[-1].rows:
            [probe] = passes[-1].rows
            _probes[channel.id] = probe.id, probe.token
    return passes


def give_back(unused: Iterable[Held]) -> None:
    """Return what these passed with and did not use: requests of the limit, and the probe where it was theirs."""
    by_channel: dict[int, list[Held]] = {}
    for one in unused:
        by_channel.setdefault(one.channel.id, []).append(one)
    channels = [(group[0].channel, group) for group in by_channel.values()]
    default_limits().give_back_many(
        [(channel.id, channel.limit, len(group)) for channel, group in channels if channel.limit]
    )
    default_breakers().observe_many(
        [
            (channel.id, (BreakerSignal.NOTHING,), channel.breaker_settings)
            for channel, group in channels
            if _probes.get(channel.id) in [one.lease for one in group]
        ]
    )


def observe(tried: Iterable[Tried]) -> dict[int, Change]:
    """Tell breakers what came of tries, in their order, and pause channels whose far end asked for time.

    Returns the breakers that moved by it, by channel id.
    """
    signals: dict[int, list[BreakerSignal]] = {}
    pauses: dict[int, float] = {}
    channels: dict[int, ChannelInUse] = {}
    for one in tried:
        channel, verdict = one.held.channel, one.verdict
        channels[channel.id] = channel
        signals.setdefault(channel.id, []).append(verdict.outcome.breaker_signal)
        if verdict.retry_after_s:
            pauses[channel.id] = max(pauses.get(channel.id, 0.0), verdict.retry_after_s)
        elif verdict.outcome is Outcome.RATE_LIMITED:
            pauses.setdefault(channel.id, DEFAULT_PAUSE_S)
    changes = default_breakers().observe_many(
        [(pk, of_channel, channels[pk].breaker_settings) for pk, of_channel in signals.items()]
    )
    for pk, change in changes.items():
        _log.warning(
            "breaker_moved", channel=channels[pk].row.key, before=change.before.value, after=change.after.value
        )
    for pk, seconds in pauses.items():
        default_limits().pause(pk, seconds)
    return changes


#: A channel that asks us to slow down and does not say for how long pauses this long, in seconds.
DEFAULT_PAUSE_S = 5.0


def _in_order(rows: list[Any]) -> list[Any]:
    """Those that were told a turn of the limit before go before those that come for the first time."""
    return sorted(rows, key=_is_first_time)


def _is_first_time(row: Any) -> bool:
    return bool(row.reason_code != LIMIT)


def _ask_of(channel: ChannelInUse, rows: list[Any]) -> Ask:
    fresh = sum(map(_is_first_time, rows))
    return Ask(channel.id, fresh=fresh, returning=len(rows) - fresh, limit=channel.limit)


def _return_unused_probes(
    limited: Sequence[tuple[ChannelInUse, list[Any]]], allowed: dict[int, Allowed], grants: dict[int, Grant]
) -> None:
    """A probe that the limit holds back is no probe: the next one may be."""
    unused = [
        (channel.id, (BreakerSignal.NOTHING,), channel.breaker_settings)
        for channel, _ in limited
        if allowed[channel.id].state is State.HALF_OPEN and not grants[channel.id].granted
    ]
    default_breakers().observe_many(unused)


def _passes(queue: list[Any], allowed: Allowed, grant: Grant | None, now: datetime) -> Passes:
    granted = grant.granted if grant else 0
    waits = [_at_limit(row, grant, place, now) for place, row in enumerate(queue[granted : allowed.count]) if grant]
    waits += [_at_breaker(row, allowed, now) for row in queue[allowed.count :]]
    return Passes(queue[:granted], waits)


def _at_limit(row: Any, grant: Grant, place: int, now: datetime) -> Wait:
    wait_s = grant.waits_s[place]
    if grant.pause_s > 0:
        until = now + timedelta(seconds=_stretched(wait_s))
        return Wait(row, until, PAUSE, "The channel asked us to slow down; it is left alone for that time.")
    return Wait(row, now + timedelta(seconds=wait_s), LIMIT, "The channel's rate limit is reached; this is its turn.")


def _at_breaker(row: Any, allowed: Allowed, now: datetime) -> Wait:
    if allowed.wait_s is None:
        until = now + timedelta(seconds=_stretched(TRIPPED_RECHECK_S))
        return Wait(row, until, BREAKER, "The circuit breaker was opened by hand; it waits until someone resets it.")
    until = now + timedelta(seconds=_stretched(allowed.wait_s))
    if allowed.state is State.HALF_OPEN:
        return Wait(row, until, BREAKER, "One request is finding out whether the channel works again.")
    return Wait(row, until, BREAKER, "The circuit breaker is open: the channel failed too often.")


def _stretched(wait_s: float) -> float:
    return wait_s * (1 + random.random() * _STRETCH)
