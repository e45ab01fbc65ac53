"""Every second: what should have moved and did not is found, and moved or woken.

Lost wake-ups, leases of dead workers, times that have come, expiries. Each part is one statement
on a partial index, so a sweep over an idle table of millions costs a few milliseconds. Two sweeps
at once share the work by `SKIP LOCKED`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from channels_app.feed import retention
from notifications import lanes, replays, rulebook, slowness
from notifications.models import audience, due, transitions, unrouted
from notifications.models.statement import AWAY, is_away
from notifications.policy import Decision, Verb, decide
from notifications.routing import facts_of
from notifications.rulebook import Rulebook
from notifications.wake import ROUTE, wake

#: Rows that one sweep moves in each of its parts. What is left is the next one's, a second later.
LIMIT = 5000

#: A sweep looks this far ahead, because the next one comes only then: whoever drains the lane waits
#: for the exact time, so that what is scheduled leaves on time and not up to a second late.
LOOK_AHEAD = timedelta(seconds=1)

#: Asked again so soon, there is nothing that another sweep would find.
ENOUGH_FOR_S = 0.5

#: After so many workers died over a delivery it is buried instead of killing the next one.
MOST_LOST_LEASES = 5

#: So long after the database was away no lease is taken back: who outlived that with answers in hand writes them
#: down first. Otherwise all that was in flight would be sent a second time, although no worker died.
GRACE_S = 5.0

#: A database that lets a sweep wait so long hung, which is as bad as being away.
HANGS_S = 5.0

#: Waits at whose end it is asked again what is to happen: a policy decided on them, or the channel has gone.
_ASKED_AGAIN = ("scheduled_at", "channel_deleted", "channel_disabled")

#: Decisions that say by themselves why a delivery ends; any other means that the policies have changed.
_ENDS = frozenset({"channel_deleted", "channel_disabled", "expired"})

_log = structlog.get_logger(__name__)

_sweeping = threading.Lock()
#: When the last sweep of this process began, by the monotonic clock.
_swept_at = -math.inf
#: When this process last saw the database away, by the same clock.
_away_at = -math.inf


#: The parts that failed in the last sweep of this process.
_failing: frozenset[str] = frozenset()


class PartsFailed(Exception):
    """Some parts of a sweep failed as they did the last time, while the others did their work."""


@dataclass(slots=True)
class Swept:
    """What one sweep found."""

    taken_back: int = 0
    ended: int = 0
    expired_items: int = 0
    promoted: int = 0
    moved_aside: int = 0
    woken: list[str] = field(default_factory=list)
    replay_jobs: int = 0
    duration_ms: float = 0.0


def sweep_once_of_many(clock: Callable[[], datetime]) -> Swept | None:
    """Sweep, unless this process does or just did: what was asked for while nobody swept has gathered.

    None when it was left out.
    """
    global _swept_at  # noqa: PLW0603  one sweep a process
    if not _sweeping.acquire(blocking=False):
        return None
    try:
        if time.monotonic() - _swept_at < ENOUGH_FOR_S:
            return None
        _swept_at = time.monotonic()
        with _watching():
            now = clock()
        with _watching():
            return sweep(now)
    finally:
        _sweeping.release()


@contextmanager
def _watching() -> Iterator[None]:
    """Remember when the database was away, or hung: that not twice running, so that slow sweeps take back, too."""
    global _away_at  # noqa: PLW0603  one database
    began = time.monotonic()
    try:
        yield
    except AWAY as error:
        if is_away(error):
            _away_at = time.monotonic()
        raise
    if time.monotonic() - began > HANGS_S and began - _away_at > GRACE_S:
        _away_at = time.monotonic()


def sweep(now: datetime) -> Swept:
    """Find and move what is stuck or due. A part that fails keeps no other from its work; its error is raised last."""
    began = time.perf_counter()
    found = Swept()
    failures: dict[str, Exception] = {}
    for part in _PARTS:
        try:
            part(found, now)
        except Exception as error:  # noqa: BLE001  Raised again when the others are through.
            _log.exception("sweep_failed", part=part.__name__)
            failures[part.__name__] = error
    found.duration_ms = (time.perf_counter() - began) * 1000
    level = _log.info if found.taken_back or found.ended or found.expired_items or found.promoted else _log.debug
    level("swept", **asdict(found))
    _raise(failures)
    return found


def _raise(failures: Mapping[str, Exception]) -> None:
    """The first of them. A database of which some parts alone fail, and these again and again, is not away."""
    global _failing
    goes_on, _failing = _failing == failures.keys(), frozenset(failures)
    for first in failures.values():
        if goes_on and len(failures) < len(_PARTS):
            raise PartsFailed(f"{', '.join(failures)}: {first}") from first
        raise first


def _take_back(found: Swept, now: datetime) -> None:
    if time.monotonic() - _away_at < GRACE_S:
        return
    taken = transitions.take_back(
        now=now,
        limit=LIMIT,
        most_lost_leases=MOST_LOST_LEASES,
        at_most_once=rulebook.current().at_most_once,
        up_since=now - timedelta(seconds=GRACE_S),
    )
    found.taken_back = len(taken)


def _end_overdue(found: Swept, now: datetime) -> None:
    found.ended = transitions.cancel_overdue(now=now, limit=LIMIT)


def _expire_items(found: Swept, now: datetime) -> None:
    found.expired_items = len(retention.expire(now))


def _promote(found: Swept, now: datetime) -> None:
    found.promoted = promote_due(now)


def _move_aside(found: Swept, _: datetime) -> None:
    found.moved_aside = slowness.move_aside(rulebook.current(), limit=LIMIT)


def _wake(found: Swept, now: datetime) -> None:
    found.woken = _wake_what_waits(now)


def _advance_replays(found: Swept, now: datetime) -> None:
    found.replay_jobs = replays.advance_all(now)


#: In the order in which they help each other: what was moved is woken in the same sweep.
_PARTS = (_take_back, _end_overdue, _expire_items, _promote, _move_aside, _wake, _advance_replays)


def promote_due(now: datetime) -> int:
    """d: the times of these have come. Where a policy made them wait, it is asked again."""
    until = now + LOOK_AHEAD
    with transaction.atomic():
        asked_again = _ask_again(now, until)
        return asked_again + len(transitions.promote(now=now, until=until, limit=LIMIT, but_not=_ASKED_AGAIN))


def _ask_again(now: datetime, until: datetime) -> int:
    """Policies may have changed since they deferred: send, wait on, or end as superseded."""
    rows = due.deferred(_ASKED_AGAIN, until=until, limit=LIMIT)
    if not rows:
        return 0
    book = rulebook.current()
    promoted: list[int] = []
    waits: list[tuple[int, datetime, str, str]] = []
    ended: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row in rows:
        decision = _decide_again(row, book, now)
        if decision.verb is Verb.SEND:
            promoted.append(row.id)
        elif decision.verb is Verb.DEFER and decision.until is not None:
            waits.append((row.id, decision.until, decision.code, decision.text))
        else:
            ended[decision.code if decision.code in _ENDS else "superseded", decision.text].append(row.id)
    if waits:
        transitions.postpone(waits)
    for (code, reason), ids in ended.items():
        transitions.cancel(ids=ids, code=code, reason=reason, now=now)
    return len(transitions.promote(now=now, until=until, limit=LIMIT, ids=promoted)) if promoted else 0


def _decide_again(row: Any, book: Rulebook, now: datetime) -> Decision:
    """As of the time it waits for, which may lie a moment ahead."""
    channel = book.channels.get(row.channel_id)
    if channel is None:
        return Decision(Verb.SUPPRESS, "channel_deleted", "Its channel was deleted.")
    policy = book.effective(streamer_key=row.streamer_key, platform=row.platform)
    return decide(facts_of(row), policy, channel.candidate, max(now, row.due_at))


def _wake_what_waits(now: datetime) -> list[str]:
    until = now + LOOK_AHEAD
    woken = due.lanes(lanes.LANES, until=until)
    if unrouted.exist() or audience.is_due(until):
        woken.append(ROUTE)
    for lane in woken:
        wake(lane)
    return woken
