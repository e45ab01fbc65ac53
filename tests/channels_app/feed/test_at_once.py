"""Several at the same feeds at the same time: nobody waits in a circle, and numbers stay dense.

Against real Postgres, over connections of their own.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from channels_app.feed import acking, broadcasting, marking, reading, writing
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Change
from channels_app.models import Broadcast
from tests.channels_app.feed.scene import (
    NOW,
    an_item,
    assert_dense,
    assert_right,
    feed,
    id_of,
    items,
    meanwhile,
    unread_rows,
    write,
)

pytestmark = pytest.mark.django_db(transaction=True)


def wait_until_somebody_waits() -> None:
    """Until another connection waits for a lock."""
    give_up_at = time.monotonic() + 10
    # Not `pg_stat_activity`, of which a transaction sees the same all the time.
    sql = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while time.monotonic() < give_up_at:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("Nobody waits.")


def at_once(*steps: Callable[[], object]) -> None:
    """All of them in threads, begun together."""
    ready = threading.Barrier(len(steps))

    def begun(step: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            ready.wait(10)
            step()

        return run

    with ExitStack() as threads:
        for step in steps:
            threads.enter_context(meanwhile(begun(step)))


@contextmanager
def overtaking(step: Callable[[], object]) -> Iterator[None]:
    """What is done inside is committed only when `step`, in another thread, waits for it."""
    with ExitStack() as threads, transaction.atomic():
        yield
        threads.enter_context(meanwhile(step))
        wait_until_somebody_waits()


def test_publishers_with_the_same_recipients_in_any_order_never_wait_in_a_circle() -> None:
    """Two statements each (more than 1,000 recipients), over and over."""
    everybody = [f"user-{n}" for n in range(1200)] + [f"User-{n}" for n in range(300)]
    changes: list[Change] = []

    def publisher(seed: int) -> Callable[[], None]:
        def run() -> None:
            order = random.Random(seed)
            for _ in range(4):
                some = order.sample(everybody, 1300)
                changes.extend(writing.publish([an_item(who) for who in some], now=NOW))

        return run

    at_once(publisher(1), publisher(2), publisher(3))
    assert len(changes) == 3 * 4 * 1300
    for who in everybody[::50]:
        assert_dense(who, changes)
        assert_right(who)


class Crowd:
    """Twenty people with feeds, and who does something to them at random."""

    def __init__(self) -> None:
        self.people = [f"user-{n:02}" for n in range(20)]
        self.sources = [uuid4() for _ in range(40)]
        self.changes = writing.publish([an_item(who, source=uuid4()) for who in self.people for _ in range(3)], now=NOW)

    def publish(self, order: random.Random) -> list[Change]:
        source = order.choice(self.sources)
        return writing.publish([an_item(who, source=source) for who in order.sample(self.people, 12)], now=NOW)

    def mark(self, order: random.Random) -> list[Change]:
        who = order.choice(self.people)
        ids = [row.id for row in order.sample(items(who), 2)]
        choice = order.randrange(5)
        if choice == 0:
            return marking.read(who, everything=True, now=NOW)
        if choice == 1:
            return marking.read(who, upto=Cursor(1, order.randrange(1, 40)), now=NOW)
        return (marking.unread, marking.archive, marking.delete)[choice - 2](who, ids, now=NOW)

    def change_many(self, order: random.Random) -> list[Change]:
        source = order.choice(self.sources)
        if order.random() < 0.5:
            return writing.edit(source, title=f"Title {order.random()}", now=NOW)
        return writing.withdraw(source, now=NOW)

    def look(self, order: random.Random) -> list[Change]:
        who = order.choice(self.people)
        acking.ack(who, order.choice("xyz"), upto=Cursor(1, order.randrange(60)), now=NOW)
        reading.page(who, now=NOW)
        return []

    def busy(self, seed: int, step: Callable[[random.Random], list[Change]]) -> Callable[[], None]:
        def run() -> None:
            order = random.Random(seed)
            for _ in range(25):
                self.changes.extend(step(order))

        return run


def test_everything_at_once_in_the_same_feeds() -> None:
    """Publish, mark, edit, withdraw, ack and read, from as many threads: dense, and the count right."""
    crowd = Crowd()
    steps = (crowd.publish, crowd.publish, crowd.mark, crowd.mark, crowd.change_many, crowd.look)
    at_once(*(crowd.busy(seed, step) for seed, step in enumerate(steps)))
    for who in crowd.people:
        assert_dense(who, crowd.changes)
        assert_right(who)
    delivered = [row for who in crowd.people for row in items(who) if row.delivered_at]
    assert delivered
    assert {row.delivered_device for row in delivered} <= set("xyz")


def test_two_who_write_the_same_source_write_it_once() -> None:
    """The second saw a feed without it, waited for the lock, and finds it there: it writes the rest, densely."""
    source = uuid4()
    write("ann", "bob")
    second: list[Change] = []

    def write_the_same() -> None:
        given = [an_item("ann"), an_item("ann", source=source), an_item("ann"), an_item("bob", source=source)]
        second.extend(writing.publish(given, now=NOW))

    with overtaking(write_the_same):
        first = writing.publish([an_item("ann", source=source)], now=NOW)
    assert [(change.recipient, change.seq) for change in [*first, *second]] == [
        ("ann", 2), ("ann", 3), ("ann", 4), ("bob", 2)
    ]  # fmt: skip
    assert_right("ann")


def test_two_who_begin_the_same_feed() -> None:
    changes: list[Change] = []
    for n in range(20):
        who = f"new-{n}"
        at_once(*[lambda who=who: changes.extend(writing.publish([an_item(who)], now=NOW))] * 2)
        assert_dense(who, changes)
        assert_right(who)


def test_two_devices_that_mark_the_same_count_it_once() -> None:
    ids = write("ann") + write("ann")
    second: list[Change] = []
    with overtaking(lambda: second.extend(marking.read("ann", everything=True, now=NOW))):
        marking.read("ann", ids=ids[:1], now=NOW)
    assert [(change.seq, id_of(change), change.unread) for change in second] == [(4, ids[1], 0)]
    assert_right()


def test_what_comes_in_while_all_is_read_stays_unread_or_is_read_but_is_never_miscounted() -> None:
    write("ann")
    with overtaking(lambda: marking.read("ann", everything=True, now=NOW)):
        write("ann")
    assert feed().unread == 0
    assert feed().read_upto == 2
    assert_right()


def test_an_item_that_is_deleted_while_it_is_edited_is_deleted() -> None:
    source = uuid4()
    ids = write("ann", source=source)
    edited: list[Change] = []
    with overtaking(lambda: edited.extend(writing.edit(source, title="x", now=NOW))):
        marking.delete("ann", ids, now=NOW)
    assert edited == []
    assert (items()[0].title, feed().last_seq) == ("", 2)


def test_a_rollback_leaves_no_hole() -> None:
    with transaction.atomic():
        write("ann", "bob")
        transaction.set_rollback(True)
    changes = writing.publish([an_item("ann")], now=NOW)
    assert_dense("ann", changes)


# --- What is told to everybody -------------------------------------------------------------------


@pytest.fixture
def many_feeds(settings: Settings) -> None:
    """So many that what is for everybody is written into a feed when it is looked at."""
    settings.BELFRY_BROADCAST_ROWS = 0


def test_broadcasts_are_numbered_in_the_order_of_their_commits(many_feeds: None) -> None:
    """Otherwise a feed that has the later one would never look for the earlier one."""
    write("ann")
    with overtaking(lambda: writing.publish_to_everyone(an_item(title="second"), now=NOW)):
        writing.publish_to_everyone(an_item(title="first"), now=NOW)
        assert unread_rows() == 1
    assert list(Broadcast.objects.order_by("id").values_list("title", flat=True)) == ["first", "second"]
    assert reading.state("ann", now=NOW).unread == 3
    assert_right()


def test_who_looks_twice_at_once_gets_a_broadcast_once(many_feeds: None) -> None:
    write("ann")
    writing.publish_to_everyone(an_item(title="All"), now=NOW)
    at_once(*[lambda: reading.page("ann", now=NOW)] * 4)
    assert [row.title for row in items()] == ["It is on", "All"]
    assert_right()


def test_what_is_withdrawn_while_it_is_written_into_a_feed_is_deleted_there_too(many_feeds: None) -> None:
    source = uuid4()
    write("ann")
    writing.publish_to_everyone(an_item(source=source), now=NOW)
    with overtaking(lambda: writing.withdraw(source, now=NOW)):
        broadcasting.merge(["ann"], now=NOW)
    assert feed().unread == 1
    assert_right()


def test_what_is_being_withdrawn_is_waited_for_by_no_reader_and_written_by_none(many_feeds: None) -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    write("ann")
    for source in (first, second, third):
        writing.publish_to_everyone(an_item(source=source, title=str(source)), now=NOW)
    with transaction.atomic():
        writing.withdraw(second, now=NOW)
        with meanwhile(lambda: reading.page("ann", now=NOW)) as thread:
            thread.join(5)
            assert not thread.is_alive()
    assert [row.title for row in items()] == ["It is on", str(first)]
    reading.page("ann", now=NOW)
    assert [row.title for row in items()] == ["It is on", str(first), str(third)]
    assert_right()


def test_a_withdrawal_that_is_undone_hides_nothing(many_feeds: None) -> None:
    source = uuid4()
    write("ann")
    writing.publish_to_everyone(an_item(source=source), now=NOW)
    with transaction.atomic():
        writing.withdraw(source, now=NOW)
        with meanwhile(lambda: reading.page("ann", now=NOW)):
            pass
        transaction.set_rollback(True)
    assert reading.state("ann", now=NOW).unread == 2
