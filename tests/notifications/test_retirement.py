"""Deleting a channel: what waits for it ends, its past and other channels stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from channels_app.models import Channel
from notifications import clock, retirement
from notifications.models import Delivery, Notification, transitions
from notifications.states import OPEN, State
from project.outside import World
from tests.notifications.locks import lock, locked, wait_until_waiting
from tests.notifications.scene import (
    a_delivery,
    a_notification,
    accept,
    channel_at,
    drain,
    eventually,
    in_background,
    make_due,
    many_deliveries,
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


@pytest.mark.django_db(transaction=True)
class TestInBatches:
    @pytest.fixture
    def impatient(self) -> Iterator[None]:
        """Whoever waits for a lock gives up."""
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            yield
            cursor.execute("RESET lock_timeout")

    def test_all_of_them_end_in_as_many_as_it_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retirement, "BATCH", 3)
        channel = channel_at("https://example.org")
        many_deliveries([channel], 8)
        a_delivery(channel, State.SENDING)
        assert retired(channel) == 9
        assert states(channel) == {"cancelled": 8, "sending": 1}

    @pytest.mark.usefixtures("impatient")
    def test_a_pump_that_notes_something_of_a_channel_does_not_wait_for_it(self) -> None:
        """Neither of another channel nor of this one."""
        gone, stays = channel_at("https://example.org/1"), channel_at("https://example.org/2")
        with locked(a_delivery(gone)):
            retiring = in_background(lambda: retired(gone))
            wait_until_waiting()
            for channel in (stays, gone):
                Channel.objects.note_failing(channel.pk, clock.now())
        retiring.join()
        assert states(gone) == {"cancelled": 1}
        assert Channel.objects.filter(failing_since_at__isnull=False).count() == 2

    def test_it_is_killed_on_its_way_and_still_nothing_is_sent(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = channel_at(world.sink_url("half-retired"))
        rows = [a_delivery(channel, state) for state in (State.PENDING, State.RETRYING, State.SCHEDULED)]

        def die(*_: Any, **__: Any) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(transitions, "cancel_of_channel", die)
            with pytest.raises(SystemExit):
                retired(channel)
        for _ in range(3):
            sweep()
            drain()
        make_due(*rows)
        sweep()
        assert states(channel) == {"cancelled": 3}
        assert set(Delivery.objects.values_list("reason_code", flat=True)) == {"channel_deleted"}
        assert world.seen("sink/half-retired") == []

    def test_it_is_tried_again_when_it_is_the_one_to_break_a_circle(self) -> None:
        """The other goes the other way round and has the longer patience."""
        channel = channel_at("https://example.org")
        first, second = a_delivery(channel), a_delivery(channel)
        with locked(second) as other:
            other.execute("SET deadlock_timeout = '20s'")
            retiring = in_background(lambda: retired(channel))
            wait_until_waiting()
            lock(other, first)
        retiring.join()
        assert states(channel) == {"cancelled": 2}
