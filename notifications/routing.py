"""From a notification to its deliveries and feed items: ask the policies, write what they decided.

A batch is one transaction: it takes unrouted notifications (several workers share them by
`SKIP LOCKED`), decides, writes the deliveries in bulk, marks the batch routed and writes into feeds.
A worker that dies on the way leaves the batch as it was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from notifications import feeding, rulebook, slowness
from notifications.models import transitions, unrouted
from notifications.models.transitions import NewDelivery
from notifications.policy import Decision, Facts, Verb, decide, select
from notifications.rulebook import ChannelInUse, Rulebook
from notifications.states import State
from notifications.wake import wake

#: How many notifications are decided on in one transaction, and how many deliveries it writes, about.
BATCH, MOST_DELIVERIES = 500, 20_000

#: Seconds that one task goes on, that it looks for more, and how often it looks.
BUDGET_S, LINGER_S, LOOK_EVERY_S = 20.0, 1.0, 0.02

#: How often it looks for what is due to be written into feeds.
FEED_EVERY_S = 0.1

NO_CHANNEL = "No channel is meant for it: none is configured, or the policy in force names none."
WITHDRAWN = "It was withdrawn before it was routed."

_log = structlog.get_logger(__name__)

_busy = threading.Lock()

_STATES = {Verb.SEND: State.PENDING, Verb.DEFER: State.SCHEDULED, Verb.SUPPRESS: State.SUPPRESSED}


@dataclass(slots=True)
class Routed:
    """What one batch came to."""

    notifications: int = 0
    #: Whether that was all there was.
    is_all: bool = True
    deliveries: int = 0
    feed_items: int = 0
    lanes: set[str] = field(default_factory=set)


def route_batch(now: datetime, *, limit: int = BATCH) -> Routed:
    """Route up to `limit` notifications and wake the lanes that got work."""
    routed = Routed()
    with transaction.atomic():
        rows = unrouted.take(limit)
        if not rows:
            return routed
        planned = _planned_within_bounds(rows, rulebook.current(), now)
        routed.is_all = len(planned) == len(rows) < limit
        rows = rows[: len(planned)]
        deliveries = [delivery for plans in planned.values() for delivery in plans]
        routed.deliveries = transitions.create(deliveries, now=now)
        unrouted.mark_routed([(row.id, _note(row, planned[row.id], now)) for row in rows], now=now)
        routed.notifications = len(rows)
        routed.lanes = {delivery.lane for delivery in deliveries if delivery.state is State.PENDING}
        for lane in routed.lanes:
            transaction.on_commit(lambda lane=lane: wake(lane))  # type: ignore[misc]
        # Last, so that feeds are held only for a moment.
        routed.feed_items = feeding.begin(rows, now).items
    _log.info("routed", notifications=routed.notifications, deliveries=routed.deliveries, feed_items=routed.feed_items)
    return routed


class _Feeds:
    """Writes into feeds what has come due, beside the routing: now and then, and on and on while something is left."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def write(self, clock: Callable[[], datetime]) -> bool:
        """Whether there was anything."""
        if time.monotonic() < self._look_at:
            return False
        fed = feeding.write_due(clock())
        self._look_at = time.monotonic() + (FEED_EVERY_S if fed.is_whole else 0.0)
        return fed.notifications > 0


def route_until_idle(clock: Callable[[], datetime], *, stop: threading.Event) -> int:
    """Route batch after batch; linger a while for more, so that coalesced wake-ups are safe. Returns how many."""
    if stop.is_set() or not _busy.acquire(blocking=False):
        return 0
    try:
        total, began = 0, time.monotonic()
        idle_since = began
        feeds = _Feeds()
        while time.monotonic() - began < BUDGET_S and not stop.is_set():
            routed = route_batch(clock())
            total += routed.notifications
            if feeds.write(clock) or routed.notifications:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > LINGER_S:
                break
            if routed.is_all:
                stop.wait(LOOK_EVERY_S)
        return total
    finally:
        _busy.release()


def _planned_within_bounds(rows: Sequence[Any], book: Rulebook, now: datetime) -> dict[UUID, list[NewDelivery]]:
    """The deliveries of the first of `rows`, as many as one transaction may write; of one at least."""
    planned: dict[UUID, list[NewDelivery]] = {}
    count = 0
    for row in rows:
        planned[row.id] = list(plan(row, book, now))
        count += len(planned[row.id])
        if count >= MOST_DELIVERIES:
            break
    return planned


def plan(row: Any, book: Rulebook, now: datetime) -> Iterator[NewDelivery]:
    """One delivery for each channel that is meant: to send, to wait, or to record why not."""
    if row.withdrawn_at is not None:
        return
    facts = facts_of(row)
    policy = book.effective(streamer_key=row.streamer_key, platform=row.platform)
    for candidate in select(
        policy, (channel.candidate for channel in book.channels.values()), streamer_key=row.streamer_key
    ):
        yield _planned(row, book.channels[candidate.id], decide(facts, policy, candidate, now), now)


def facts_of(row: Any) -> Facts:
    """What the rules need of a notification's row (with `streamer_key`)."""
    return Facts(
        event_type=row.event_type,
        priority=row.priority,
        streamer_key=row.streamer_key,
        scheduled_at=row.scheduled_at,
        expires_at=row.expires_at,
    )


def _planned(row: Any, channel: ChannelInUse, decision: Decision, now: datetime) -> NewDelivery:
    waits = decision.verb is not Verb.SEND
    return NewDelivery(
        notification_id=row.id,
        channel_id=channel.id,
        state=_STATES[decision.verb],
        lane=slowness.lane_of(channel, row.priority),
        priority=row.priority,
        reason_code=decision.code if waits else "",
        reason=decision.text if waits else "",
        due_at=decision.until or now,
        expires_at=row.expires_at,
    )


def _note(row: Any, plans: list[NewDelivery], now: datetime) -> str:
    if plans or feeding.is_meant(row, now):
        return ""
    if row.withdrawn_at is not None:
        return WITHDRAWN
    return feeding.EXPIRED if row.recipients or row.is_followed else NO_CHANNEL
