"""Concurrent requests of a process share one statement, and so one COMMIT and one fsync.

Whoever comes first writes; those who come while that lasts are collected, and the next of them
writes for all. Nobody is answered before the COMMIT, so nothing of durability is given up; alone, a
request is written at once. One row that Postgres refuses is refused alone.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DatabaseError, DataError, IntegrityError, connection

from notifications.models import acceptance
from notifications.models.acceptance import NewNotification
from notifications.models.statement import AWAY

#: Rows of one statement; more wait for the next.
AT_MOST = 500


@dataclass(slots=True, eq=False)
class _Ticket:
    row: NewNotification
    now: datetime
    #: Held until the row is written, or until it is this ticket's turn to write.
    turn: threading.Lock
    done: bool = False
    written_at: datetime | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class GroupCommit:
    """One of these a process.

    Each request waits on a lock of its own and is woken once. With one lock for all, who is long done
    queues behind whoever writes next.
    """

    _arriving: threading.Lock = field(default_factory=threading.Lock)
    _waiting: list[_Ticket] = field(default_factory=list)
    _is_led: bool = False

    def store(self, row: NewNotification, now: datetime) -> datetime | None:
        """Write `row`, together with those that others bring. Returns when it was accepted, once that is durable.

        None: its idempotency key is taken. Raises Django's `DatabaseError` family.
        """
        ticket = _Ticket(row, now, threading.Lock())
        ticket.turn.acquire()
        with self._arriving:
            self._waiting.append(ticket)
            leads, self._is_led = not self._is_led, True
        if not leads:
            ticket.turn.acquire()
        if not ticket.done:
            self._write_for_all()
        if ticket.error is not None:
            raise ticket.error
        return ticket.written_at

    def _write_for_all(self) -> None:
        with self._arriving:
            batch, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
        try:
            _write_surely(batch)
        except (DataError, IntegrityError):
            for ticket in batch:
                _write_alone(ticket)
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
            raise
        finally:
            self._hand_on()
            for ticket in batch:
                ticket.done = True
                ticket.turn.release()

    def _hand_on(self) -> None:
        """Let the first of those who came meanwhile write next."""
        with self._arriving:
            self._is_led = bool(self._waiting)
            if self._is_led:
                self._waiting[0].turn.release()


def _write_surely(batch: list[_Ticket]) -> None:
    """Write; once more on a fresh connection when this one turns out to be broken.

    The first try may have been committed before the connection went: what is there then under its own id is ours.
    """
    try:
        _write(batch)
    except AWAY:
        connection.close()
        _write(batch)


def _write(batch: list[_Ticket]) -> None:
    # One statement without a transaction around it: it is its own, in one round trip.
    now = batch[-1].now
    taken = acceptance.store([ticket.row for ticket in batch], now=now)
    for ticket in batch:
        ticket.written_at = None if ticket.row.id in taken else now


def _write_alone(ticket: _Ticket) -> None:
    try:
        _write([ticket])
    except DatabaseError as error:
        ticket.error = error
