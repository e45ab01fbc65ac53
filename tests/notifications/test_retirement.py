"""Deleting a channel: what waits for it ends, its past and other channels stay."""

from __future__ import annotations

import pytest

from channels_app.models import Channel
from notifications import clock, retirement
from notifications.models import Delivery, Notification
from notifications.states import OPEN, State
from project.outside import World
from tests.notifications.scene import (
    a_delivery,
    a_notification,
    accept,
    channel_at,
    drain,
    eventually,
    in_background,
    make_due,
    route,
    row_of,
    states,
    sweep,
    the_delivery,
)


def retired(channel: Channel) -> int:
    return retirement.retire(channel, by="ada", now=clock.now())


@pytest.mark.django_db
class TestByState:
    def test_what_is_open_ends_what_has_ended_stays(self) -> None:
        channel = channel_at("https://example.org")
        rows = {state: a_delivery(channel, state) for state in State}
        before = {state: row_of(rows[state]) for state in State}
        assert retired(channel) == len(OPEN)
        for state in OPEN - {State.SENDING}:
            after = row_of(rows[state])
            assert (after["state"], after["reason_code"]) == ("cancelled", "channel_deleted")
            assert "ada" in after["reason"]
        assert all(row_of(rows[state]) == before[state] for state in set(State) - OPEN)

    def test_other_channels_deliveries_go_on(self) -> None:
        notification = a_notification()
        gone, stays = channel_at("https://example.org/1"), channel_at("https://example.org/2")
        for channel in (gone, stays):
            a_delivery(channel, notification=notification)
        retired(gone)
        assert (states(gone), states(stays)) == ({"cancelled": 1}, {"pending": 1})

    def test_its_secrets_are_forgotten_and_its_key_is_free(self) -> None:
        channel = channel_at("https://example.org/secret", "alerts")
        retired(channel)
        channel.refresh_from_db()
        assert (channel.secrets, channel.secret_names, channel.enabled) == ("", [], False)
        channel_at("https://example.org", "alerts")

    def test_routing_passes_it_by(self) -> None:
        retired(channel_at("https://example.org"))
        accept()
        assert route() == 0
        assert "No channel" in Notification.objects.get().routing_note

    def test_twice_is_once(self) -> None:
        channel = channel_at("https://example.org")
        a_delivery(channel)
        assert (retired(channel), retired(channel)) == (1, 0)

    def test_one_that_was_created_while_it_was_deleted_ends_too(self) -> None:
        """Routing had read the rules before; its rows appear after everything was cancelled."""
        channel = channel_at("https://example.org")
        retired(channel)
        at = clock.now()
        a_delivery(channel, State.SCHEDULED, due_at=at, reason_code="scheduled_at")
        sweep()
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.reason_code) == ("cancelled", "channel_deleted")


@pytest.mark.django_db(transaction=True)
def test_deleted_while_a_worker_holds_it_nothing_is_tried_again(world: World) -> None:
    channel = channel_at(world.behaving_url("status=503,delay_ms=300", "retired"))
    delivery = a_delivery(channel)
    pump = in_background(drain)
    eventually(lambda: world.seen("do/status=503,delay_ms=300/retired"))
    assert retired(channel) == 1
    pump.join()
    make_due(delivery)
    for _ in range(3):
        drain()
        sweep()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason_code) == ("cancelled", "channel_deleted")
    assert len(world.seen("do/status=503,delay_ms=300/retired")) == 1
    assert not Delivery.objects.filter(state__in=OPEN).exists()
