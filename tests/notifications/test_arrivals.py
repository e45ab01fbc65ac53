"""The first device that has a notification."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction

from channels_app.feed import acking, reading
from channels_app.feed.acking import Ack
from channels_app.feed.cursor import Cursor
from notifications import clock
from notifications.models import Notification
from tests.notifications.scene import HOUR, accept, at_once, route

pytestmark = pytest.mark.django_db(transaction=True)


def first(pk: UUID) -> tuple[str, str]:
    found = Notification.objects.get(pk=pk)
    return found.first_ack_recipient, found.first_ack_device


def test_the_first_ack_by_any_device_of_anybody_is_remembered() -> None:
    """S2-BG-01: of each recipient the first ack delivers; of the notification, the very first is shown"""
    pk = accept(recipients=["ann", "ben"])
    route()
    now = clock.now()
    acking.ack("ben", "phone", upto=Cursor(1, 1), now=now)
    acking.ack("ann", "desk", upto=Cursor(1, 1), now=now + HOUR)
    acking.ack("ben", "tv", upto=Cursor(1, 1), now=now + HOUR)
    assert first(pk) == ("ben", "phone")
    assert Notification.objects.get(pk=pk).first_ack_at == now
    told = reading.told(pk)
    assert (told.feeds, told.delivered, told.seen, told.read, told.first_device) == (2, 2, 0, 0, "phone")


def test_what_is_rolled_back_was_never_heard() -> None:
    pk = accept(recipients=["ann"])
    route()
    with transaction.atomic():
        acking.ack("ann", "phone", upto=Cursor(1, 1), now=clock.now())
        transaction.set_rollback(True)
    assert first(pk) == ("", "")


def test_many_at_once_remember_one_each() -> None:
    ids = [accept(recipients=["ann", "ben"]) for _ in range(20)]
    route()
    now = clock.now()

    def tell(recipient: str) -> None:
        acking.ack_many([Ack(recipient, "phone", Cursor(1, 20))], now=now)

    at_once(lambda: tell("ann"), lambda: tell("ben"))
    assert {first(pk) for pk in ids} <= {("ann", "phone"), ("ben", "phone")}
