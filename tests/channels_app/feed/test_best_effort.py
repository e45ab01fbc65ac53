"""The bounded queue for callers that must never wait."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from django.conf import settings
from django.db import DataError, OperationalError, connection
from structlog.testing import capture_logs

from channels_app.feed import best_effort
from channels_app.feed.best_effort import AT_ONCE, CAPACITY, DRAIN_S, DROPPED, BestEffortQueue
from channels_app.feed.item import NewItem
from channels_app.models import InboxItem
from tests.channels_app.feed.scene import an_item, somebody


class Publisher:
    """Publishes when it may, and refuses what is called bad."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.begun = threading.Event()
        self.batches: list[list[str]] = []

    def __call__(self, items: Sequence[NewItem]) -> None:
        self.begun.set()
        self.may.wait(30)
        if any(item.title == "bad" for item in items):
            raise DataError("a value that no column takes")
        self.batches.append([item.title for item in items])

    @property
    def published(self) -> list[str]:
        return [title for batch in self.batches for title in batch]


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def dropped(reason: str) -> float:
    return float(DROPPED.labels(reason)._value.get())


def test_what_does_not_fit_is_dropped_at_once_the_newest_first(publisher: Publisher) -> None:
    """S3-FD-05, S3-FD-07, S3-OU-05"""
    queue = BestEffortQueue(publisher, capacity=3)
    before = dropped("full")
    assert queue.offer(an_item(title="under way"))
    assert publisher.begun.wait(10)
    with capture_logs() as logs:
        answers = [queue.offer(an_item(title=str(number))) for number in range(5)]
    assert answers == [True, True, True, False, False]
    assert dropped("full") == before + 2
    # Each drop is counted; the log says it once in a while.
    assert [(log["event"], log["reason"]) for log in logs] == [("feed_items_dropped", "full")]
    publisher.may.set()
    assert queue.drain(10)
    assert publisher.published == ["under way", "0", "1", "2"]


def test_what_waited_is_written_together(publisher: Publisher) -> None:
    """S3-FD-06: one thread, and larger statements instead of more of them"""
    queue = BestEffortQueue(publisher)
    queue.offer(an_item(title="first"))
    assert publisher.begun.wait(10)
    for number in range(AT_ONCE + 5):
        queue.offer(an_item(title=str(number)))
    publisher.may.set()
    assert queue.drain(20)
    assert [len(batch) for batch in publisher.batches] == [1, AT_ONCE, 5]


def test_one_that_is_refused_takes_nobody_with_it(publisher: Publisher) -> None:
    queue = BestEffortQueue(publisher)
    before = dropped("refused")
    queue.offer(an_item(title="first"))
    assert publisher.begun.wait(10)
    for title in ("a", "bad", "b"):
        queue.offer(an_item(title=title))
    publisher.may.set()
    assert queue.drain(10)
    assert publisher.published == ["first", "a", "b"]
    assert dropped("refused") == before + 1


def test_a_mistake_ends_no_thread(publisher: Publisher) -> None:
    publisher.may.set()
    failing = iter([OSError("?")])

    def publish(items: Sequence[NewItem]) -> None:
        for error in failing:
            raise error
        publisher(items)

    queue = BestEffortQueue(publish)
    before = dropped("error")
    queue.offer(an_item(title="lost"))
    assert queue.drain(10)
    queue.offer(an_item(title="kept"))
    assert queue.drain(10)
    assert (publisher.published, dropped("error")) == (["kept"], before + 1)


@pytest.mark.django_db
def test_a_database_that_is_away_is_asked_twice(publisher: Publisher) -> None:
    asked: list[int] = []

    def publish(items: Sequence[NewItem]) -> None:
        asked.append(len(items))
        raise OperationalError("the server is gone")

    queue = BestEffortQueue(publish)
    before = dropped("database")
    queue.offer(an_item())
    assert queue.drain(10)
    assert (asked, dropped("database")) == ([1, 1], before + 1)


def test_the_end_of_a_process_waits_for_five_seconds_and_counts_what_is_left(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3-FD-12, S3-OU-04, S3-GP-03"""
    assert (DRAIN_S, CAPACITY) == (5.0, 10_000)
    queue = BestEffortQueue(publisher)
    for _ in range(3):
        queue.offer(an_item())
    began = time.monotonic()
    assert not queue.drain(0.2)
    assert time.monotonic() - began >= 0.2
    before = dropped("shutdown")
    monkeypatch.setattr(queue, "drain", lambda: False)
    queue.close()
    assert dropped("shutdown") == before + 3
    publisher.may.set()


@pytest.mark.django_db(transaction=True)
def test_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3-FD-15"""

    def publish(items: Sequence[NewItem]) -> None:
        try:
            best_effort._publish_now(items)
        finally:
            connection.close()

    monkeypatch.setattr(best_effort, "_queue", BestEffortQueue(publish))
    who = somebody()
    assert best_effort.enqueue_publish(an_item(who))
    assert best_effort.drain(20)
    assert InboxItem.objects.filter(recipient=who).count() == 1


def test_a_process_that_ends_writes_first_what_it_took() -> None:
    """S3-FD-12"""
    program = """
import time
from channels_app.feed import best_effort
written = []
def publish(items):
    time.sleep(0.3)
    written.extend(items)
    print("written", len(items), flush=True)
best_effort._queue._publish = publish
from channels_app.feed.item import NewItem
best_effort.enqueue_publish(NewItem(recipient="ann", event_type="x"))
"""
    setup = "import django; django.setup()\n"
    ran = subprocess.run(
        [sys.executable, "-c", setup + program], capture_output=True, text=True, cwd=settings.BASE_DIR, check=False
    )
    assert ran.stdout.split() == ["written", "1"], ran.stderr
