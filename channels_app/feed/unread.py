"""How feeds stand, kept in Redis for the dot on the bell; the rows in Postgres are the truth.

Writers store what their own row-locked statement returned, after COMMIT; readers fill what is missing.
A Lua script compares epoch and version, so whoever comes late changes nothing, and nothing is ever
deleted on reading. Values are stored under a *generation*, a random word that is lost in a flush and
drawn anew when a write failed: a value counts only if its writer knew the current generation before it
looked at the row, so that neither a flush nor an outage lets an older value in.

Without Redis everything is answered from Postgres: a call waits 100 ms, once, and for five seconds
nobody asks again.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from prometheus_client import Counter

from channels_app.feed.cursor import Cursor
from channels_app.feed.item import State
from channels_app.volatile import Away, Script, Volatile, default_volatile

#: How long Redis may take, and is left alone after it has failed.
TIMEOUT_S, REST_S = 0.1, 5.0

#: How long a value is kept; each one up to a tenth more or less, so that they do not all end at once.
TTL_S = 600

ASKED = Counter("belfry_feed_state_total", "How feeds stand, as asked of Redis: hit, miss, away.", ["result"])
STORED = Counter("belfry_feed_state_stored_total", "How feeds stand, as told to Redis: stored, late, away.", ["result"])

_GENERATION = "feed:generation"
_GET = Script("feed_state", "feed_state_get")
_PUT = Script("feed_state", "feed_state_put")
_RENEW = Script("feed_state_renew")

#: Values of one call.
_AT_ONCE = 1000

#: Not the interpreter's: who seeds that one is not to be disturbed by timers of ours.
_chance = Random()


@dataclass(frozen=True, slots=True)
class Standing:
    """How the feed of `recipient` stands. Not `is_whole`: a broadcast is still to be written into it."""

    recipient: str
    state: State
    is_whole: bool = True


class UnreadCache:
    """All states in one Redis. Never raises. Safe to share between threads."""

    def __init__(self, volatile: Volatile, *, repay_after_s: float = REST_S) -> None:
        self._volatile = volatile
        self._repay_after_s = repay_after_s
        #: The generation that was current when Redis last answered. Take it *before* looking at rows.
        self.generation = ""
        self._owes = False
        self._repaying = threading.Lock()

    def get(self, recipient: str) -> State | None:
        """How its feed stands. None: not known, look at the rows."""
        try:
            self._repay()
            (answer,) = self._volatile.run(_GET, [_GENERATION, _key(recipient)], [_word()])
        except Away:
            answer = None
        if answer is None:
            ASKED.labels("away").inc()
            return None
        self.generation = answer[0]
        if len(answer) == 1:
            ASKED.labels("miss").inc()
            return None
        ASKED.labels("hit").inc()
        epoch, version, unread, last_seq, read_upto = answer[1:]
        return State(Cursor(epoch, last_seq), unread, read_upto, version)

    def put(self, standings: Iterable[Standing], generation: str) -> None:
        """Store what was read or written by somebody who knew `generation` before."""
        waiting = list(standings)
        for begin in range(0, len(waiting), _AT_ONCE):
            self._put(waiting[begin : begin + _AT_ONCE], generation)

    def renew(self) -> None:
        """Let nothing count that is stored: every feed may have changed."""
        try:
            self._volatile.insist(_RENEW, [_GENERATION], [_word()])
        except Away:
            self._borrow()

    def _put(self, standings: Sequence[Standing], generation: str) -> None:
        keys = [_GENERATION, *(_key(standing.recipient) for standing in standings)]
        entries = [_entry(standing, generation) for standing in standings]
        try:
            self._repay()
            answers = self._volatile.run(_PUT, keys, [_word(), entries])
        except Away:
            answers = [None] * len(standings)
        said = [answer for answer in answers if answer is not None]
        if said:
            self.generation = said[0][0]
        if len(said) < len(answers):
            self._borrow()
        stored = sum(was_stored for _, was_stored in said)
        STORED.labels("stored").inc(stored)
        STORED.labels("late").inc(len(said) - stored)
        STORED.labels("away").inc(len(answers) - len(said))

    def _borrow(self) -> None:
        """What is stored may be old. As soon as Redis is back it must not count, also if nobody asks here."""
        self._owes = True
        if self._repaying.acquire(blocking=False):
            self._wait_for_redis()

    def _wait_for_redis(self) -> None:
        timer = threading.Timer(self._repay_after_s * _chance.uniform(1.0, 1.2), self._repay_from_aside)
        timer.daemon = True
        timer.start()

    def _repay_from_aside(self) -> None:
        try:
            self._repay()
        except Away:
            self._wait_for_redis()
            return
        self._repaying.release()

    def _repay(self) -> None:
        """Raises `Away`."""
        if self._owes:
            # First, so that what somebody else borrows meanwhile is not forgotten.
            self._owes = False
            try:
                self._volatile.insist(_RENEW, [_GENERATION], [_word()])
            except Away:
                self._owes = True
                raise


def default_unread() -> UnreadCache:
    """The one at `settings.BELFRY_REDIS_URL`, shared by the whole process."""
    return _unread(feed_volatile())


def feed_volatile() -> Volatile:
    """The Redis of feeds: one patience, and one rest after a failure, for states and hints together."""
    return default_volatile(timeout_s=TIMEOUT_S, rest_s=REST_S)


@lru_cache(maxsize=4)
def _unread(volatile: Volatile) -> UnreadCache:
    return UnreadCache(volatile)


def _entry(standing: Standing, generation: str) -> tuple[str, int, int, int, int, int, int]:
    state = standing.state
    ttl_s = int(TTL_S * _chance.uniform(0.9, 1.1))
    known = generation if standing.is_whole else ""
    return (known, state.cursor.epoch, state.version, state.unread, state.cursor.seq, state.read_upto, ttl_s)


def _key(recipient: str) -> str:
    return f"feed:state:{recipient}"


def _word() -> str:
    return secrets.token_hex(8)
