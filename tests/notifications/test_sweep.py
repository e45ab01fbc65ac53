"""Every second: what should have moved and did not is found. And when nothing has, next to nothing is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels_app.feed import reading
from channels_app.models import Channel, InboxState
from channels_app.registry import AnyTransport
from notifications import clock, lanes
from notifications import sweep as sweep_module
from notifications.models import DeadLetter, Delivery, Notification, Policy, statement, transitions
from notifications.states import State
from notifications.sweep import LOOK_AHEAD, MOST_LOST_LEASES
from tests.notifications.brokers import frozen_broker, no_broker
from tests.notifications.crier import AtMostOnce
from tests.notifications.scene import (
    HOUR,
    SECOND,
    a_delivery,
    a_notification,
    accept,
    at_once,
    channel_at,
    configured,
    eventually,
    idempotency_ids,
    outcomes,
    route,
    row_of,
    states,
    sweep,
    the_delivery,
)

MOMENT = timedelta(milliseconds=400)


@pytest.fixture
def channel() -> Channel:
    return channel_at("https://example.org/hook")


@pytest.mark.django_db
class TestWhatIsWoken:
    def test_an_idle_sweep_wakes_nobody_and_asks_little(self, channel: Channel) -> None:
        for state in State:
            if state is not State.DEAD:
                a_delivery(channel, state, due_at=clock.now() + HOUR)
        with CaptureQueriesContext(connection) as asked:
            found = sweep()
        assert (found.taken_back, found.ended, found.promoted, found.woken) == (0, 0, 0, [])
        assert len(asked) <= 12

    @pytest.mark.parametrize("lane", lanes.LANES)
    @pytest.mark.parametrize("state", [State.PENDING, State.RETRYING])
    def test_a_lane_whose_wake_up_was_lost_is_woken(self, channel: Channel, lane: str, state: State) -> None:
        a_delivery(channel, state, lane=lane)
        assert sweep().woken == [lane]

    def test_what_comes_due_before_the_next_sweep_is_woken_already(self, channel: Channel) -> None:
        a_delivery(channel, State.RETRYING, due_at=clock.now() + MOMENT)
        a_delivery(channel, State.RETRYING, due_at=clock.now() + 3 * LOOK_AHEAD, lane="http-low")
        assert sweep().woken == ["http-normal"]

    def test_unrouted_notifications_wake_routing(self) -> None:
        accept()
        assert sweep().woken == ["route"]

    @pytest.mark.parametrize("trouble", [no_broker, frozen_broker])
    def test_a_sweep_needs_no_broker(self, channel: Channel, trouble: type) -> None:
        a_delivery(channel, State.SCHEDULED)
        with trouble():
            assert sweep().promoted == 1


@pytest.mark.django_db
class TestDeadWorkers:
    def test_what_a_dead_worker_held_is_taken_back_and_woken(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING, lease_until=clock.now() - MOMENT)
        found = sweep()
        assert (found.taken_back, found.woken) == (1, ["http-normal"])
        assert the_delivery(channel).state == "pending"
        assert the_delivery(channel).token == delivery.token

    def test_what_a_living_worker_holds_stays(self, channel: Channel) -> None:
        before = row_of(a_delivery(channel, State.SENDING, lease_until=clock.now() + MOMENT))
        assert sweep().taken_back == 0
        assert row_of(the_delivery(channel)) == before

    def test_a_delivery_that_kills_its_workers_is_buried(self, channel: Channel) -> None:
        a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND, lost_leases=MOST_LOST_LEASES - 1)
        assert sweep().taken_back == 1
        assert states() == {"dead": 1}
        assert DeadLetter.objects.waiting().count() == 1

    def test_where_nothing_is_sent_twice_it_is_buried_at_once(
        self, channel: Channel, install: Callable[[AnyTransport], None]
    ) -> None:
        """Another worker would send again what the dead one may have sent."""
        install(AtMostOnce())
        once = configured("crier", {"place": "market"})
        lost = {"lease_until": clock.now() - SECOND}
        delivery, usual = a_delivery(once, State.SENDING, **lost), a_delivery(channel, State.SENDING, **lost)
        kept = a_delivery(once, State.SENDING)
        assert sweep().taken_back == 2
        assert (row_of(usual)["state"], row_of(kept)["state"]) == ("pending", "sending")
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code, delivery.settled_at is not None) == ("dead", "unknown", True)
        assert "it is not sent twice" in delivery.reason
        assert outcomes(delivery) == [("unknown", 0)]
        letter = DeadLetter.objects.waiting().get()
        assert (letter.delivery, letter.outcome) == (delivery, "unknown")

    def test_what_was_withdrawn_or_expired_meanwhile_is_not_sent_again(self, channel: Channel) -> None:
        lost = {"lease_until": clock.now() - SECOND}
        withdrawn = a_notification(withdrawn_at=clock.now())
        a_delivery(channel, State.SENDING, cancel_requested=True, notification=withdrawn, **lost)
        a_delivery(channel, State.SENDING, expires_at=clock.now() - SECOND, **lost)
        sweep()
        assert sorted(Delivery.objects.values_list("state", "reason_code")) == [
            ("cancelled", "expired"),
            ("cancelled", "withdrawn"),
        ]


@pytest.mark.django_db
class TestTimesThatCome:
    def test_a_wait_ends_a_moment_early_and_its_time_is_kept(self, channel: Channel) -> None:
        due_at = clock.now() + MOMENT
        a_delivery(channel, State.SCHEDULED, due_at=due_at, reason_code="rate_limited")
        assert sweep().promoted == 1
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.due_at) == ("pending", due_at)
        assert transitions.claim_one(delivery.pk, now=due_at - MOMENT / 2, lease_s=20) is None
        assert transitions.claim_one(delivery.pk, now=due_at, lease_s=20) is not None

    def test_a_wait_of_more_than_a_moment_goes_on(self, channel: Channel) -> None:
        a_delivery(channel, State.SCHEDULED, due_at=clock.now() + 3 * LOOK_AHEAD)
        assert sweep().promoted == 0

    @pytest.mark.parametrize("state", [State.SCHEDULED, State.PENDING, State.RETRYING])
    def test_what_expires_unsent_is_cancelled(self, channel: Channel, state: State) -> None:
        a_delivery(channel, state, expires_at=clock.now() - MOMENT, due_at=clock.now() + HOUR)
        assert sweep().ended == 1
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.reason_code) == ("cancelled", "expired")

    def test_what_expires_in_a_moment_is_left_to_be_told(self, channel: Channel) -> None:
        a_delivery(channel, State.SCHEDULED, expires_at=clock.now() + MOMENT)
        found = sweep()
        assert (found.ended, found.promoted) == (0, 1)


@pytest.mark.django_db
class TestThePolicyIsAskedAgain:
    def deferred(self, channel: Channel, **fields: object) -> Delivery:
        """A delivery that waits for its `scheduled_at`, which has come."""
        at = clock.now() - MOMENT
        notification = a_notification(scheduled_at=at, priority=5, **fields)
        return a_delivery(
            channel,
            State.SCHEDULED,
            due_at=at,
            reason_code="scheduled_at",
            notification=notification,
            expires_at=notification.expires_at,
        )

    def test_it_goes_on_its_way_when_nothing_changed(self, channel: Channel) -> None:
        self.deferred(channel)
        assert sweep().promoted == 1
        assert states() == {"pending": 1}

    def test_it_ends_as_superseded_when_the_policy_no_longer_wants_it(self, channel: Channel) -> None:
        self.deferred(channel)
        Policy.objects.create(scope="global", min_priority=8)
        sweep()
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.reason_code) == ("cancelled", "superseded")
        assert "below 8" in delivery.reason

    def test_it_ends_when_the_channel_was_switched_off(self, channel: Channel) -> None:
        self.deferred(channel)
        Channel.objects.update(enabled=False)
        sweep()
        assert the_delivery(channel).reason_code == "channel_disabled"

    def test_it_waits_on_when_it_was_only_asked_too_early(self, channel: Channel) -> None:
        later = clock.now() + HOUR
        delivery = self.deferred(channel)
        delivery.notification.scheduled_at = later
        delivery.notification.save()
        sweep()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.due_at, delivery.reason_code) == ("scheduled", later, "scheduled_at")

    def test_one_that_is_valid_for_half_a_second_only_is_still_told(self, channel: Channel) -> None:
        """Its time lies ahead of the sweep, its expiry behind that time, and both before the next sweep."""
        at = clock.now() + MOMENT
        expires_at = at + MOMENT
        notification = a_notification(scheduled_at=at, expires_at=expires_at)
        fields = {"notification": notification, "due_at": at, "expires_at": expires_at, "reason_code": "scheduled_at"}
        a_delivery(channel, State.SCHEDULED, **fields)
        assert sweep().promoted == 1
        assert states() == {"pending": 1}

    def test_many_at_once_end_by_a_statement_for_each_reason(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = channel_at("https://example.org/gone", enabled=False)
        for place in (channel, gone):
            for _ in range(20):
                self.deferred(place)
        later = clock.now() + HOUR
        for _ in range(20):
            waits_on = self.deferred(channel).notification_id
            Notification.objects.filter(pk=waits_on).update(scheduled_at=later, priority=9)
        Policy.objects.create(scope="global", min_priority=8)
        asked: list[str] = []
        run = statement.run

        def counted(sql: str, parameters: Any, **kwargs: Any) -> list[Any]:
            asked.append(sql)
            return run(sql, parameters, **kwargs)

        monkeypatch.setattr(statement, "run", counted)
        sweep_module.promote_due(clock.now())
        assert len(asked) <= 6
        found = Delivery.objects.values_list("state", "reason_code")
        assert Counter(found) == {
            ("cancelled", "superseded"): 20,
            ("cancelled", "channel_disabled"): 20,
            ("scheduled", "scheduled_at"): 20,
        }

    def test_none_slips_by_unasked_however_many_there_are(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep_module, "LIMIT", 3)
        for _ in range(8):
            self.deferred(channel)
        Policy.objects.create(scope="global", min_priority=8)
        for _ in range(3):
            sweep()
        assert states() == {"cancelled": 8}

    def test_waits_that_no_policy_made_are_not_asked_about(self, channel: Channel) -> None:
        """A delivery held by a limit was wanted; switching policies does not take it back."""
        a_delivery(channel, State.SCHEDULED, reason_code="rate_limited")
        Policy.objects.create(scope="global", min_priority=8)
        assert sweep().promoted == 1


@pytest.mark.django_db(transaction=True)
class TestSeveralAtOnce:
    def test_two_sweeps_at_once_do_everything_once(self, channel: Channel) -> None:
        for _ in range(30):
            a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
            a_delivery(channel, State.SCHEDULED)
            a_delivery(channel, State.PENDING, expires_at=clock.now() - SECOND)
        found = at_once(*[sweep] * 4)
        totals = [sum(getattr(one, name) for one in found) for name in ("taken_back", "promoted", "ended")]
        assert totals == [30, 30, 30]
        assert states() == {"pending": 60, "cancelled": 30}
        assert set(Delivery.objects.filter(lost_leases__gt=0).values_list("lost_leases", flat=True)) == {1}

    def test_wake_ups_reach_the_broker_and_nothing_else_does(self, channel: Channel, broker: redis.Redis) -> None:
        a_delivery(channel)
        sweep()
        messages = eventually(lambda: broker.lrange("deliver.http-normal", 0, -1))
        assert isinstance(messages, list)
        assert len(messages) == 1
        assert b"msg_" not in messages[0]
        assert idempotency_ids([]) == {}


@pytest.mark.django_db
def test_sweeps_that_gathered_while_nobody_swept_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "_swept_at", float("-inf"))
    done = [sweep_module.sweep_once_of_many(clock.now) for _ in range(5)]
    assert [found is not None for found in done] == [True, False, False, False, False]
    monkeypatch.setattr(sweep_module, "ENOUGH_FOR_S", 0.0)
    assert sweep_module.sweep_once_of_many(clock.now) is not None


@pytest.mark.django_db(transaction=True)
class TestOnePartFails:
    def test_the_others_do_their_work_and_the_error_is_not_hidden(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> int:
            raise ValueError("a bug")

        expired = a_delivery(channel, expires_at=clock.now() - SECOND)
        monkeypatch.setattr("notifications.sweep.transitions.take_back", broken)
        with pytest.raises(ValueError, match="a bug"):
            sweep()
        expired.refresh_from_db()
        assert expired.state == "cancelled"


@pytest.mark.django_db
def test_feed_items_are_deleted_when_they_expire() -> None:
    """S2-AR-04, S2-BG-04: there is one moment for the list, the count and the acks"""
    ends = clock.now() + HOUR
    accept(recipients=["ann"], expires_at=ends)
    route()
    assert sweep().expired_items == 0
    assert sweep(ahead=HOUR).expired_items == 1
    assert reading.page("ann", now=clock.now()).items == []
    assert InboxState.objects.get(pk="ann").unread == 0
