"""What has come to an end in a pump, and what the table must be told of it.

Written in bulk. What could not be written because the database is away stays for the next time. A
result that Postgres refuses, or over which our own code stumbles, costs nobody else anything: each
is then written alone, and the bad one in plain words or not at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog
from django.db import ProgrammingError

from notifications import dispatch, gates
from notifications.held import Held, Tried
from notifications.models import transitions
from notifications.models.statement import AWAY
from notifications.models.transitions import Result
from notifications.retry import Schedule

T = TypeVar("T")

#: No row is to blame for these.
_OF_NO_ROW = (*AWAY, ProgrammingError)

#: Most rows of a kind that are written together.
_AT_MOST = 1000

_UNWRITABLE = "It could not be written down as it was; the log says why."

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Unwritten:
    """Filled by any thread, written by one."""

    declared: Schedule
    ended: deque[Tried] = field(default_factory=deque)
    #: Expired while they waited for a slot.
    expired: deque[Held] = field(default_factory=deque)
    #: Held back before they could be tried, or given up before they ended: nothing is learnt from them.
    unsent: deque[Result] = field(default_factory=deque)
    #: To be given back.
    unbegun: deque[Held] = field(default_factory=deque)
    #: Taken from us before they could be tried.
    lost: deque[Held] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self.ended) + len(self.expired) + len(self.unsent) + len(self.unbegun) + len(self.lost)

    def give_up(self, tried: Tried, now: datetime) -> None:
        """It has not ended, and nobody waits for it any longer."""
        self.unsent.append(self._conclude(tried, now))

    def write(self, now: datetime) -> int:
        """Write what there is. Returns how many results were written.

        Raises Django's `DatabaseError` family where no row is to blame: nothing is forgotten then, and writing again
        changes nothing of what was written before.
        """
        tried, expired = front(self.ended), front(self.expired)
        unsent, unbegun, lost = front(self.unsent), front(self.unbegun), front(self.lost)
        written = self._settle(tried, [*[dispatch.expired(one.row, now) for one in expired], *unsent], now)
        if unbegun:
            transitions.give_back([one.lease for one in unbegun], now=now)
        gates.give_back([*expired, *unbegun, *lost])
        _forget(self.ended, tried)
        _forget(self.expired, expired)
        _forget(self.unsent, unsent)
        _forget(self.unbegun, unbegun)
        _forget(self.lost, lost)
        return written

    def _settle(self, tried: Sequence[Tried], others: Sequence[Result], now: datetime) -> int:
        try:
            results = [self._conclude(one, now) for one in tried]
            return len(dispatch.settle([*results, *others], tried, now))
        except _OF_NO_ROW:
            raise
        except Exception as error:  # noqa: BLE001  Whichever of them it was: the others must not pay for it.
            _log.warning("results_written_one_by_one", count=len(tried) + len(others), error=type(error).__name__)
        return sum(self._settle_one(one, now) for one in tried) + sum(_settle_alone(one, [], now) for one in others)

    def _settle_one(self, tried: Tried, now: datetime) -> int:
        try:
            result = self._conclude(tried, now)
        except Exception:  # noqa: BLE001  A bug; the end of its lease brings it back.
            _log.exception("result_given_up", delivery=tried.held.row.id)
            return 0
        return _settle_alone(result, [tried], now)

    def _conclude(self, tried: Tried, now: datetime) -> Result:
        return dispatch.conclude(tried, self.declared, now, dispatch.draw())


def _settle_alone(result: Result, tried: Sequence[Tried], now: datetime) -> int:
    """Write one result: as it is, else in plain words, else not at all."""
    try:
        return len(dispatch.settle([result], tried, now))
    except _OF_NO_ROW:
        raise
    except Exception:  # noqa: BLE001  A bug of ours, or of a transport.
        _log.exception("result_unwritable", delivery=result.delivery_id)
    try:
        return len(dispatch.settle([_in_plain_words(result)], [], now))
    except _OF_NO_ROW:
        raise
    except Exception:  # noqa: BLE001  The end of its lease brings it back, or buries it.
        _log.exception("result_given_up", delivery=result.delivery_id)
        return 0


def _in_plain_words(result: Result) -> Result:
    """The same end, without anything that came from outside."""
    reason = _UNWRITABLE if result.reason else ""
    return msgspec.structs.replace(result, code=0, detail=_UNWRITABLE, reason=reason)


def front(queue: deque[T]) -> list[T]:
    """What is to be written next; it stays in the queue, to whose end other threads may be adding."""
    # Copied whole, which is one step of the interpreter: an iterator would meet what another thread adds meanwhile.
    return list(queue)[:_AT_MOST]


def _forget(queue: deque[T], written: Sequence[T]) -> None:
    for _ in written:
        queue.popleft()
