"""What expires, what is old, and what is remembered of it; each state has its own time."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pytest_django.fixtures import Settings

from channels_app.feed import acking, broadcasting, marking, reading, retention, writing
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Kind
from channels_app.models import Broadcast, Device, InboxItem, InboxState
from tests.channels_app.feed.scene import DAY, HOUR, NOW, an_item, assert_right, feed, items, write

pytestmark = pytest.mark.django_db

SOURCE = uuid4()


@pytest.fixture(autouse=True)
def _times(settings: Settings) -> None:
    settings.BELFRY_FEED_READ_DAYS = 10
    settings.BELFRY_FEED_UNREAD_DAYS = 20
    settings.BELFRY_FEED_TOMBSTONE_DAYS = 5


def write_days_ago(days: int, title: str = "") -> InboxItem:
    # Ids grow with time, and old ones are found by that: so they are written at their time.
    (change,) = writing.publish([an_item(title=title)], now=NOW)
    item = InboxItem.objects.get(pk=change.item["id"])
    at = NOW - days * DAY
    old_id = retention._id_at(at).int | (item.pk.int & ((1 << 80) - 1))
    InboxItem.objects.filter(pk=item.pk).update(id=UUID(int=old_id), created_at=at)
    return InboxItem.objects.get(created_at=at, title=title)


def kept() -> list[str]:
    return sorted(item.title for item in items() if item.deleted_at is None)


def test_what_was_read_goes_earlier_than_what_was_not() -> None:
    """S2-BG-05, S3-GP-04"""
    for days in (9, 11, 19, 21):
        write_days_ago(days, f"{days} unread")
        write_days_ago(days, f"{days} read")
    ids = InboxItem.objects.filter(title__endswith=" read").values_list("pk", flat=True)
    marking.read("ann", ids=list(ids), now=NOW)
    retention.prune(NOW)
    assert kept() == ["11 unread", "19 unread", "9 read", "9 unread"]
    assert_right()


def test_what_goes_is_told_as_a_deletion_and_forgotten_when_all_could_know() -> None:
    write_days_ago(21, "old")
    cursor = reading.page("ann", now=NOW).cursor
    retention.prune(NOW)
    (change,) = reading.changes("ann", cursor, now=NOW).items
    assert (change.kind, change.unread) == (Kind.DELETED, 0)
    assert len(items()) == 1
    retention.prune(NOW + 4 * DAY)
    assert len(items()) == 1
    retention.prune(NOW + 6 * DAY)
    assert items() == []


def test_who_was_away_for_longer_than_traces_are_kept_begins_anew() -> None:
    (gone, stays) = write("ann", "ann")
    marking.delete("ann", [gone], now=NOW)
    retention.prune(NOW + 6 * DAY)
    assert InboxState.objects.get(pk="ann").floor_seq == 3
    assert reading.changes("ann", Cursor(1, 2), now=NOW).reset == "retention"
    assert reading.changes("ann", Cursor(1, 3), now=NOW).reset == ""
    assert [item.pk for item in items()] == [stays]


def test_it_goes_on_batch_by_batch() -> None:
    for number in range(7):
        write_days_ago(30 + number)
    assert retention.prune(NOW, limit=2) == 7
    assert kept() == []


def test_nothing_to_do_is_nothing() -> None:
    write("ann")
    before = feed().version
    assert retention.prune(NOW) == 0
    assert feed().version == before


def test_devices_and_broadcasts_that_are_old_go_too(settings: Settings) -> None:
    settings.BELFRY_BROADCAST_ROWS = 0
    write("ann")
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
    writing.publish_to_everyone(an_item("*"), now=NOW)
    retention.prune(NOW + 19 * DAY)
    assert (Device.objects.count(), Broadcast.objects.count()) == (1, 1)
    retention.prune(NOW + 21 * DAY)
    assert (Device.objects.count(), Broadcast.objects.count()) == (0, 0)
    assert broadcasting.merge(["ann"], now=NOW) == []


def test_what_expires_is_deleted_at_its_time_everywhere() -> None:
    """S2-AR-04, S2-BG-04"""
    ends = NOW + HOUR
    write("ann", "ben", expires_at=ends)
    write("ann")
    assert retention.expire(ends - timedelta(seconds=1)) == []
    changes = retention.expire(ends)
    assert [(change.recipient, change.kind, change.unread) for change in changes] == [
        ("ann", Kind.DELETED, 1),
        ("ben", Kind.DELETED, 0),
    ]
    assert retention.expire(ends) == []
    assert_right("ann")


def test_an_expiry_that_was_put_off_meanwhile_is_put_off() -> None:
    """S2-AP-03: and whoever has it hears of it"""
    ends = NOW + HOUR
    writing.publish([an_item(expires_at=ends, source=SOURCE)], now=NOW)
    (heard,) = writing.edit(SOURCE, expires_at=ends + HOUR, now=NOW)
    assert heard.item["expires"] == "2026-03-01T14:00:00Z"
    assert retention.expire(ends) == []
    assert len(retention.expire(ends + HOUR)) == 1


def test_no_more_than_so_many_at_once() -> None:
    write("ann", "ann", "ann", expires_at=NOW)
    assert [len(retention.expire(NOW, limit=2)) for _ in range(3)] == [2, 1, 0]
