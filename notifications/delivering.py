"""A single delivery through the steps of `dispatch`: what the task `deliver` does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from django.conf import settings

from channels_app import http
from channels_app.base import BlockingTransport
from channels_app.outcomes import Outcome
from notifications import dispatch, rulebook
from notifications.carriers import send_blocking, send_one
from notifications.errors import PermanentError, TransientError
from notifications.held import Held, Tried
from notifications.models import transitions
from notifications.states import State

#: From the end of a try to its result in the table, at the most.
_TO_SETTLE_S = 10.0


def take(delivery_id: int, now: datetime) -> Held | None:
    """Claim, guard and prepare one delivery; None when it is not due, not ours, or held back."""
    row = transitions.claim_one(delivery_id, now=now, lease_s=settings.BELFRY_LEASE_S)
    if row is None:
        return None
    guarded = dispatch.guard([row], rulebook.current(), now)
    held, buried = dispatch.prepare(guarded.ready, now)
    dispatch.settle([*guarded.results, *buried], [], now)
    return held[0] if held and _keeps(held[0], now) else None


def _keeps(held: Held, now: datetime) -> bool:
    """Stretch the lease over the one try that follows; nobody renews it meanwhile."""
    lease_s = max(float(settings.BELFRY_LEASE_S), held.channel.timeout_s + _TO_SETTLE_S)
    return bool(transitions.renew([held.lease], now=now, lease_s=lease_s))


def send(held: Held, clock: Callable[[], datetime]) -> None:
    """Send it and write what came of it.

    Raises `TransientError` or `PermanentError`, with the try, where the retry policy decides: its
    result is then not written yet.
    """
    tried = attempt(held, clock)
    outcome, now = tried.verdict.outcome, clock()
    if outcome is Outcome.TRANSIENT or (outcome is Outcome.UNKNOWN and held.channel.transport.retries_unknown):
        raise TransientError(tried)
    result = dispatch.conclude(tried, dispatch.NO_RETRIES, now, dispatch.draw())
    if result.state is State.DEAD:
        raise PermanentError(tried)
    dispatch.settle([result], [tried], now)


def attempt(held: Held, clock: Callable[[], datetime]) -> Tried:
    """Talk to the far end, once."""
    started_at, started = clock(), time.monotonic()
    if isinstance(held.channel.transport, BlockingTransport):
        verdict = send_blocking([held], started_at, deadline=started + held.channel.timeout_s)[0]
    else:
        verdict = send_one(held, started_at, http.default_rules())
    return Tried(held, verdict, started_at, int((time.monotonic() - started) * 1000))
