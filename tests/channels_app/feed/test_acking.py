"""Acks: what a device has. The first one of an item delivers it, and tells whoever listens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from channels_app.feed import acking, erase, marking, retention
from channels_app.feed.acking import Ack, feed_item_delivered
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Delivered
from channels_app.models import Device, InboxItem
from tests.channels_app.feed.scene import HOUR, NOW, feed, meanwhile, write

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard() -> Iterator[list[Delivered]]:
    """What is told of deliveries."""
    told: list[Delivered] = []

    def hear(delivered: list[Delivered], **_: Any) -> None:
        told.extend(delivered)

    feed_item_delivered.connect(hear)
    yield told
    feed_item_delivered.disconnect(hear)


def test_the_first_device_delivers_and_is_told_of_once(heard: list[Delivered]) -> None:
    """S2-WS-08, S2-AR-02"""
    (one,) = write("ann")
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
    acking.ack("ann", "desk", upto=Cursor(1, 1), now=NOW + HOUR)
    acking.ack("ann", "phone", ids=[one], now=NOW + HOUR)
    assert heard == [Delivered(one, None, "ann", "phone", NOW)]
    item = InboxItem.objects.get(pk=one)
    assert (item.delivered_at, item.delivered_device, item.seen_at, item.read_at) == (NOW, "phone", None, None)


def test_each_device_has_its_own_place_which_never_goes_back() -> None:
    """S2-WS-15"""
    write("ann", "ann", "ann")
    for upto in (2, 1):
        acking.ack("ann", "phone", upto=Cursor(1, upto), now=NOW)
    acking.ack("ann", "desk", upto=Cursor(1, 3), now=NOW)
    assert dict(Device.objects.values_list("key", "acked_seq")) == {"phone": 2, "desk": 3}


def test_one_that_comes_alone_leaves_those_before_it_open() -> None:
    first, second = write("ann", "ann")
    acking.ack("ann", "phone", ids=[second], now=NOW)
    assert InboxItem.objects.get(pk=first).delivered_at is None
    assert [one.item_id for one in acking.ack("ann", "phone", upto=Cursor(1, 2), now=NOW)] == [first]


def test_each_recipient_of_the_same_has_a_first_ack_of_their_own(heard: list[Delivered]) -> None:
    """S2-BG-01"""
    write("ann", "ben")
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
    acking.ack("ben", "phone", upto=Cursor(1, 1), now=NOW)
    assert [one.recipient for one in heard] == ["ann", "ben"]


def test_what_expired_or_was_deleted_before_its_ack_came_was_delivered_all_the_same() -> None:
    """S2-BG-03: by its id; whoever names it has it"""
    expired, deleted = [*write("ann", expires_at=NOW), *write("ann")]
    retention.expire(NOW)
    marking.delete("ann", [deleted], now=NOW)
    assert len(acking.ack("ann", "phone", ids=[expired, deleted], now=NOW)) == 2


@pytest.mark.parametrize("upto", [Cursor(2, 1), Cursor(0, 1)])
def test_a_cursor_of_another_epoch_says_nothing(upto: Cursor) -> None:
    write("ann")
    assert acking.ack("ann", "phone", upto=upto, now=NOW) == []


def test_an_ack_on_its_way_while_a_feed_is_erased_writes_no_device_down_again() -> None:
    (one,) = write("ann")
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
    acking.ack("ann", "desk", ids=[one], now=NOW)
    assert Device.objects.count() == 2
    erase.erase("ann")
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
    acking.ack("ann", "desk", ids=[one], now=NOW)
    assert not Device.objects.exists()


def test_nobody_acknowledges_what_is_not_theirs_or_not_there() -> None:
    (bens,) = write("ben")
    assert acking.ack("ann", "phone", ids=[bens], upto=Cursor(1, 1), now=NOW) == []
    write("ann")
    assert acking.ack("ann", "phone", ids=[bens], now=NOW) == []
    assert InboxItem.objects.get(pk=bens).delivered_at is None


def test_an_ack_changes_nothing_that_a_reader_sees() -> None:
    write("ann")
    before = feed().version
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
    assert feed().version == before


def test_what_is_rolled_back_is_told_to_nobody(heard: list[Delivered]) -> None:
    write("ann")
    with transaction.atomic():
        acking.ack("ann", "phone", upto=Cursor(1, 1), now=NOW)
        transaction.set_rollback(True)
    assert heard == []


def test_many_at_once_in_any_order_deliver_each_item_once(heard: list[Delivered]) -> None:
    people = [f"p{number}" for number in range(20)]
    write(*people)
    acks = [Ack(who, "phone", Cursor(1, 1)) for who in people]
    with meanwhile(lambda: acking.ack_many(acks[::-1], now=NOW)):
        acking.ack_many(acks, now=NOW)
    assert sorted(one.recipient for one in heard) == sorted(people)
