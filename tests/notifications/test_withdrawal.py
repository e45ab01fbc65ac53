"""Taking back: what has not been sent will not be, whatever state it is in."""

from __future__ import annotations

import pytest

from channels_app.models import Channel
from notifications import clock
from notifications.models import Delivery, Notification
from notifications.routing import WITHDRAWN
from notifications.states import OPEN, State
from notifications.withdrawal import withdraw
from project.outside import World
from tests.notifications.scene import (
    HOUR,
    a_delivery,
    a_notification,
    accept,
    channel_at,
    drain,
    eventually,
    in_background,
    make_due,
    outcomes,
    route,
    row_of,
    states,
    sweep,
    the_delivery,
)


def taken_back(notification: Notification) -> int:
    return withdraw(notification, by="ada", now=clock.now())


@pytest.mark.django_db
class TestByState:
    @pytest.mark.parametrize("state", sorted(OPEN - {State.SENDING}))
    def test_what_is_open_ends(self, state: State) -> None:
        delivery = a_delivery(channel_at("https://example.org"), state)
        assert taken_back(delivery.notification) == 1
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code) == ("cancelled", "withdrawn")
        assert "ada" in delivery.reason

    @pytest.mark.parametrize("state", sorted(set(State) - OPEN))
    def test_what_has_ended_stays_as_it_is(self, state: State) -> None:
        delivery = a_delivery(channel_at("https://example.org"), state)
        before = row_of(delivery)
        assert taken_back(delivery.notification) == 0
        assert row_of(delivery) == before

    def test_only_its_own_deliveries_end(self) -> None:
        channel = channel_at("https://example.org")
        other = a_delivery(channel)
        taken_back(a_delivery(channel).notification)
        other.refresh_from_db()
        assert other.state == "pending"

    def test_twice_is_once_and_the_first_time_stands(self) -> None:
        delivery = a_delivery(channel_at("https://example.org"))
        taken_back(delivery.notification)
        before, first = row_of(delivery), delivery.notification.withdrawn_at
        assert withdraw(delivery.notification, by="bob", now=clock.now() + HOUR) == 0
        assert row_of(delivery) == before
        assert delivery.notification.withdrawn_at == first

    def test_before_routing_it_makes_no_delivery_and_says_why(self) -> None:
        channel_at("https://example.org")
        notification = Notification.objects.get(pk=accept())
        taken_back(notification)
        assert route() == 0
        notification.refresh_from_db()
        assert (notification.routing_note, notification.state) == (WITHDRAWN, "cancelled")
        assert notification.routed_at is not None

    def test_a_notification_without_deliveries_is_withdrawn_all_the_same(self) -> None:
        notification = a_notification()
        assert taken_back(notification) == 0
        assert notification.withdrawn_at is not None


@pytest.mark.django_db(transaction=True)
class TestWhileAWorkerHoldsIt:
    def held(self, world: World, behaviour: str, name: str) -> Channel:
        """A channel whose far end answers only after a while."""
        return channel_at(world.behaving_url(behaviour, name))

    def test_what_arrives_all_the_same_counts_as_delivered(self, world: World) -> None:
        channel = self.held(world, "delay_ms=300", "w-ok")
        delivery = a_delivery(channel)
        pump = in_background(drain)
        eventually(lambda: world.seen("do/delay_ms=300/w-ok"))
        assert taken_back(delivery.notification) == 1
        pump.join()
        assert states(channel) == {"delivered": 1}

    def test_what_fails_is_not_tried_again(self, world: World) -> None:
        channel = self.held(world, "status=503,delay_ms=300", "w-503")
        delivery = a_delivery(channel)
        pump = in_background(drain)
        eventually(lambda: world.seen("do/status=503,delay_ms=300/w-503"))
        taken_back(delivery.notification)
        pump.join()
        make_due(delivery)
        drain()
        sweep()
        found = the_delivery(channel)
        assert (found.state, found.reason_code) == ("cancelled", "withdrawn")
        assert outcomes(found) == [("transient", 503)]
        assert len(world.seen("do/status=503,delay_ms=300/w-503")) == 1

    def test_what_was_told_to_wait_does_not_come_back(self, world: World) -> None:
        channel = self.held(world, "status=429,retry_after_s=1,delay_ms=300", "w-429")
        delivery = a_delivery(channel)
        pump = in_background(drain)
        eventually(lambda: world.seen("do"))
        taken_back(delivery.notification)
        pump.join()
        Delivery.objects.update(due_at=clock.now())
        sweep()
        assert the_delivery(channel).reason_code == "withdrawn"
