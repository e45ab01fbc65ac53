"""One attempt, step by step, for a handful of deliveries at a time.

    1. claim      lease what is due, with a fencing token            (effect: Postgres)
    2. guard      hold back what must wait, and end what is late      (effect: Redis, read)
    3. prepare    render the message, open the channel's settings     (pure)
    4. send       by a carrier: HTTP or a blocking library            (effect: the world)
    5. conclude   from the verdict to the next state                  (pure)
    6. settle     write results under their tokens, in bulk           (effect: Postgres, Redis)

`pump.drain` runs the steps at throughput, `tasks.deliver` for a single delivery; neither decides
anything of its own. What must never happen: a state that is not in `notifications.states`, a result
written without its token, a database connection held while a request is under way.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels_app.outcomes import Outcome, Verdict
from channels_app.secrets import SecretUnreadable
from notifications import gates, retry
from notifications.held import Held, Tried
from notifications.models import transitions
from notifications.models.transitions import Result
from notifications.rendering import message_of
from notifications.retry import Schedule
from notifications.rulebook import ChannelInUse, Rulebook
from notifications.states import State

#: A rate-limited channel that does not say how long waits this long.
DEFAULT_PAUSE_S = 5.0

#: A delivery whose channel cannot be used as it is configured looks again after this time.
MISCONFIGURED_PAUSE_S = 60.0

#: For a caller who leaves the question of another try to somebody else.
NO_RETRIES = Schedule(max_attempts=1)

_log = structlog.get_logger(__name__)

_DIGITS = re.compile(r"[0-9a-f]{8,}|\d+")


@dataclass(frozen=True, slots=True)
class Guarded:
    """What may go on, and what is held back."""

    ready: list[Held]
    results: list[Result]


def hold(rows: Iterable[Any], book: Rulebook, now: datetime) -> Guarded:
    """Join claimed rows with their channels. A row whose channel was deleted meanwhile waits to be ended."""
    ready, results = [], []
    for row in rows:
        channel = book.channels.get(row.channel_id)
        if channel is None:
            results.append(_wait(row, now, now, "channel_deleted", "Its channel was deleted."))
        else:
            ready.append(Held(row, channel))
    return Guarded(ready, results)


def guard(held: Sequence[Held], now: datetime) -> Guarded:
    """Hold back what is late, what an open breaker stops and what a limit defers: once a channel, not a row."""
    ready, results = [], []
    by_channel: dict[int, list[Held]] = {}
    for one in held:
        if one.row.expires_at is not None and one.row.expires_at <= now:
            results.append(_wait(one.row, now, now, "expired", "It expired before it could be sent."))
        else:
            by_channel.setdefault(one.channel.id, []).append(one)
    passes = gates.ask([(group[0].channel.row, len(group)) for group in by_channel.values()], now)
    for channel_id, group in by_channel.items():
        granted = passes[channel_id]
        ready += group[: granted.count]
        for place, one in enumerate(group[granted.count :]):
            results.append(_wait(one.row, granted.turn(place), now, granted.code, granted.text))
    return Guarded(ready, results)


def prepare(held: Sequence[Held], now: datetime) -> Guarded:
    """Render messages. A channel whose settings cannot be read makes its deliveries wait, not die."""
    ready, results = [], []
    for one in held:
        try:
            _ = one.channel.config, one.channel.transport
        except (SecretUnreadable, LookupError, ValueError) as error:
            until = now + timedelta(seconds=MISCONFIGURED_PAUSE_S)
            results.append(_wait(one.row, until, now, "channel_unusable", f"The channel cannot be used: {error}"))
        else:
            ready.append(Held(one.row, one.channel, message_of(one.row)))
    return Guarded(ready, results)


def conclude(tried: Tried, declared: Schedule, now: datetime, draw: float) -> Result:
    """Where a delivery goes after a try. `draw` is uniform in [0, 1)."""
    verdict, row, channel = tried.verdict, tried.held.row, tried.held.channel
    if verdict.outcome is Outcome.OK:
        return _result(tried, State.DELIVERED, now)
    if verdict.outcome is Outcome.RATE_LIMITED:
        pause = timedelta(seconds=(verdict.retry_after_s or DEFAULT_PAUSE_S) * (1 + draw / 10))
        return _result(tried, State.SCHEDULED, now + pause, "rate_limited", "The channel asked us to slow down.")
    if verdict.outcome in (Outcome.PERMANENT, Outcome.GONE):
        return _result(tried, State.DEAD, now, verdict.outcome.value, verdict.detail)
    if verdict.outcome is Outcome.UNKNOWN and not channel.transport.retries_unknown:
        return _result(tried, State.DEAD, now, "unknown", "Nobody knows whether it arrived; it is not sent twice.")
    schedule = schedule_of(channel, declared)
    due_at = retry.next_attempt_at(
        schedule,
        attempts=row.attempts + 1,
        first_attempt_at=row.first_attempt_at,
        now=now,
        draw=draw,
        at_least_s=verdict.retry_after_s or 0.0,
    )
    if due_at is None:
        return _result(tried, State.DEAD, now, "exhausted", f"Tried {row.attempts + 1} times. {verdict.detail}")
    return _result(tried, State.RETRYING, due_at, verdict.outcome.value, verdict.detail)


def schedule_of(channel: ChannelInUse, declared: Schedule) -> Schedule:
    """The declared schedule with the fields that the channel overrides."""
    row = channel.row
    return Schedule(
        max_attempts=row.max_attempts if row.max_attempts is not None else declared.max_attempts,
        base_s=row.retry_base_s if row.retry_base_s is not None else declared.base_s,
        cap_s=row.retry_cap_s if row.retry_cap_s is not None else declared.cap_s,
        jitter=row.retry_jitter if row.retry_jitter is not None else declared.jitter,
        window_s=row.retry_window_s if row.retry_window_s is not None else declared.window_s,
    )


def settle(results: Sequence[Result], tried: Sequence[Tried], now: datetime) -> frozenset[int]:
    """Write results and tell the gates what was seen. Returns the ids that were written."""
    written = transitions.settle(results, now=now)
    late = len(results) - len(written)
    if late:
        _log.warning("results_fenced_off", count=late)
    gates.observe(tried, now)
    return written


def draw() -> float:
    """Chance, in [0, 1). Drawn at the edge, so that decisions stay pure."""
    return random.random()


def fingerprint(verdict: Verdict) -> str:
    """Equal for equal failures: the outcome, the code, and the answer without its numbers and ids."""
    shape = _DIGITS.sub("#", verdict.detail.lower())
    return hashlib.sha256(f"{verdict.outcome}|{verdict.code}|{shape}".encode()).hexdigest()[:32]


def _result(tried: Tried, state: State, due_at: datetime, code: str = "", reason: str = "") -> Result:
    verdict = tried.verdict
    return Result(
        delivery_id=tried.held.row.id,
        token=tried.held.row.token,
        state=state,
        outcome=verdict.outcome,
        code=verdict.code,
        detail=verdict.detail,
        reason_code=code,
        reason=reason,
        fingerprint=fingerprint(verdict) if state is State.DEAD else "",
        due_at=due_at,
        started_at=tried.started_at,
        duration_ms=tried.duration_ms,
    )


def _wait(row: Any, until: datetime, now: datetime, code: str, reason: str) -> Result:
    """h without a try: nothing is counted, nothing is logged as an attempt."""
    return Result(
        delivery_id=row.id,
        token=row.token,
        state=State.SCHEDULED,
        reason_code=code,
        reason=reason,
        due_at=until,
        started_at=now,
    )
