"""Draining a lane against far ends that work, hang, fail and lie: nothing is lost and nobody waits for the slowest."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import redis
from pytest_django.fixtures import Settings

from notifications import clock, draining
from notifications.durable_retry import declared_schedule
from notifications.models import Attempt, DeadLetter, Delivery
from notifications.pump import Pace, Pump
from notifications.states import State
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.scene import (
    HOUR,
    SECOND,
    a_delivery,
    channel_at,
    drain,
    eventually,
    idempotency_ids,
    in_background,
    many_deliveries,
    most_at_once,
    outcomes,
    states,
    sweep,
    the_delivery,
)

pytestmark = pytest.mark.django_db(transaction=True)


class TestTheUsualWay:
    def test_everything_due_is_sent_once_and_remembered(self, world: World) -> None:
        channels = [channel_at(world.sink_url(f"usual/{number}")) for number in range(5)]
        many_deliveries(channels, 60)
        drained = drain()
        assert states() == {"delivered": 300}
        assert (drained.settled, drained.more) == (300, False)
        assert set(idempotency_ids(world.seen("sink/usual")).values()) == {1}
        assert len(world.seen("sink/usual")) == 300
        assert set(Attempt.objects.values_list("outcome", "code")) == {("ok", 204)}
        assert Attempt.objects.count() == 300
        assert not Delivery.objects.exclude(attempts=1, lease_until=None).exists()

    def test_it_asks_the_database_in_bulk(self, world: World) -> None:
        many_deliveries([channel_at(world.sink_url("bulk"))], 1000)
        assert drain().statements < 1000 * 0.1

    def test_what_is_not_due_not_open_or_in_another_lane_is_left_alone(self, world: World) -> None:
        channel = channel_at(world.sink_url("left-alone"))
        for state in State:
            a_delivery(channel, state, due_at=clock.now() + HOUR)
        for state in (State.SCHEDULED, State.SENDING, State.DELIVERED, State.DEAD, State.CANCELLED, State.SUPPRESSED):
            a_delivery(channel, state)
        a_delivery(channel, lane="http-low")
        assert drain().settled == 0
        assert not world.seen("sink/left-alone")

    def test_a_thousand_channels_are_all_served(self, world: World) -> None:
        many_deliveries([channel_at(world.sink_url(f"crowd/{number}")) for number in range(1000)], 2)
        drain()
        assert states() == {"delivered": 2000}
        assert {len(world.seen(f"sink/crowd/{number}")) for number in (0, 1, 499, 998, 999)} == {2}

    def test_what_comes_due_while_it_lingers_is_sent_without_a_bell(self, world: World) -> None:
        at = clock.now() + timedelta(milliseconds=400)
        a_delivery(channel_at(world.sink_url("lingering")), due_at=at)
        drain(linger_s=1.0)
        [seen] = world.seen("sink/lingering")
        assert timedelta(0) <= seen.received_at - at < SECOND

    def test_a_lane_is_worked_by_one_pump_of_a_process(self, world: World) -> None:
        channel = channel_at(world.behaving_url("delay_ms=200", "alone"))
        a_delivery(channel)
        first = in_background(lambda: drain(linger_s=0.5))
        eventually(lambda: world.seen("do/delay_ms=200/alone"))
        assert draining._claiming["http-normal"].locked()
        first.join()
        assert not draining._claiming["http-normal"].locked()

    def test_a_pump_whose_time_is_up_rings_for_the_next(self, world: World, broker: redis.Redis) -> None:
        many_deliveries([channel_at(world.behaving_url("delay_ms=100", "long"), max_in_flight=1)], 20)
        assert drain(budget_s=0.3).more
        eventually(lambda: broker.llen("deliver.http-normal"))
        left = states()
        assert left["sending"] == 0
        assert left["pending"] > 0
        drain()
        assert states() == {"delivered": 20}


class TestOneBadChannelAmongMany:
    @pytest.mark.parametrize("behaviour", ["hang", "never", "late", "drip"])
    def test_it_holds_up_nobody(self, world: World, behaviour: str) -> None:
        """All the others are done before the first of its requests has ended."""
        bad = channel_at(world.behaving_url(behaviour, f"bad-{behaviour}"), timeout_s=2.0, max_attempts=1)
        many_deliveries([bad], 30)
        good = [channel_at(world.sink_url(f"beside-{behaviour}/{number}")) for number in range(20)]
        many_deliveries(good, 10)
        pump = in_background(lambda: drain(budget_s=1.5))
        eventually(lambda: len(world.seen(f"sink/beside-{behaviour}")) == 200)
        if behaviour != "never":
            assert not Attempt.objects.filter(delivery__channel=bad).exists()
        pump.join()
        assert Delivery.objects.filter(channel__in=good).exclude(state="delivered").count() == 0

    def test_a_hanging_channel_holds_no_more_than_its_slots(self, world: World) -> None:
        hanging = channel_at(world.behaving_url("hang", "slots"), timeout_s=1.0, max_in_flight=3, max_attempts=1)
        many_deliveries([hanging], 50)
        drain(budget_s=0.5)
        assert len(world.seen("do/hang/slots")) <= 6
        assert states()["sending"] == 0

    def test_no_more_requests_are_open_than_the_channel_allows(self, world: World) -> None:
        channel = channel_at(world.behaving_url("delay_ms=60", "narrow"), max_in_flight=3)
        many_deliveries([channel], 30)
        for _ in range(10):
            a_delivery(channel, State.RETRYING)
        drain()
        assert states() == {"delivered": 40}
        assert most_at_once(world.seen("do/delay_ms=60/narrow"), timedelta(milliseconds=55)) <= 3

    def test_more_channels_than_the_carrier_has_slots_lose_nothing(self, world: World, settings: Settings) -> None:
        """Windows grow with success, beyond what the carrier can have under way: what has no slot waits."""
        settings.BELFRY_REQUESTS_IN_FLIGHT = 20
        channels = [channel_at(world.behaving_url("delay_ms=2", f"wide-{number}")) for number in range(4)]
        many_deliveries(channels, 100)
        drain()
        assert states() == {"delivered": 400}
        assert set(idempotency_ids(world.seen("do/delay_ms=2")).values()) == {1}

    def test_one_at_a_time_is_one_at_a_time(self, world: World) -> None:
        channel = channel_at(world.behaving_url("delay_ms=30", "single"), max_in_flight=1)
        for state in [State.PENDING, State.RETRYING] * 6:
            a_delivery(channel, state)
        drain()
        assert states() == {"delivered": 12}
        assert most_at_once(world.seen("do/delay_ms=30/single"), timedelta(milliseconds=27)) == 1

    def test_first_tries_do_not_wait_behind_a_backlog_of_later_ones(self, world: World) -> None:
        channel = channel_at(world.behaving_url("delay_ms=5", "fresh"), max_in_flight=2)
        many_deliveries([channel], 100, state="retrying", first_attempt_at=clock.now(), attempts=1)
        fresh = {a_delivery(channel).idempotency_id for _ in range(10)}
        drain()
        order = [one.idempotency_id for one in world.seen("do/delay_ms=5/fresh")]
        assert len(order) == 110
        assert max(order.index(one) for one in fresh) < 40

    def test_later_tries_are_not_starved_by_first_ones(self, world: World) -> None:
        channel = channel_at(world.sink_url("patient"))
        many_deliveries([channel], 500)
        late = a_delivery(channel, State.RETRYING, attempts=1)
        drain()
        assert outcomes(late) == [("ok", 204)]


class TestFarEndsOfEveryKind:
    @pytest.mark.parametrize(
        ("behaviour", "state", "found"),
        [
            ("sink", "delivered", ("ok", 204)),
            ("status=200", "delivered", ("ok", 200)),
            ("never", "retrying", ("transient", 500)),
            ("status=503,retry_after_s=7", "retrying", ("transient", 503)),
            ("missing", "dead", ("permanent", 404)),
            ("redirect", "dead", ("permanent", 302)),
            ("status=429,retry_after_s=30", "scheduled", ("rate_limited", 429)),
            ("reset", "retrying", ("transient", 0)),
            ("hang", "retrying", ("transient", 0)),
            ("huge", "delivered", ("ok", 200)),
        ],
    )
    def test_each_answer_has_its_end(self, world: World, behaviour: str, state: str, found: tuple[str, int]) -> None:
        channel = channel_at(world.behaving_url(behaviour, "kind"), timeout_s=1.0)
        delivery = a_delivery(channel)
        drain()
        assert states() == {state: 1}
        assert outcomes(delivery) == [found]
        assert not world.seen("sink/redirected")

    def test_nobody_listens(self) -> None:
        delivery = a_delivery(channel_at("http://127.0.0.1:9/"))
        drain()
        assert outcomes(delivery) == [("transient", 0)]

    def test_an_address_that_is_not_public_is_not_tried_again(self) -> None:
        delivery = a_delivery(channel_at("http://10.0.0.1/"))
        drain()
        assert outcomes(delivery) == [("permanent", 0)]
        assert DeadLetter.objects.get().is_waiting

    def test_what_came_and_went_is_retried_to_the_end(self, world: World) -> None:
        channel = channel_at(
            world.behaving_url("status=503,for_requests=3", "recovering"), retry_base_s=0.01, retry_cap_s=0.01
        )
        delivery = a_delivery(channel)
        drain(linger_s=0.5)
        assert states() == {"delivered": 1}
        assert outcomes(delivery) == [("transient", 503)] * 3 + [("ok", 204)]
        assert idempotency_ids(world.seen("do/status=503,for_requests=3")) == {delivery.idempotency_id: 4}

    def test_what_never_comes_back_is_buried_after_its_attempts(self, world: World) -> None:
        channel = channel_at(world.behaving_url("never", "buried"), retry_base_s=0.0, max_attempts=4)
        delivery = a_delivery(channel)
        drain(linger_s=0.5)
        found = the_delivery(channel)
        assert (found.state, found.attempts, found.reason_code) == ("dead", 4, "exhausted")
        assert outcomes(delivery) == [("transient", 500)] * 4
        letter = DeadLetter.objects.get()
        assert (letter.outcome, letter.code, letter.attempts) == ("transient", 500, 4)


class TestTimeRunsOut:
    def test_what_expires_while_it_waits_for_a_slot_is_not_sent(self, world: World) -> None:
        """Claimed together, sent one after the other: the last would be sent after their end."""
        ends = clock.now() + timedelta(milliseconds=700)
        channel = channel_at(world.behaving_url("delay_ms=300", "expiring"), max_in_flight=1)
        many_deliveries([channel], 8, expires_at=ends)
        drain()
        seen = world.seen("do/delay_ms=300/expiring")
        assert 1 <= len(seen) <= 3
        assert all(one.received_at <= ends + timedelta(milliseconds=50) for one in seen)
        sweep()
        assert states() == {"delivered": len(seen), "cancelled": 8 - len(seen)}
        assert set(Delivery.objects.filter(state="cancelled").values_list("reason_code", flat=True)) == {"expired"}

    def test_a_lease_is_kept_while_a_request_takes_longer(self, world: World) -> None:
        channel = channel_at(world.behaving_url("delay_ms=1500", "slow"))
        a_delivery(channel)
        pump = in_background(lambda: drain(lease_s=0.6, renew_every_s=0.1))
        eventually(lambda: world.seen("do/delay_ms=1500/slow"))
        taken = 0
        while pump.is_alive():
            taken += sweep().taken_back
            pump.join(0.05)
        assert taken == 0
        assert states() == {"delivered": 1}

    def test_a_lease_that_ran_out_under_a_living_pump_harms_nobody(self, world: World) -> None:
        """It claims again what it still has under way; the first answer comes too late to count."""
        channel = channel_at(world.behaving_url("delay_ms=2000", "lost-lease"))
        slow, other = a_delivery(channel), channel_at(world.sink_url("beside-lost-lease"))
        pump = in_background(lambda: drain(lease_s=1.0, renew_every_s=99.0, linger_s=1.2))
        eventually(lambda: world.seen("do/delay_ms=2000/lost-lease"))
        eventually(lambda: sweep().taken_back)
        a_delivery(other)
        pump.join()
        drain()
        assert states(other) == {"delivered": 1}
        assert states(channel) == {"delivered": 1}
        assert [outcome for outcome, _ in outcomes(slow)] == ["unknown", "ok"]
        assert len(world.seen("do/delay_ms=2000/lost-lease")) <= 2


def test_a_pump_without_room_for_a_successor_goes_on_beyond_its_time(world: World) -> None:
    channel = channel_at(world.sink_url("beyond"))
    many_deliveries([channel], 5)
    stop, room = threading.Event(), threading.Event()
    pump = Pump(
        "http-normal",
        draining.carrier_of("http-normal"),
        declared=declared_schedule(deliver),
        clock=clock.now,
        stop=stop,
        pace=Pace(budget_s=0.0, linger_s=30.0),
    )
    running = in_background(lambda: pump.run(may_hand_on=room.is_set))
    eventually(lambda: states(channel) == {"delivered": 5})
    assert running.is_alive()
    room.set()
    running.join(10)
    assert not running.is_alive()
