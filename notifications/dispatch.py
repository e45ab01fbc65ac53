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
import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels_app.outcomes import Outcome, Verdict
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from notifications import gates, quarantine, retry, rulebook
from notifications.held import Held, Tried
from notifications.models import transitions
from notifications.models.transitions import Result
from notifications.rendering import message_of
from notifications.retry import Bound, Schedule
from notifications.rulebook import ChannelInUse, Rulebook
from notifications.slowness import Slowness
from notifications.states import State

#: A delivery whose channel cannot be used as it is configured looks again after this time.
MISCONFIGURED_PAUSE_S = 60.0

#: For a caller who leaves the question of another try to somebody else.
NO_RETRIES = Schedule(max_attempts=1)

#: What this worker has seen of how quickly channels answer.
_slowness = Slowness()

_log = structlog.get_logger(__name__)

_DIGITS = re.compile(r"[0-9a-f]{8,}|\d+")


@dataclass(frozen=True, slots=True)
class Guarded:
    """What may go on, by channel, and results of what is held back."""

    ready: list[tuple[ChannelInUse, list[Any]]]
    results: list[Result]


def guard(rows: Iterable[Any], book: Rulebook, now: datetime) -> Guarded:
    """Hold back what is late and what a channel cannot take now; asked once a channel, not once a row."""
    results: list[Result] = []
    by_channel: dict[int, list[Any]] = {}
    for row in rows:
        if row.expires_at is not None and row.expires_at <= now:
            results.append(expired(row, now))
        else:
            by_channel.setdefault(row.channel_id, []).append(row)
    usable: list[tuple[ChannelInUse, list[Any]]] = []
    for channel_id, group in by_channel.items():
        channel = book.channels.get(channel_id)
        passing, waits = _through(channel, group, now)
        results += waits
        if channel is not None and passing:
            usable.append((channel, passing))
    ready = []
    for (channel, _), passes in zip(usable, gates.ask(usable, now), strict=True):
        if passes.rows:
            ready.append((channel, passes.rows))
        results += [_wait(wait.row, wait.until, now, wait.code, wait.text) for wait in passes.waits]
    return Guarded(ready, results)


def expired(row: Any, now: datetime) -> Result:
    """What a delivery is told that is too late to be sent: it waits for the sweep, which ends it."""
    return _wait(row, now, now, "expired", "It expired before it could be sent.")


def prepare(
    ready: Iterable[tuple[ChannelInUse, list[Any]]], now: datetime, *, leased_until: float = math.inf
) -> tuple[list[Held], list[Result]]:
    """Render messages. One that cannot be rendered is buried, so that it holds up nobody else.

    `leased_until` is the end of the lease by the machine's uptime, for those who do not send at once.
    """
    held, results = [], []
    for channel, rows in ready:
        for row in rows:
            try:
                held.append(Held(row, channel, message_of(row), leased_until))
            except Exception as error:  # noqa: BLE001  Whatever a producer got past intake must not stop a lane.
                _log.exception("rendering_failed", delivery=row.id)
                verdict = Verdict(Outcome.PERMANENT, 0, f"It could not be rendered ({type(error).__name__}).")
                results.append(_bury(row, verdict, now))
    return held, results


def conclude(tried: Tried, declared: Schedule, now: datetime, draw: float) -> Result:
    """Where a delivery goes after a try. `draw` is uniform in [0, 1)."""
    verdict, channel = tried.verdict, tried.held.channel
    if verdict.outcome is Outcome.OK:
        return _result(tried, State.DELIVERED, now)
    if verdict.outcome is Outcome.UNKNOWN and not channel.transport.retries_unknown:
        return _result(tried, State.DEAD, now, "unknown", "Nobody knows whether it arrived; it is not sent twice.")
    if channel.row.quarantined_at is not None and verdict.outcome is not Outcome.PERMANENT:
        until, text = quarantine.wait(channel, now)
        return _result(tried, State.SCHEDULED, until, quarantine.CODE, f"{text} A probe failed: {verdict.detail}")
    if verdict.outcome in (Outcome.PERMANENT, Outcome.GONE):
        return _result(tried, State.DEAD, now, verdict.outcome.value, verdict.detail)
    if verdict.outcome is Outcome.RATE_LIMITED:
        return _put_off_or_never(tried, schedule_of(channel, declared), now, draw)
    return _again_or_never(tried, schedule_of(channel, declared), now, draw)


def _again_or_never(tried: Tried, schedule: Schedule, now: datetime, draw: float) -> Result:
    """g while attempts and time are left, else i."""
    verdict, row = tried.verdict, tried.held.row
    attempts = row.attempts + 1
    due = retry.next_attempt_at(
        schedule,
        attempts=attempts,
        first_attempt_at=row.first_attempt_at,
        now=now,
        draw=draw,
        at_least_s=verdict.retry_after_s or 0.0,
    )
    if isinstance(due, Bound):
        return _exhausted(tried, f"Attempt {attempts} failed.", due, schedule, now)
    return _result(tried, State.RETRYING, due, verdict.outcome.value, verdict.detail)


def _put_off_or_never(tried: Tried, schedule: Schedule, now: datetime, draw: float) -> Result:
    """h while time is left, else i: being put off is not failing, but a far end may go on with it for ever."""
    pause_s = (tried.verdict.retry_after_s or gates.DEFAULT_PAUSE_S) * (1 + draw / 10)
    due = retry.after_pause(schedule, first_attempt_at=tried.held.row.first_attempt_at, now=now, pause_s=pause_s)
    if isinstance(due, Bound):
        return _exhausted(tried, "The channel still asked us to slow down.", due, schedule, now)
    return _result(tried, State.SCHEDULED, due, gates.PAUSE, "The channel asked us to slow down.")


def _exhausted(tried: Tried, what: str, bound: Bound, schedule: Schedule, now: datetime) -> Result:
    why = _WHY[bound].format(window=_span(schedule.window_s))
    return _result(tried, State.DEAD, now, "exhausted", f"{what} {why} {tried.verdict.detail}".rstrip())


_WHY = {
    Bound.ATTEMPTS: "That was the last one.",
    Bound.WINDOW: "The next try would come after the {window} in which it may be tried.",
    Bound.PAUSE: "The far end asks for a pause that outlasts the {window} in which it may be tried.",
}


def _span(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"


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
    quarantine.let_go([one.delivery_id for one in results if one.reason_code == quarantine.CODE], now)
    if tried:
        _slowness.learn(tried, now)
        quarantine.learn(tried, gates.observe(tried), rulebook.kept(), now)
    return written


def draw() -> float:
    """Chance, in [0, 1). Drawn at the edge, so that decisions stay pure."""
    return random.random()


def fingerprint(verdict: Verdict) -> str:
    """Equal for equal failures: the outcome, the code, and the answer without its numbers and ids."""
    shape = _DIGITS.sub("#", verdict.detail.lower())
    return hashlib.sha256(f"{verdict.outcome}|{verdict.code}|{shape}".encode()).hexdigest()[:32]


def _through(channel: ChannelInUse | None, rows: list[Any], now: datetime) -> tuple[list[Any], list[Result]]:
    """Of one channel's rows: those it is fit to send, and results of those that wait until it is."""
    if channel is None:
        return [], [_wait(row, now, now, "channel_deleted", "Its channel was deleted.") for row in rows]
    if not channel.row.enabled:  # The sweep asks the policy again, and ends them.
        return [], [_wait(row, now, now, "channel_disabled", "The channel is switched off.") for row in rows]
    try:
        _ = channel.config, channel.transport
    except (NoSecretKeys, SecretUnreadable, LookupError, ValueError) as error:
        until, text = now + timedelta(seconds=MISCONFIGURED_PAUSE_S), f"The channel cannot be used: {error}"
        return [], [_wait(row, until, now, "channel_unusable", text) for row in rows]
    if channel.row.quarantined_at is not None:
        passing = rows[: int(quarantine.take_probe(channel, now))]
        until, text = quarantine.wait(channel, now)
        return passing, [_wait(row, until, now, quarantine.CODE, text) for row in rows[len(passing) :]]
    return rows, []


def _result(tried: Tried, state: State, due_at: datetime, code: str = "", reason: str = "") -> Result:
    verdict, row = tried.verdict, tried.held.row
    return Result(
        delivery_id=row.id,
        token=row.token,
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


def _bury(row: Any, verdict: Verdict, now: datetime) -> Result:
    """i without a request: it cannot be told on any channel as it stands."""
    return Result(
        delivery_id=row.id,
        token=row.token,
        state=State.DEAD,
        outcome=verdict.outcome,
        detail=verdict.detail,
        reason_code=verdict.outcome.value,
        reason=verdict.detail,
        fingerprint=fingerprint(verdict),
        due_at=now,
        started_at=now,
    )
