"""Pages and states: by keyset, from one statement, within bounds."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from channels_app import statement
from channels_app.feed import acking, marking, reading, writing
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Page
from channels_app.models import InboxState
from tests.channels_app.feed.scene import HOUR, NOW, an_item, feed, id_of, somebody, write

pytestmark = pytest.mark.django_db


def titles(page: Page) -> list[str]:
    return [item["title"] for item in page.items]


def fill(count: int, **fields: Any) -> None:
    writing.publish([an_item(title=str(n), **fields) for n in range(1, count + 1)], now=NOW)


def test_pages_go_back_by_keyset_and_end() -> None:
    """S3-AP-01, S3-FD-14"""
    fill(5)
    first = reading.page("ann", now=NOW, limit=2)
    second = reading.page("ann", now=NOW, limit=2, before=first.next)
    third = reading.page("ann", now=NOW, limit=2, before=second.next)
    assert [titles(page) for page in (first, second, third)] == [["5", "4"], ["3", "2"], ["1"]]
    assert (first.next, second.next, third.next) == (4, 2, None)
    assert reading.page("ann", now=NOW, limit=5).next is None


def test_what_comes_in_while_one_pages_is_neither_doubled_nor_skipped() -> None:
    fill(4)
    first = reading.page("ann", now=NOW, limit=2)
    write("ann", title="late")
    marking.read("ann", everything=True, now=NOW)
    assert titles(reading.page("ann", now=NOW, limit=2, before=first.next)) == ["2", "1"]


def test_a_page_has_fifty_items_and_never_more_than_two_hundred() -> None:
    """S3-OU-01"""
    fill(205)
    assert len(reading.page("ann", now=NOW).items) == 50
    assert len(reading.page("ann", now=NOW, limit=10**9).items) == 200
    assert len(reading.page("ann", now=NOW, limit=-5).items) == 1
    assert len(reading.changes("ann", Cursor(1, 0), now=NOW, limit=10**9).items) == 200


def test_a_page_brings_the_cursor_and_the_state_of_the_same_moment() -> None:
    fill(3)
    page = reading.page("ann", now=NOW, limit=1)
    assert (str(page.cursor), page.state.unread) == ("1-3", 3)
    assert reading.changes("ann", page.cursor, now=NOW).items == []


def test_unread_alone() -> None:
    fill(3)
    ids = [item["id"] for item in reading.page("ann", now=NOW).items]
    marking.read("ann", ids=[UUID(ids[1])], now=NOW)
    page = reading.page("ann", now=NOW, unread=True)
    assert titles(page) == ["3", "1"]
    assert page.state.unread == 2


def test_a_category_is_an_event_type_or_the_beginning_of_some() -> None:
    for event_type in ("stream.live", "stream.live.again", "streams.live", "stream", "disk%full", "diskXfull"):
        writing.publish([an_item(event_type=event_type, title=event_type)], now=NOW)
    assert set(titles(reading.page("ann", now=NOW, category="stream"))) == {
        "stream.live", "stream.live.again", "stream"
    }  # fmt: skip
    assert set(titles(reading.page("ann", now=NOW, category="stream.live"))) == {"stream.live", "stream.live.again"}
    assert titles(reading.page("ann", now=NOW, category="disk%full")) == ["disk%full"]
    assert titles(reading.page("ann", now=NOW, category="%")) == []


def test_who_never_had_a_feed_has_an_empty_one() -> None:
    who = somebody()
    assert reading.page(who, now=NOW).items == []
    assert (str(reading.state(who, now=NOW).cursor), reading.state(who, now=NOW).unread) == ("1-0", 0)
    assert reading.changes(who, Cursor(1, 0), now=NOW).items == []
    assert InboxState.objects.filter(pk=who).exists()


def test_the_state_is_shown_with_a_tag_that_changes_with_it() -> None:
    write("ann")
    first = reading.state("ann", now=NOW)
    assert first.shown() == {"cursor": "1-1", "unread": 1, "read_upto": 0}
    marking.read("ann", everything=True, now=NOW)
    (second,) = reading.positions(["ann", "nobody"]).values()
    assert second.shown() == {"cursor": "1-2", "unread": 0, "read_upto": 1}
    assert first.etag != second.etag


def test_what_became_of_a_source() -> None:
    """X-02: delivered, seen and read are kept apart."""
    source = uuid4()
    (change,) = writing.publish([an_item(source=source)], now=NOW)
    write("bob", "eve", source=source)
    acking.ack("bob", "phone", upto=Cursor(1, 1), now=NOW + HOUR)
    acking.ack("ann", "desk", ids=[id_of(change)], now=NOW)
    marking.seen("ann", upto=Cursor(1, 1), now=NOW)
    told = reading.told(source)
    assert (told.feeds, told.delivered, told.seen, told.read) == (3, 2, 1, 0)
    assert (told.first_delivered_at, told.first_device) == (NOW, "desk")
    assert reading.told(uuid4()).feeds == 0


@pytest.mark.parametrize("after", [0, 7_990])
def test_pages_and_catch_ups_use_their_indexes(after: int) -> None:
    """Ten thousand items, and none of them is sorted."""
    fill(8000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE channels_app_inbox_item")
    given = {"recipient": "ann", "after": after, "limit": 200}
    plan = "\n".join(row[0] for row in statement.run("EXPLAIN " + reading.CHANGES, given))
    assert "inbox_item_changes" in plan
    assert "Seq Scan on channels_app_inbox_item" not in plan
    assert feed().last_seq == 8000
