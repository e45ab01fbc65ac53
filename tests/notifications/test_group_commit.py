"""Requests that share a COMMIT: each is answered, once, by what became of its own row."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from django.db import DatabaseError, OperationalError, connection
from uuid_utils.compat import uuid7

from notifications import clock
from notifications.group_commit import GroupCommit
from notifications.models import Notification, acceptance
from notifications.models.acceptance import NewNotification

THREADS, EACH = 24, 20


def a_row(title: str = "", key: str | None = None) -> NewNotification:
    return NewNotification(
        id=uuid7(),
        event_type="stream_online",
        priority=5,
        title=title,
        body="",
        data="{}",
        streamer_id=None,
        recipients=[],
        scheduled_at=None,
        expires_at=None,
        producer_id=None,
        idempotency_key=key,
        digest=None,
    )


def stored(group: GroupCommit, row: NewNotification) -> object:
    """When it was accepted, or the error that its caller got."""
    try:
        return group.store(row, clock.now())
    except DatabaseError as error:
        return error
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_in_a_crowd_every_row_is_written_and_every_caller_answered() -> None:
    group = GroupCommit()
    rows = [a_row() for _ in range(THREADS * EACH)]
    with ThreadPoolExecutor(THREADS) as callers:
        answers = list(callers.map(lambda row: stored(group, row), rows, timeout=60))
    assert None not in answers
    assert set(Notification.objects.values_list("id", flat=True)) == {row.id for row in rows}


@pytest.mark.django_db(transaction=True)
def test_in_a_crowd_a_refused_row_is_refused_alone() -> None:
    group = GroupCommit()
    rows = [a_row(title="\0" if number % 7 == 3 else "") for number in range(THREADS * EACH)]
    with ThreadPoolExecutor(THREADS) as callers:
        answers = list(callers.map(lambda row: stored(group, row), rows, timeout=60))
    refused = {row.id for row, answer in zip(rows, answers, strict=True) if isinstance(answer, DatabaseError)}
    assert refused == {row.id for row in rows if row.title}
    assert Notification.objects.count() == len(rows) - len(refused)


@pytest.mark.django_db(transaction=True)
def test_of_many_with_one_key_one_is_written() -> None:
    group = GroupCommit()
    rows = [a_row(key="same") for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as callers:
        answers = list(callers.map(lambda row: stored(group, row), rows, timeout=60))
    assert sum(answer is not None for answer in answers) == 1
    assert Notification.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_came_while_a_write_failed_is_written_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader's error is that of its own statement, and the turn goes on."""
    group, write, writing, go_on = GroupCommit(), acceptance.store, threading.Event(), threading.Event()
    fails = [True, True]  # The second is the try on a fresh connection.

    def failing(*args: object, **options: object) -> object:
        if fails:
            fails.pop()
            writing.set()
            go_on.wait(30)
            raise OperationalError("away")
        return write(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(acceptance, "store", failing)
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(stored, group, a_row())
        assert writing.wait(30)
        others = [callers.submit(stored, group, a_row()) for _ in range(2)]
        while len(group._waiting) < 2:
            assert not any(other.done() for other in others)
        go_on.set()
        assert isinstance(first.result(30), OperationalError)
        assert all(not isinstance(other.result(30), DatabaseError) for other in others)
    assert Notification.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_what_was_committed_before_the_connection_went_is_answered_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    group, write, came = GroupCommit(), acceptance.store, []

    def committing(rows: Sequence[NewNotification], *, now: datetime) -> object:
        taken = write(rows, now=now)
        came.append(rows)
        if len(came) == 1:
            raise OperationalError("the answer got lost")
        return taken

    write([a_row(key="taken")], now=clock.now())
    monkeypatch.setattr(acceptance, "store", committing)
    with ThreadPoolExecutor(1) as caller:
        assert caller.submit(stored, group, a_row(key="mine")).result(30) is not None
        came.clear()
        assert caller.submit(stored, group, a_row()).result(30) is not None
        came.clear()
        assert caller.submit(stored, group, a_row(key="taken")).result(30) is None
    assert Notification.objects.count() == 3
