"""What a recipient does to items, and that every device hears of it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from channels_app.feed import marking, reading
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Change, Kind
from tests.channels_app.feed.scene import (
    HOUR,
    NOW,
    assert_right,
    feed,
    items,
    unread_rows,
    write,
)

pytestmark = pytest.mark.django_db


def test_read_by_ids() -> None:
    """S3-AP-02"""
    first, second = write("ann") + write("ann")
    (change,) = marking.read("ann", ids=[first], now=NOW + HOUR)
    assert (change.kind, change.seq, change.unread, change.at) == (Kind.UPDATED, 3, 1, NOW + HOUR)
    assert change.item == {"id": str(first), "type": "updated", "seq": 3, "read": True, "seen": True, "unread": 1}
    assert [(row.id, row.read_at) for row in items()] == [(second, None), (first, NOW + HOUR)]
    assert_right()


def test_read_all() -> None:
    """S3-AP-03, S3-FD-10: after it the dot is off, and nothing is deleted from a cache to get there."""
    write("ann"), write("ann"), write("bob")
    changes = marking.read("ann", everything=True, now=NOW)
    assert [change.seq for change in changes] == [3, 4]
    assert (feed().unread, feed().read_upto, feed("bob").unread) == (0, 2, 1)
    assert_right()


def test_read_up_to_a_cursor_leaves_what_is_newer() -> None:
    for _ in range(3):
        write("ann")
    marking.read("ann", upto=Cursor(1, 2), now=NOW)
    assert [row.read_at is not None for row in sorted(items(), key=lambda row: row.seq)] == [True, True, False]
    assert (feed().unread, feed().read_upto) == (1, 2)
    marking.read("ann", upto=Cursor(1, 1), now=NOW)
    assert feed().read_upto == 2


def test_a_cursor_ahead_of_the_feed_reads_what_is_there_and_promises_nothing() -> None:
    write("ann")
    marking.read("ann", upto=Cursor(1, 10**18 - 1), now=NOW)
    assert (feed().unread, feed().read_upto) == (0, 1)
    write("ann")
    assert feed().unread == 1


def test_a_cursor_of_another_epoch_marks_nothing() -> None:
    write("ann")
    assert marking.read("ann", upto=Cursor(2, 1), now=NOW) == []
    assert marking.seen("ann", upto=Cursor(0, 1), now=NOW) == []
    assert (feed().unread, feed().version) == (1, 1)


def test_the_second_time_changes_nothing() -> None:
    ids = write("ann")
    for mark in (marking.archive, marking.delete):
        assert len(mark("ann", ids, now=NOW)) == 1
        assert mark("ann", ids, now=NOW + HOUR) == []
    more = write("ann")
    assert len(marking.read("ann", ids=more, now=NOW)) == 1
    before = feed().version
    assert marking.read("ann", ids=more, now=NOW) == []
    assert marking.seen("ann", ids=more, now=NOW) == []
    assert feed().version == before
    assert_right()


def test_unread_again() -> None:
    ids = write("ann")
    marking.read("ann", ids=ids, now=NOW)
    (change,) = marking.unread("ann", ids, now=NOW)
    assert (change.item["read"], change.unread, feed().unread) == (False, 1, 1)
    assert items()[0].seen_at == NOW
    assert marking.unread("ann", ids, now=NOW) == []


def test_seen_is_not_read() -> None:
    """S3-SD-01, S3-WI-01: seen is a call of its own, and idempotent."""
    ids = write("ann") + write("ann")
    (change,) = marking.seen("ann", ids=ids[:1], now=NOW)
    assert change.item == {"id": str(ids[0]), "type": "updated", "seq": 3, "seen": True, "unread": 2}
    assert len(marking.seen("ann", upto=Cursor(1, 2), now=NOW)) == 1
    assert feed().unread == 2


def test_what_is_archived_is_out_of_the_list_and_the_count_and_kept() -> None:
    ids = write("ann") + write("ann")
    (change,) = marking.archive("ann", ids[:1], now=NOW)
    assert (change.item["archived"], change.unread) == (True, 1)
    assert [item["id"] for item in reading.page("ann", now=NOW).items] == [str(ids[1])]
    assert [item["id"] for item in reading.archived("ann", now=NOW).items] == [str(ids[0])]
    marking.read("ann", ids=ids[:1], now=NOW)
    marking.unread("ann", ids[:1], now=NOW)
    assert feed().unread == 1
    assert_right()


def test_what_is_deleted_is_gone_and_says_so() -> None:
    ids = write("ann", body="secret")
    (change,) = marking.delete("ann", ids, now=NOW)
    assert change.item == {"id": str(ids[0]), "type": "deleted", "seq": 2, "unread": 0}
    assert reading.page("ann", now=NOW).items == []
    assert items()[0].body == ""
    for again in (marking.read("ann", ids=ids, now=NOW), marking.unread("ann", ids, now=NOW)):
        assert again == []
    assert_right()


def test_nobody_marks_what_is_not_theirs() -> None:
    """S3-AP-04: whose feed it is decides, whatever ids are named."""
    ids = write("ann")
    write("eve")
    for mark in (marking.unread, marking.archive, marking.delete):
        assert mark("eve", ids, now=NOW) == []
    assert marking.read("eve", ids=ids, now=NOW) == []
    assert items("ann")[0].read_at is None
    assert feed("ann").version == 1


def test_unknown_ids_and_people_are_nothing() -> None:
    assert marking.read("nobody", ids=[uuid4()], now=NOW) == []
    assert marking.read("nobody", everything=True, now=NOW) == []
    assert marking.read("nobody", now=NOW) == []
    assert marking.delete("nobody", [], now=NOW) == []


def test_the_count_follows_every_order_of_marks() -> None:
    """X-07: derived from the rows, whatever came before."""
    ids = [pk for _ in range(4) for pk in write("ann")]
    changes: list[Change] = []
    for first in (marking.archive, marking.unread, marking.delete):
        changes += marking.read("ann", ids=ids[:3], now=NOW)
        changes += first("ann", ids[1:], now=NOW)
        changes += marking.unread("ann", ids, now=NOW)
        assert_right()
    assert unread_rows() == feed().unread == 1
    assert [change.seq for change in changes] == list(range(5, feed().last_seq + 1))
