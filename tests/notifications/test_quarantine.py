"""Out of service: with evidence, told elsewhere, probed one at a time, back by itself; nothing is lost on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from channels_app.models import Channel
from channels_app.outcomes import Outcome, Verdict
from channels_app.registry import AnyTransport
from notifications import clock, delivering, dispatch, draining, quarantine, rulebook
from notifications.durable_retry import declared_schedule
from notifications.models import Attempt, DeadLetter, Delivery, Streamer, transitions
from notifications.pump import Pump
from notifications.quarantine import FIRST_PAUSE_S, LONGEST_PAUSE_S, pause_s
from notifications.rulebook import ChannelInUse
from notifications.states import State
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.quarantined import HERE, fresh, out_of_service, probe_is_due, told, what_waits_is_due
from tests.notifications.scene import (
    HOUR,
    QUICK,
    SECOND,
    a_delivery,
    accept_many,
    at_once,
    channel_at,
    configured,
    drain,
    idempotency_ids,
    make_due,
    many_deliveries,
    outcomes,
    route,
    row_of,
    states,
    sweep,
    the_delivery,
)
from tests.notifications.test_carriers import Oracle

pytestmark = pytest.mark.django_db(transaction=True)


class TestGone:
    def test_the_channel_is_taken_out_with_the_evidence(self, world: World) -> None:
        channel = channel_at(world.behaving_url("gone", "ended"))
        before = clock.now()
        delivery = a_delivery(channel)
        drain()
        channel = fresh(channel)
        assert channel.quarantined_at is not None
        assert "410" in channel.quarantine_reason
        assert "This place answers 410." in channel.quarantine_reason
        assert channel.probe_at is not None
        assert channel.probe_at - before >= timedelta(seconds=FIRST_PAUSE_S)
        assert outcomes(delivery) == [("gone", 410)]
        assert DeadLetter.objects.waiting().get().outcome == "gone"

    def test_its_owner_is_told_through_another_channel(self, world: World) -> None:
        """By a real delivery; and what would tell the channel itself of its own end waits like all else."""
        Streamer.objects.create(key="nightowl", name="NightOwl")
        ended = channel_at(world.behaving_url("gone", "owned"), "owned", owner_key="nightowl")
        channel_at(world.sink_url("owners-other"), "other", owner_key="nightowl")
        channel_at(world.sink_url("somebody-elses"), "elses", owner_key="daybird")
        a_delivery(ended)
        drain()
        route()
        drain("http-high")
        (seen,) = world.seen("sink/owners-other")
        assert "out of service" in seen.body.decode()
        assert "410" in seen.body.decode()
        assert world.seen("sink/somebody-elses") == []
        assert states(ended) == {"dead": 1, "scheduled": 1}
        assert told() == ["channel_quarantined"]

    def test_many_that_say_so_at_once_are_one_quarantine(self, world: World) -> None:
        channel = channel_at(world.behaving_url("gone", "chorus"))
        many_deliveries([channel], 20)
        drain()
        assert told() == ["channel_quarantined"]
        assert sum(states(channel).values()) == 20

    def test_workers_that_impose_it_at_once_tell_once(self, world: World) -> None:
        channel = ChannelInUse(channel_at(world.sink_url("raced")))
        at_once(*[lambda: quarantine.impose(channel, "Gone.", clock.now())] * 6)
        assert told() == ["channel_quarantined"]


class TestWaiting:
    def test_what_is_meant_for_it_waits_and_nothing_is_sent(self, world: World) -> None:
        channel = out_of_service(channel_at(world.sink_url("quiet")))
        many_deliveries([channel], 30)
        drain()
        assert states(channel) == {"scheduled": 30}
        assert world.seen("sink/quiet") == []
        assert not Attempt.objects.exists()
        waiting = Delivery.objects.first()
        assert waiting is not None
        assert (waiting.reason_code, waiting.attempts) == (quarantine.CODE, 0)
        assert "It said 410." in waiting.reason
        assert channel.probe_at is not None
        assert waiting.due_at >= channel.probe_at

    def test_other_channels_notice_nothing(self, world: World) -> None:
        out = out_of_service(channel_at(world.sink_url("out")))
        well = channel_at(world.sink_url("well"))
        many_deliveries([out, well], 20)
        drain()
        assert (states(out), states(well)) == ({"scheduled": 20}, {"delivered": 20})

    def test_what_expires_meanwhile_ends_with_that_reason(self, world: World) -> None:
        channel = out_of_service(channel_at(world.sink_url("late")))
        a_delivery(channel, expires_at=clock.now() + timedelta(milliseconds=300))
        drain()
        sweep(ahead=SECOND)
        assert the_delivery(channel).reason_code == "expired"


class TestProbes:
    def test_two_workers_send_one_probe_between_them(self, world: World) -> None:
        channel = out_of_service(channel_at(world.behaving_url("gone:delay_ms=300", "two")), probe_in=-SECOND)
        many_deliveries([channel], 40)
        at_once(*[_another_worker] * 2)
        assert len(world.seen("do/gone:delay_ms=300/two")) == 1
        assert states(channel) == {"scheduled": 40}
        assert fresh(channel).probes == 1

    def test_single_deliveries_share_one_probe_too(self, world: World) -> None:
        channel = out_of_service(channel_at(world.sink_url("single")), probe_in=-SECOND)
        deliveries = [a_delivery(channel) for _ in range(6)]
        held = at_once(*[lambda pk=one.pk: delivering.take(pk, clock.now()) for one in deliveries])
        assert len([one for one in held if one is not None]) == 1

    def test_pauses_grow_up_to_six_hours(self) -> None:
        assert [pause_s(probes) for probes in (0, 1, 2, 3)] == [60, 120, 240, 480]
        assert pause_s(9) == pause_s(10_000) == LONGEST_PAUSE_S

    def test_each_probe_that_fails_makes_the_next_pause_longer(self, world: World) -> None:
        channel = out_of_service(channel_at(world.behaving_url("gone", "still")), probe_in=-SECOND)
        delivery = a_delivery(channel)
        pauses = []
        for _ in range(3):
            probe_is_due(channel)
            make_due(delivery)
            sweep()
            before = clock.now()
            drain()
            probe_at = fresh(channel).probe_at
            assert probe_at is not None
            pauses.append(round((probe_at - before).total_seconds(), -1))
        assert pauses == [120, 240, 480]
        assert (row_of(delivery)["state"], len(outcomes(delivery))) == ("scheduled", 3)
        assert "A probe failed" in row_of(delivery)["reason"]

    @pytest.mark.parametrize("answer", ["gone", "never", "throttle:for_requests=9", "reset"])
    def test_a_probe_that_fails_buries_nothing(self, world: World, answer: str) -> None:
        channel = out_of_service(channel_at(world.behaving_url(answer, "buries-nothing")), probe_in=-SECOND)
        many_deliveries([channel], 3)
        drain()
        assert states(channel) == {"scheduled": 3}
        assert fresh(channel).quarantined_at is not None

    def test_who_comes_too_late_for_a_probe_knows_when_the_next_one_is(self, world: World) -> None:
        """Its rules are from before; what it was to send would come back every ten seconds."""
        channel = out_of_service(channel_at(world.sink_url("too-late")), probe_in=-SECOND)
        late, now = ChannelInUse(channel), clock.now()
        assert quarantine.take_probe(ChannelInUse(fresh(channel)), now)
        assert not quarantine.take_probe(late, now)
        assert quarantine.wait(late, now)[0] == fresh(channel).probe_at == now + timedelta(seconds=pause_s(1))

    def test_until_its_time_there_is_no_probe(self, world: World) -> None:
        channel = out_of_service(channel_at(world.sink_url("early")), probe_in=HOUR)
        assert not quarantine.take_probe(ChannelInUse(channel), clock.now())
        a_delivery(channel)
        drain()
        assert world.seen("sink/early") == []


class TestComingBack:
    def test_the_first_that_arrives_brings_it_back_with_what_waited(self, world: World) -> None:
        channel = channel_at(world.behaving_url("gone", "back"))
        a_delivery(channel)
        drain()
        many_deliveries([channel], 25)
        drain()
        assert states(channel) == {"dead": 1, "scheduled": 25}
        world.behave("do/gone/back", "sink")
        probe_is_due(channel)
        what_waits_is_due()
        drain()
        channel = fresh(channel)
        assert (channel.quarantined_at, channel.quarantine_reason, channel.probes) == (None, "", 0)
        longest = max(Delivery.objects.in_state(State.SCHEDULED).values_list("due_at", flat=True), default=clock.now())
        assert longest <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)
        what_waits_is_due()
        drain()
        assert states(channel) == {"dead": 1, "delivered": 25}
        arrived = idempotency_ids(one for one in world.seen("do/gone/back") if one.accepted)
        assert len(arrived) == 25
        assert set(arrived.values()) == {1}
        assert told() == ["channel_quarantined", "channel_restored"]

    def test_a_refusal_of_one_message_is_a_sign_of_life(self, world: World) -> None:
        channel = out_of_service(channel_at(world.behaving_url("missing", "alive")), probe_in=-SECOND)
        a_delivery(channel)
        drain()
        assert fresh(channel).quarantined_at is None
        assert states(channel) == {"dead": 1}

    @pytest.mark.parametrize(
        ("url", "riddle"),
        [
            (HERE, "cannot build"),
            (HERE, "build raises"),
            (HERE, "build gives nothing"),
            (HERE, "header is no text"),
            ("http://169.254.0.1/blocked", ""),
        ],
    )
    def test_a_probe_that_asked_nobody_is_no_sign_of_life(
        self, install: Callable[[AnyTransport], None], url: str, riddle: str
    ) -> None:
        """It would release what waits to a far end of which nothing is known, and forget since when that fails."""
        install(Oracle())
        channel = out_of_service(configured("oracle", {"url": url, "riddle": riddle}), probe_in=-SECOND)
        since = clock.now() - HOUR
        Channel.objects.filter(pk=channel.pk).update(failing_since_at=since)
        many_deliveries([channel], 3)
        drain()
        channel = fresh(channel)
        assert channel.quarantined_at is not None
        assert channel.failing_since_at == since
        assert list(Attempt.objects.values_list("outcome", "code")) == [("permanent", 0)]
        assert states(channel) == {"dead": 1, "scheduled": 2}
        assert told() == []

    @pytest.mark.parametrize(
        ("verdict", "lives"),
        [
            (Verdict(Outcome.OK), True),
            (Verdict(Outcome.PERMANENT, 404), True),
            (Verdict(Outcome.PERMANENT, 0, "The URL or a header cannot be sent as it stands."), False),
            (Verdict(Outcome.RATE_LIMITED, 429), False),
            (Verdict(Outcome.UNKNOWN, 200), False),
        ],
    )
    def test_a_sign_of_life_comes_from_outside(self, verdict: Verdict, lives: bool) -> None:
        assert quarantine.is_sign_of_life(verdict) == lives

    def test_it_comes_back_once(self, world: World) -> None:
        channel = out_of_service(channel_at(world.sink_url("once")))
        results = at_once(*[lambda: quarantine.restore(channel, by="ada", now=clock.now())] * 5)
        assert sorted(results) == [False, False, False, False, True]
        assert told() == ["channel_restored"]

    def test_what_a_worker_puts_to_wait_while_it_comes_back_follows_too(self, world: World) -> None:
        """The worker has asked, the channel is restored, and only then does the worker write: wait six hours."""
        channel = out_of_service(channel_at(world.sink_url("crossed")), probe_in=6 * HOUR)
        a_delivery(channel)
        row = transitions.claim_one(the_delivery(channel).pk, now=clock.now(), lease_s=20)
        guarded = dispatch.guard([row], rulebook.current(), clock.now())
        quarantine.restore(channel, by="ada", now=clock.now())
        dispatch.settle(guarded.results, [], clock.now())
        assert the_delivery(channel).due_at <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)

    def test_nothing_is_dropped_between_the_first_refusal_and_the_last_arrival(self, world: World) -> None:
        """Accepted before, during and after; of all of it an account can be given."""
        channel = channel_at(world.behaving_url("gone:for_requests=1", "account"))
        accepted = len(accept_many(40))
        route()
        drain()
        accepted += len(accept_many(40))
        route()
        drain()
        assert fresh(channel).quarantined_at is not None
        probe_is_due(channel)
        what_waits_is_due()
        drain()
        accepted += len(accept_many(10))
        route()
        what_waits_is_due()
        drain()
        drain("http-high")
        assert states(channel).keys() <= {"dead", "delivered"}
        # Two more than the producer sent: that it went, and that it came back.
        assert sum(states(channel).values()) == accepted + len(told()) == 92
        arrived = idempotency_ids(one for one in world.seen("do/gone:for_requests=1/account") if one.accepted)
        assert len(arrived) == states(channel)["delivered"]
        assert set(arrived.values()) == {1}


def _another_worker() -> None:
    """A pump of a process of its own: it shares no lock and no book with the others."""
    pump = Pump(
        "http-normal",
        draining.carrier_of("http-normal"),
        declared=declared_schedule(deliver),
        clock=clock.now,
        stop=threading.Event(),
        pace=QUICK,
    )
    pump.run()
