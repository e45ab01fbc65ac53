"""The task `deliver`: Celery's own retry, with the schedule in the row and never in a message."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from celery.exceptions import Retry
from celery.result import EagerResult

from channels_app.models import Channel
from channels_app.ratelimit import default_limits
from notifications import clock, delivering
from notifications.models import DeadLetter, Delivery, transitions
from notifications.states import State
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.crier import Crier
from tests.notifications.scene import (
    HOUR,
    SECOND,
    a_delivery,
    at_once,
    channel_at,
    configured,
    eventually,
    idempotency_ids,
    make_due,
    outcomes,
    row_of,
    states,
    sweep,
    the_delivery,
)

pytestmark = pytest.mark.django_db(transaction=True)


def delivered(delivery: Delivery) -> EagerResult[Any]:
    """Run the task here and now."""
    result: EagerResult[Any] = deliver.apply(args=(delivery.pk,))
    delivery.refresh_from_db()
    return result


def wait_s(delivery: Delivery) -> float:
    return (delivery.due_at - clock.now()).total_seconds()


def due_again(delivery: Delivery, **fields: Any) -> None:
    """What it waits for has come."""
    Delivery.objects.filter(pk=delivery.pk).update(state="pending", due_at=clock.now(), **fields)


class TestItsEnds:
    def test_accepted_is_delivered(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.sink_url("task-ok")))
        assert delivered(delivery).state == "SUCCESS"
        assert (delivery.state, delivery.attempts) == ("delivered", 1)
        assert outcomes(delivery) == [("ok", 204)]
        [seen] = world.seen("sink/task-ok")
        assert seen.idempotency_id == delivery.idempotency_id

    def test_twice_is_sent_once(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.sink_url("task-twice")))
        delivered(delivery)
        before = row_of(delivery)
        assert delivered(delivery).state == "SUCCESS"
        assert row_of(delivery) == before
        assert len(world.seen("sink/task-twice")) == 1

    def test_eight_at_once_send_it_once(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.behaving_url("delay_ms=50", "task-crowd")))
        at_once(*[lambda: deliver.apply(args=(delivery.pk,))] * 8)
        assert len(world.seen("do/delay_ms=50/task-crowd")) == 1
        assert outcomes(delivery) == [("ok", 204)]

    def test_one_that_does_not_exist_is_nothing(self) -> None:
        assert deliver.apply(args=(10**15,)).state == "SUCCESS"

    @pytest.mark.parametrize("state", [state for state in State if state not in (State.PENDING, State.RETRYING)])
    def test_what_may_not_be_claimed_is_left_alone(self, world: World, state: State) -> None:
        delivery = a_delivery(channel_at(world.sink_url("task-closed")), state)
        before = row_of(delivery)
        delivered(delivery)
        assert row_of(delivery) == before
        assert not world.seen("sink/task-closed")

    def test_permanent_goes_straight_to_the_dead_letters(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.behaving_url("missing", "task")))
        assert delivered(delivery).state == "FAILURE"
        assert (delivery.state, delivery.attempts, delivery.reason_code) == ("dead", 1, "permanent")
        letter = DeadLetter.objects.get()
        assert (letter.outcome, letter.code, letter.attempts) == ("permanent", 404, 1)
        assert "404" in letter.detail

    def test_what_blocks_is_delivered_too(self, crier: type[Crier]) -> None:
        delivery = a_delivery(configured("crier", {"place": "market"}), lane="blocking-normal")
        delivered(delivery)
        assert crier.cried == [("market", delivery.idempotency_id)]
        assert delivery.state == "delivered"


class TestItsRetries:
    def test_a_failure_is_written_into_the_row_and_raised_as_celerys_own(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.behaving_url("status=503", "task")))
        result = delivered(delivery)
        assert result.state == "RETRY"
        assert isinstance(result.result, Retry)
        assert (delivery.state, delivery.attempts, delivery.reason_code) == ("retrying", 1, "transient")
        assert outcomes(delivery) == [("transient", 503)]
        assert not DeadLetter.objects.exists()

    @pytest.mark.parametrize("attempts", range(9))
    def test_the_declared_backoff_sets_the_time(self, world: World, attempts: int) -> None:
        """Full jitter: anywhere between nothing and the step, which doubles from 10 s to 6 h."""
        delivery = a_delivery(channel_at(world.behaving_url("never", "task")), attempts=attempts)
        delivered(delivery)
        assert delivery.state == "retrying"
        assert -1 < wait_s(delivery) <= min(10 * 2**attempts, 6 * 3600)

    def test_no_message_waits_anywhere(self, world: World, broker: redis.Redis) -> None:
        """An ETA message would hold up a worker and vanish with a full broker: there is none."""
        delivered(a_delivery(channel_at(world.behaving_url("never", "task"))))
        queued = [json.loads(one) for key in broker.keys("*") for one in _list(broker, key)]
        assert all(message["headers"]["eta"] is None for message in queued)
        assert not any(message["headers"]["task"] == deliver.name for message in queued)
        assert not broker.exists("unacked", "unacked_index")

    def test_the_last_attempt_ends_in_the_dead_letters(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.behaving_url("never", "task")), attempts=9)
        assert delivered(delivery).state == "FAILURE"
        assert (delivery.state, delivery.attempts, delivery.reason_code) == ("dead", 10, "exhausted")
        assert DeadLetter.objects.get().attempts == 10

    def test_what_comes_back_is_delivered_in_the_end(self, world: World) -> None:
        place = "do/status=503,for_requests=2/task"
        delivery = a_delivery(channel_at(world.behaving_url("status=503,for_requests=2", "task")))
        for _ in range(3):
            delivered(delivery)
            make_due(delivery)
        delivery.refresh_from_db()
        assert delivery.state == "delivered"
        assert outcomes(delivery) == [("transient", 503)] * 2 + [("ok", 204)]
        assert idempotency_ids(world.seen(place)) == {delivery.idempotency_id: 3}

    def test_before_its_time_it_is_not_tried(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.sink_url("task-early")), State.RETRYING, due_at=clock.now() + HOUR)
        delivered(delivery)
        assert delivery.state == "retrying"
        assert not world.seen("sink/task-early")

    def test_an_unknown_end_is_tried_again(self, crier: type[Crier]) -> None:
        delivery = a_delivery(configured("crier", {"place": "x", "manner": "raise"}), lane="blocking-normal")
        assert delivered(delivery).state == "RETRY"
        assert outcomes(delivery) == [("unknown", 0)]


class TestWhatGoesBeforeTheDeclaration:
    def channel(self, world: World, behaviour: str = "never", **fields: Any) -> Channel:
        return channel_at(world.behaving_url(behaviour, "override"), **fields)

    def test_the_channels_own_schedule(self, world: World) -> None:
        channel = self.channel(world, retry_base_s=100.0, retry_cap_s=400.0, retry_jitter=False)
        delivery = a_delivery(channel, attempts=1)
        delivered(delivery)
        assert 195 < wait_s(delivery) <= 200

    def test_the_channels_own_number_of_attempts(self, world: World) -> None:
        delivery = a_delivery(self.channel(world, max_attempts=1))
        assert delivered(delivery).state == "FAILURE"
        assert delivery.state == "dead"

    def test_more_attempts_than_declared(self, world: World) -> None:
        delivery = a_delivery(self.channel(world, max_attempts=20), attempts=15)
        assert delivered(delivery).state == "RETRY"

    def test_the_channels_window(self, world: World) -> None:
        channel = self.channel(world, retry_window_s=60.0)
        delivery = a_delivery(channel, State.RETRYING, first_attempt_at=clock.now() - timedelta(seconds=61))
        assert delivered(delivery).state == "FAILURE"
        assert delivery.reason_code == "exhausted"

    def test_what_the_far_end_asks_for(self, world: World) -> None:
        delivery = a_delivery(self.channel(world, "status=503,retry_after_s=7200"))
        delivered(delivery)
        assert delivery.state == "retrying"
        assert 7190 < wait_s(delivery) <= 7201

    def test_slow_down_is_a_wait_and_no_attempt(self, world: World) -> None:
        delivery = a_delivery(self.channel(world, "status=429,retry_after_s=60"), attempts=9)
        assert delivered(delivery).state == "SUCCESS"
        assert (delivery.state, delivery.attempts) == ("scheduled", 9)
        assert delivery.reason
        assert 50 < wait_s(delivery) < 80
        assert outcomes(delivery) == [("rate_limited", 429)]
        assert not DeadLetter.objects.exists()

    def test_time_spent_at_a_gate_is_not_held_against_the_window(self, world: World) -> None:
        """The window runs from the first try, and not from the first time a worker looked."""
        channel = self.channel(world)
        default_limits().hold(channel.pk, 60.0)
        delivery = a_delivery(channel)
        delivered(delivery)
        assert (delivery.state, delivery.reason_code, delivery.first_attempt_at) == ("scheduled", "paused", None)

    def test_what_is_only_ever_put_off_ends_with_its_window(self, world: World) -> None:
        """In between it waits at a gate: that is no try, and no forgetting either."""
        channel = self.channel(world, "status=429,retry_after_s=1", retry_window_s=3600.0)
        delivery = a_delivery(channel)
        delivered(delivery)
        first = delivery.first_attempt_at
        assert (delivery.state, delivery.attempts, first is not None) == ("scheduled", 0, True)
        due_again(delivery)
        delivered(delivery)
        assert (delivery.state, delivery.reason_code, delivery.first_attempt_at) == ("scheduled", "paused", first)
        default_limits().resume(channel.pk)
        due_again(delivery, first_attempt_at=clock.now() - timedelta(seconds=3600))
        delivered(delivery)
        assert (delivery.state, delivery.attempts, delivery.reason_code) == ("dead", 0, "exhausted")
        assert "still asked us to slow down" in delivery.reason
        assert outcomes(delivery) == [("rate_limited", 429)] * 2
        letter = DeadLetter.objects.waiting().get()
        assert (letter.outcome, letter.code, letter.attempts) == ("rate_limited", 429, 0)

    def test_replayed_it_has_a_whole_window_again(self, world: World) -> None:
        channel = self.channel(world, "status=429,retry_after_s=1", retry_window_s=3600.0)
        delivery = a_delivery(channel, first_attempt_at=clock.now() - 2 * HOUR)
        assert delivered(delivery).state == "FAILURE"
        default_limits().resume(channel.pk)
        transitions.replay([delivery.pk], by="ada", now=clock.now())
        delivered(delivery)
        assert (delivery.state, delivery.reason_code) == ("scheduled", "paused")
        assert not DeadLetter.objects.waiting().exists()


class TestExpiry:
    def test_what_has_expired_is_not_sent(self, world: World) -> None:
        channel = channel_at(world.sink_url("task-expired"))
        delivery = a_delivery(channel, expires_at=clock.now() - SECOND)
        delivered(delivery)
        sweep()
        assert the_delivery(channel).reason_code == "expired"
        assert not world.seen("sink/task-expired")

    def test_what_expires_while_it_waits_for_another_try_ends(self, world: World) -> None:
        channel = channel_at(world.behaving_url("never", "task-expiring"))
        delivery = a_delivery(channel, expires_at=clock.now() + timedelta(milliseconds=300))
        delivered(delivery)
        eventually(lambda: sweep().ended)
        assert states() == {"cancelled": 1}


def _list(broker: redis.Redis, key: Any) -> list[Any]:
    return list(broker.lrange(key, 0, -1)) if broker.type(key) == b"list" else []


def test_the_lease_lasts_as_long_as_the_one_try_may_take(world: World) -> None:
    delivery = a_delivery(channel_at(world.sink_url("patient"), timeout_s=60.0))
    assert delivering.take(delivery.pk, clock.now()) is not None
    delivery.refresh_from_db()
    assert delivery.lease_until is not None
    assert delivery.lease_until > clock.now() + timedelta(seconds=60)
