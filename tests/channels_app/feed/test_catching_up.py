"""A client that knows all up to a cursor and catches up knows what the rows say, or is told to begin anew.

The property test plays a client that falls behind, pages through its changes with any limit while others
go on changing the feed, and loses nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels_app.feed import erase, marking, reading, retention, writing
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Changes, Kind, Reset
from tests.channels_app.feed.scene import DAY, NOW, an_item, feed, id_of, items, somebody, write

pytestmark = pytest.mark.django_db


def catch_up(after: Cursor | None, who: str = "ann", limit: int = reading.CATCH_UP) -> Changes:
    return reading.changes(who, after, now=NOW, limit=limit)


# --- What is compacted ---------------------------------------------------------------------------


def test_each_item_comes_once_in_its_newest_state() -> None:
    (pk,) = write("ann")
    for _ in range(3):
        marking.read("ann", ids=[pk], now=NOW)
        marking.unread("ann", [pk], now=NOW)
    caught = catch_up(Cursor(1, 0))
    (change,) = caught.items
    assert (change.kind, change.seq, change.item["read"], change.item["seen"]) == (Kind.NEW, 7, False, True)
    assert (str(caught.cursor), caught.more, caught.reset) == ("1-7", False, Reset.NO)


def test_what_the_client_knew_is_updated_and_what_it_did_not_is_new() -> None:
    old, new = write("ann"), write("ann")
    marking.read("ann", everything=True, now=NOW)
    caught = catch_up(Cursor(1, 1))
    assert [(change.kind, id_of(change)) for change in caught.items] == [(Kind.UPDATED, old[0]), (Kind.NEW, new[0])]
    assert caught.items[0].item["title"] == "It is on"


def test_a_deletion_is_told_with_nothing_of_what_was_deleted() -> None:
    write("ann", body="secret")
    marking.delete("ann", [items()[0].id], now=NOW)
    (change,) = catch_up(Cursor(1, 1)).items
    assert change.item == {"id": str(items()[0].id), "type": "deleted", "seq": 2, "unread": 0}


def test_more_is_fetched_from_the_cursor_of_the_last() -> None:
    for _ in range(5):
        write("ann")
    first = catch_up(Cursor(1, 0), limit=2)
    assert ([c.seq for c in first.items], str(first.cursor), first.more) == ([1, 2], "1-2", True)
    second = catch_up(first.cursor, limit=3)
    assert ([c.seq for c in second.items], str(second.cursor), second.more) == ([3, 4, 5], "1-5", False)


def test_without_a_cursor_there_is_nothing_but_where_to_begin() -> None:
    write("ann")
    caught = catch_up(None)
    assert (caught.items, str(caught.cursor), caught.reset, caught.more) == ((), "1-1", Reset.NO, False)


# --- Begin anew ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cursor", [Cursor(0, 1), Cursor(2, 0), Cursor(999_999_999, 1), Cursor(1, 2), Cursor(1, 10**17)]
)
def test_a_foreign_epoch_and_a_number_that_is_still_to_come_begin_anew(cursor: Cursor) -> None:
    write("ann")
    caught = catch_up(cursor)
    assert (caught.reset, caught.items, str(caught.cursor)) == (Reset.EPOCH, (), "1-1")


def test_who_is_a_thousand_behind_catches_up_and_who_is_further_begins_anew() -> None:
    writing.publish([an_item() for _ in range(1001)], now=NOW)
    assert catch_up(Cursor(1, 0)).reset is Reset.TOO_FAR
    assert catch_up(Cursor(1, 1)).reset is Reset.NO


def test_who_was_away_for_longer_than_deletions_are_remembered_begins_anew() -> None:
    ids = write("ann") + write("ann")
    marking.delete("ann", ids[:1], now=NOW)
    retention.prune(NOW + 31 * DAY)
    assert feed().floor_seq == 3
    assert catch_up(Cursor(1, 2)).reset is Reset.RETENTION
    assert catch_up(Cursor(1, 3)).reset is Reset.NO


def test_an_erased_feed_begins_anew() -> None:
    write("ann")
    erase.erase("ann")
    assert catch_up(Cursor(1, 1)).reset is Reset.EPOCH
    assert catch_up(Cursor(1, 0)).reset is Reset.EPOCH
    assert str(catch_up(None).cursor) == "2-0"


# --- The property --------------------------------------------------------------------------------


class Client:
    """What a client shows: items by id, from pages and changes alone."""

    def __init__(self, who: str) -> None:
        self.who = who
        self.cursor: Cursor | None = None
        self.shown: dict[str, dict[str, Any]] = {}
        self.seen_seqs: list[int] = []

    def begin(self) -> None:
        page = reading.page(self.who, now=NOW, limit=200)
        self.shown = {item["id"]: item for item in page.items}
        self.cursor = page.cursor

    def catch_up_a_little(self, limit: int) -> None:
        caught = reading.changes(self.who, self.cursor, now=NOW, limit=limit)
        if self.cursor is None or caught.reset is not Reset.NO:
            self.begin()
            return
        assert all(change.seq > self.cursor.seq for change in caught.items)
        for change in caught.items:
            self._apply(change.kind, dict(change.item))
        self.cursor = caught.cursor

    def _apply(self, kind: Kind, item: dict[str, Any]) -> None:
        if kind is Kind.DELETED or item.get("archived"):
            self.shown.pop(item["id"], None)
        else:
            self.shown[item["id"]] = item

    def view(self) -> list[tuple[str, str, bool, bool]]:
        return sorted((key, item["title"], item["read"], item["seen"]) for key, item in self.shown.items())


def rows(who: str) -> list[tuple[str, str, bool, bool]]:
    kept = [row for row in items(who) if row.deleted_at is None and row.archived_at is None]
    return sorted((str(row.id), row.title, row.read_at is not None, row.seen_at is not None) for row in kept)


SOME = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("publish"), SOME),
    st.tuples(st.sampled_from(["read", "unread", "seen", "archive", "delete", "edit", "expire", "forget"]), SOME),
    st.tuples(st.just("catch up"), st.integers(1, 4)),
)


def play(who: str, step: str, number: int, client: Client) -> None:
    chosen = [row for row in items(who) if row.deleted_at is None][number : number + 2]
    ids: list[UUID] = [row.id for row in chosen]
    if step == "publish":
        expires_at = NOW + timedelta(minutes=number)
        writing.publish(
            [an_item(who, source=UUID(int=n + 2**70), expires_at=expires_at) for n in range(number)], now=NOW
        )
        writing.publish([an_item(who)], now=NOW)
    elif step in ("read", "seen"):
        {"read": marking.read, "seen": marking.seen}[step](who, ids=ids, now=NOW)
    elif step in ("unread", "archive", "delete"):
        {"unread": marking.unread, "archive": marking.archive, "delete": marking.delete}[step](who, ids, now=NOW)
    elif step == "edit":
        writing.edit(UUID(int=number + 2**70), title=f"Title {number}", now=NOW)
    elif step == "expire":
        retention.expire(NOW + timedelta(minutes=number))
    elif step == "forget":
        retention.prune(NOW + 31 * DAY)
    else:
        client.catch_up_a_little(number)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=25), st.integers(1, 4))
def test_who_catches_up_shows_what_the_rows_say(db: None, steps: list[tuple[str, int]], limit: int) -> None:
    """P6: every change once and in order, or `reset`."""
    who = somebody()
    client = Client(who)
    client.begin()
    for step, number in steps:
        play(who, step, number, client)
    for _ in range(200):
        client.catch_up_a_little(limit)
        if client.cursor == reading.changes(who, None, now=NOW).cursor:
            break
    assert client.view() == rows(who)
    assert reading.positions([who])[who].unread == sum(not item["read"] for item in client.shown.values())
