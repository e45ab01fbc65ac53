"""Writing into feeds: numbers are dense, sources are written once, everybody means everybody."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from channels_app.feed import marking, reading, writing
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import EVERYONE, Kind
from channels_app.models import Broadcast, InboxItem, InboxState
from tests.channels_app.feed.scene import (
    HOUR,
    NOW,
    an_item,
    assert_dense,
    assert_right,
    feed,
    id_of,
    items,
    unread_rows,
    write,
)

pytestmark = pytest.mark.django_db


def test_an_item_is_kept_as_it_was_given() -> None:
    """S3-FD-01: the rows in Postgres are the truth."""
    source = uuid4()
    given = an_item(
        source=source, priority=8, body="Come", url="https://example.org/live", payload=b'{"n": 1}', wants_ack=True,
        expires_at=NOW + HOUR,
    )  # fmt: skip
    (change,) = writing.publish([given], now=NOW)
    (row,) = items()
    assert (row.source, row.priority, row.body, bytes(row.payload or b""), row.wants_ack) == (
        source, 8, "Come", b'{"n": 1}', True
    )  # fmt: skip
    assert (row.created_at, row.expires_at, row.seq, row.changed_seq) == (NOW, NOW + HOUR, 1, 1)
    assert (change.kind, change.recipient, str(change.cursor), change.unread) == (Kind.NEW, "ann", "1-1", 1)
    assert change.item == {
        "id": str(row.id), "type": "new", "seq": 1, "position": 1, "source": str(source), "category": "stream.live",
        "priority": 8, "title": "It is on", "body": "Come", "url": "https://example.org/live",
        "content_type": "application/json", "data": {"n": 1}, "ack": True, "created": "2026-03-01T12:00:00Z",
        "expires": "2026-03-01T13:00:00Z", "seen": False, "read": False, "archived": False, "unread": 1,
    }  # fmt: skip


def test_what_is_told_live_is_what_is_read_later() -> None:
    """S3-FD-03: any display is a second one of the same log."""
    (change,) = writing.publish([an_item(payload=b"[1]")], now=NOW)
    (read,) = reading.changes("ann", Cursor(1, 0), now=NOW).items
    assert read.item == change.item


def test_numbers_are_dense_in_each_feed_whatever_comes_at_once() -> None:
    given = [an_item(who, title=str(n)) for n in range(5) for who in ("zoe", "ann", "Ämy", "ann")]
    changes = writing.publish(given, now=NOW)
    for who in ("zoe", "ann", "Ämy"):
        assert_dense(who, changes)
        assert_right(who)
    assert [row.title for row in items("ann")] == [str(n) for n in range(5) for _ in range(2)]


def test_a_source_is_written_into_a_feed_once() -> None:
    source = uuid4()
    first = writing.publish([an_item(source=source), an_item(source=source, title="again")], now=NOW)
    again = writing.publish([an_item(source=source), an_item(), an_item("bob", source=source)], now=NOW)
    assert [(change.recipient, change.seq) for change in [*first, *again]] == [("ann", 1), ("ann", 2), ("bob", 1)]
    assert_dense("ann", [*first, *again])
    assert (feed().unread, feed().version) == (2, 2)


def test_nothing_new_changes_nothing() -> None:
    source = uuid4()
    write("ann", source=source)
    assert writing.publish([an_item(source=source)], now=NOW) == []
    assert writing.publish([], now=NOW) == []
    assert (feed().last_seq, feed().version) == (1, 1)


def test_a_thousand_feeds_are_one_statement() -> None:
    many = [an_item(f"user-{n:04}", source=uuid4()) for n in range(2500)]
    with CaptureQueriesContext(connection) as framed:
        changes = writing.publish(many, now=NOW)
    # Django sees the frame of the transaction alone: a savepoint for the whole, and one for each statement.
    assert sum("SAVEPOINT" in query["sql"] and "RELEASE" not in query["sql"] for query in framed) == 1 + 3
    assert len(changes) == InboxItem.objects.count() == 2500
    assert InboxState.objects.filter(last_seq=1, unread=1).count() == 2500


def test_what_cannot_be_stored_is_refused_with_all_that_came_with_it() -> None:
    with pytest.raises(DataError), transaction.atomic():
        writing.publish([an_item(), an_item("x" * 201)], now=NOW)
    with pytest.raises((DataError, ValueError)), transaction.atomic():
        writing.publish([an_item(), an_item(title="a\0b")], now=NOW)
    assert not InboxState.objects.exists()
    assert not InboxItem.objects.exists()


def test_everybody_who_has_a_feed_gets_what_is_for_everyone() -> None:
    """S2-AR-03: one, some, all."""
    write("ann", "bob")
    reading.state("only-looked", now=NOW)
    assert writing.publish_to_everyone(an_item(EVERYONE, title="All"), now=NOW) == 3
    assert [row.title for who in ("ann", "bob", "only-looked") for row in items(who)][-1] == "All"
    assert [unread_rows(who) for who in ("ann", "bob", "only-looked", "nobody")] == [2, 2, 1, 0]
    assert not Broadcast.objects.exists()


def test_who_is_named_and_one_of_everybody_gets_it_once() -> None:
    write("ann", "bob")
    source = uuid4()
    changes = writing.publish([an_item("ann", source=source, title="For you"), an_item("*", source=source)], now=NOW)
    assert [(change.recipient, change.item["title"]) for change in changes] == [
        ("ann", "For you"), ("bob", "It is on")
    ]  # fmt: skip


def test_an_edit_reaches_every_feed_and_changes_only_what_it_names() -> None:
    source = uuid4()
    write("ann", "bob", source=source, body="old")
    marking.read("bob", everything=True, now=NOW)
    changes = writing.edit(source, body="new", expires_at=NOW + HOUR, now=NOW)
    assert [(change.kind, change.recipient, change.seq) for change in changes] == [
        (Kind.UPDATED, "ann", 2), (Kind.UPDATED, "bob", 3)
    ]  # fmt: skip
    assert {key: changes[0].item[key] for key in ("body", "expires", "type", "unread")} == {
        "body": "new", "expires": "2026-03-01T13:00:00Z", "type": "updated", "unread": 1
    }  # fmt: skip
    assert [(row.title, row.body, row.expires_at) for row in items("bob")] == [("It is on", "new", NOW + HOUR)]
    assert [feed(who).unread for who in ("ann", "bob")] == [1, 0]


def test_an_edit_that_says_nothing_new_tells_nobody() -> None:
    source = uuid4()
    write("ann", source=source)
    assert writing.edit(source, title="It is on", now=NOW) == []
    assert writing.edit(source, now=NOW) == []
    assert writing.edit(uuid4(), title="x", now=NOW) == []
    assert feed().last_seq == 1


def test_what_is_withdrawn_is_deleted_out_of_all_feeds_and_emptied() -> None:
    source = uuid4()
    write("ann", "bob", source=source, body="secret", url="https://example.org", payload=b"{}")
    write("ann")
    changes = writing.withdraw(source, now=NOW + HOUR)
    assert [(change.kind, change.recipient, change.unread) for change in changes] == [
        (Kind.DELETED, "ann", 1), (Kind.DELETED, "bob", 0)
    ]  # fmt: skip
    (row,) = items("bob")
    assert (row.title, row.body, row.url, row.payload, row.deleted_at) == ("", "", "", None, NOW + HOUR)
    assert writing.withdraw(source, now=NOW) == []
    for who in ("ann", "bob"):
        assert_right(who)


def test_what_was_withdrawn_is_not_written_again_by_a_repeat() -> None:
    source = uuid4()
    write("ann", source=source)
    writing.withdraw(source, now=NOW)
    assert writing.publish([an_item(source=source)], now=NOW) == []
    assert feed().unread == 0


def test_two_feeds_have_nothing_to_do_with_each_other() -> None:
    ids = [id_of(change) for change in writing.publish([an_item("ann"), an_item("bob")], now=NOW)]
    marking.read("ann", ids=ids, now=NOW)
    assert [feed(who).unread for who in ("ann", "bob")] == [0, 1]
