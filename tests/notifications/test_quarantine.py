"""Out of service: with evidence, told elsewhere, probed one at a time, back by itself; nothing is lost on the way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from channels_app.breaker import BreakerSettings, default_breakers
from channels_app.models import Channel
from channels_app.outcomes import BreakerSignal, Outcome, Verdict
from channels_app.registry import AnyTransport
from notifications import clock, delivering, dispatch, draining, intake, quarantine, rulebook
from notifications.durable_retry import declared_schedule
from notifications.models import Attempt, DeadLetter, Delivery, Notification, Streamer, transitions
from notifications.pump import Pump
from notifications.quarantine import FIRST_PAUSE_S, LONG_FAILURE, LONGEST_PAUSE_S, pause_s
from notifications.rulebook import ChannelInUse
from notifications.states import State
from notifications.tasks import deliver
from notifications.throttling import Throttling
from project.outside import World
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
    eventually,
    forget_the_rules,
    idempotency_ids,
    in_background,
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

Interrupt = Callable[[Callable[[], object]], None]

#: An address that may be reached, and is not.
HERE = "http://127.0.0.1:9/"

#: One failure opens the breaker.
FRAGILE: dict[str, Any] = {"breaker_consecutive_failures": 1}


def fresh(channel: Channel) -> Channel:
    return Channel.objects.get(pk=channel.pk)


def out_of_service(channel: Channel, *, probe_in: timedelta = HOUR, probes: int = 0) -> Channel:
    """Quarantined, as a worker leaves it."""
    now = clock.now()
    assert Channel.objects.quarantine(channel.pk, reason="It said 410.", now=now, probe_at=now + probe_in)
    Channel.objects.filter(pk=channel.pk).update(probes=probes)
    return fresh(channel)


def probe_is_due(channel: Channel) -> None:
    Channel.objects.filter(pk=channel.pk).update(probe_at=clock.now() - SECOND)
    forget_the_rules()


def told() -> list[str]:
    events = Notification.objects.filter(event_type__startswith="channel_").order_by("id")
    return list(events.values_list("event_type", flat=True))


def what_waits_is_due() -> None:
    make_due(*Delivery.objects.in_state(State.SCHEDULED))
    sweep()


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


class TestAllOfItOrNothing:
    """Imposed or restored, with what belongs to it, also where a process dies or the database goes in between."""

    @pytest.fixture(params=["killed", "database away"])
    def interrupted(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Interrupt:
        """What is told next ends with an error, behind the first statement; then all is well again."""
        error = KeyboardInterrupt if request.param == "killed" else OperationalError

        def fail(*_: object, **__: object) -> None:
            monkeypatch.undo()
            raise error

        def interrupt(call: Callable[[], object]) -> None:
            monkeypatch.setattr(quarantine.intake, "accept", fail)
            with pytest.raises(error):
                call()

        return interrupt

    def test_imposed(self, interrupted: Interrupt) -> None:
        channel = ChannelInUse(channel_at(HERE))
        interrupted(lambda: quarantine.impose(channel, "Gone.", clock.now()))
        assert fresh(channel.row).quarantined_at is None
        quarantine.impose(channel, "Gone.", clock.now())
        assert fresh(channel.row).quarantined_at is not None
        assert told() == ["channel_quarantined"]

    def test_restored(self, interrupted: Interrupt) -> None:
        channel = out_of_service(channel_at(HERE))
        delivery = a_delivery(channel, State.SCHEDULED, reason_code=quarantine.CODE, due_at=clock.now() + 6 * HOUR)
        before = row_of(delivery)
        interrupted(lambda: quarantine.restore(channel, by="ada", now=clock.now()))
        assert fresh(channel).quarantined_at is not None
        assert row_of(delivery) == before
        assert quarantine.restore(channel, by="ada", now=clock.now())
        assert row_of(delivery)["due_at"] <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)
        assert told() == ["channel_restored"]

    def test_what_is_put_to_wait_before_its_return_is_seen_follows_too(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever restores has looked for what waits, and not committed, when a worker puts one more to wait."""
        channel = out_of_service(channel_at(world.sink_url("unseen")), probe_in=6 * HOUR)
        a_delivery(channel)
        row = transitions.claim_one(the_delivery(channel).pk, now=clock.now(), lease_s=20)
        results = dispatch.guard([row], rulebook.current(), clock.now()).results
        looked, go_on, accept = threading.Event(), threading.Event(), intake.accept

        def slowly(*args: Any, **kwargs: Any) -> Any:
            looked.set()
            assert go_on.wait(10)
            return accept(*args, **kwargs)

        monkeypatch.setattr(quarantine.intake, "accept", slowly)
        restoring = in_background(lambda: quarantine.restore(channel, by="ada", now=clock.now()))
        assert looked.wait(10)
        settling = in_background(lambda: dispatch.settle(results, [], clock.now()))
        eventually(lambda: the_delivery(channel).state == "scheduled")
        settling.join(0.2)
        go_on.set()
        restoring.join(10)
        settling.join(10)
        assert fresh(channel).quarantined_at is None
        assert the_delivery(channel).due_at <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)

    @pytest.mark.parametrize("refusal", [intake.Refused([("streamer", "Nobody has this key.")]), IntegrityError("fk")])
    def test_an_owner_who_cannot_be_told_stops_nobody(
        self, world: World, monkeypatch: pytest.MonkeyPatch, refusal: Exception
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise refusal

        ended, well = channel_at(world.behaving_url("gone", "untold")), channel_at(world.sink_url("well-beside"))
        many_deliveries([ended, well], 3)
        monkeypatch.setattr(quarantine.intake, "accept", refuse)
        drain()
        assert states(well) == {"delivered": 3}
        assert fresh(ended).quarantined_at is not None
        assert quarantine.restore(ended, by="ada", now=clock.now())

    def test_an_owner_who_is_deleted_in_that_moment_stops_nothing(self) -> None:
        """Under his name or nobody's, as it happens; but it is imposed and restored, and told both times."""

        def delete(owner: Streamer) -> None:
            with contextlib.suppress(IntegrityError):  # There is something about him now.
                owner.delete()

        for n in range(8):
            owner = Streamer.objects.create(key=f"owner-{n}", name="Owner")
            channel = ChannelInUse(channel_at(HERE, f"owned-{n}", owner_key=owner.key))
            at_once(partial(quarantine.impose, channel, "Gone.", clock.now()), partial(delete, owner))
            assert quarantine.restore(fresh(channel.row), by="ada", now=clock.now())
        assert told() == ["channel_quarantined", "channel_restored"] * 8


class TestLongFailure:
    @staticmethod
    def failing(world: World, name: str, *, since: timedelta) -> Channel:
        channel = channel_at(world.behaving_url("never", name), **FRAGILE)
        Channel.objects.filter(pk=channel.pk).update(failing_since_at=clock.now() - since)
        return channel

    def test_after_five_days_it_is_taken_out(self, world: World) -> None:
        channel = self.failing(world, "long", since=LONG_FAILURE + HOUR)
        delivery = a_delivery(channel)
        drain()
        channel = fresh(channel)
        assert channel.quarantined_at is not None
        assert "It has not worked since" in channel.quarantine_reason
        assert row_of(delivery)["state"] == "retrying"
        assert told() == ["channel_quarantined"]

    def test_before_that_it_is_not(self, world: World) -> None:
        channel = self.failing(world, "short", since=LONG_FAILURE - HOUR)
        a_delivery(channel)
        drain()
        assert fresh(channel).quarantined_at is None

    def test_the_first_failure_is_remembered_and_a_success_forgets_it(self, world: World) -> None:
        channel = channel_at(world.behaving_url("never", "since"), breaker_cooldown_s=0.1, **FRAGILE)
        first = a_delivery(channel)
        drain()
        since = fresh(channel).failing_since_at
        assert since is not None
        world.behave("do/never/since", "sink")
        threading.Event().wait(0.2)
        make_due(first)
        drain()
        assert fresh(channel).failing_since_at is None

    def test_a_success_forgets_it_although_redis_has_forgotten_the_breaker(self, world: World) -> None:
        """Otherwise one bad day and a good week would look like eight bad days."""
        channel = channel_at(world.sink_url("forgotten"))
        Channel.objects.filter(pk=channel.pk).update(failing_since_at=clock.now() - HOUR)
        default_breakers().reset(channel.pk)
        a_delivery(channel)
        drain()
        assert fresh(channel).failing_since_at is None

    def test_what_arrives_as_the_breaker_opens_counts_as_working(self, world: World) -> None:
        """One failure opens it, and beside it others arrive: it has not failed for five days."""
        channel = self.failing(world, "beside", since=LONG_FAILURE + HOUR)
        world.behave("do/never/beside", "never:for_requests=1")
        many_deliveries([channel], 20)
        drain()
        assert world.seen("do/never/beside")[-1].accepted
        channel = fresh(channel)
        assert channel.quarantined_at is None

    @pytest.mark.parametrize(("others_down", "taken_out"), [(0, True), (2, True), (3, False), (5, False)])
    def test_a_failure_of_the_provider_is_held_against_no_channel(
        self, world: World, others_down: int, taken_out: bool
    ) -> None:
        channel = self.failing(world, f"provider-{others_down}", since=LONG_FAILURE + HOUR)
        others = [channel_at(world.sink_url(f"of-{others_down}-{n}")) for n in range(5)]
        for other in others[:others_down]:
            default_breakers().observe_many([(other.pk, [BreakerSignal.FAILURE] * 10, BreakerSettings())])
        a_delivery(channel)
        drain()
        assert (fresh(channel).quarantined_at is not None) == taken_out

    def test_three_of_many_are_not_the_provider(self, world: World) -> None:
        channel = self.failing(world, "of-many", since=LONG_FAILURE + HOUR)
        others = [channel_at(world.sink_url(f"many-{n}")) for n in range(10)]
        for other in others[:3]:
            default_breakers().observe_many([(other.pk, [BreakerSignal.FAILURE] * 10, BreakerSettings())])
        a_delivery(channel)
        drain()
        assert fresh(channel).quarantined_at is not None


class TestOnlyEverAskedToSlowDown:
    """No breaker opens by it, and no attempt is counted: without an end it would go on for ever."""

    @pytest.fixture(autouse=True)
    def seen(self, monkeypatch: pytest.MonkeyPatch) -> Throttling:
        """What this worker has seen: nothing yet."""
        monkeypatch.setattr(quarantine, "_throttling", seen := Throttling())
        return seen

    @staticmethod
    def asking(world: World, name: str, seen: Throttling, *, since: timedelta, noted: timedelta | None) -> Channel:
        """A channel that says 429 for ever; this worker has seen that `since` so long, and the rows since `noted`."""
        channel = channel_at(world.behaving_url("status=429,retry_after_s=60", name))
        now = clock.now()
        seen.note(channel.pk, now - since)
        Channel.objects.filter(pk=channel.pk).update(failing_since_at=noted and now - noted)
        forget_the_rules()
        return channel

    def test_after_five_days_it_is_taken_out_with_the_evidence(self, world: World, seen: Throttling) -> None:
        channel = self.asking(world, "asks", seen, since=2 * HOUR, noted=LONG_FAILURE + HOUR)
        delivery = a_delivery(channel)
        drain()
        channel = fresh(channel)
        assert channel.quarantined_at is not None
        assert "It has taken nothing since" in channel.quarantine_reason
        assert "429" in channel.quarantine_reason
        assert (row_of(delivery)["state"], outcomes(delivery)) == ("scheduled", [("rate_limited", 429)])
        assert told() == ["channel_quarantined"]

    @pytest.mark.parametrize(
        ("since", "noted"),
        [
            (2 * HOUR, LONG_FAILURE - HOUR),
            (timedelta(minutes=5), LONG_FAILURE + HOUR),
            (13 * HOUR, LONG_FAILURE + HOUR),
        ],
        ids=["not yet five days", "this worker saw it for minutes", "this worker saw nothing for long"],
    )
    def test_before_that_it_is_not(self, world: World, seen: Throttling, since: timedelta, noted: timedelta) -> None:
        channel = self.asking(world, f"asks-{since.total_seconds()}", seen, since=since, noted=noted)
        a_delivery(channel)
        drain()
        assert fresh(channel).quarantined_at is None

    def test_it_is_remembered_once_it_has_lasted(self, world: World, seen: Throttling) -> None:
        short = self.asking(world, "short", seen, since=timedelta(minutes=5), noted=None)
        long = self.asking(world, "long", seen, since=2 * HOUR, noted=None)
        many_deliveries([short, long], 1)
        drain()
        assert fresh(short).failing_since_at is None
        assert round((clock.now() - fresh(long).failing_since_at) / HOUR) == 2  # type: ignore[operator]

    def test_one_that_it_takes_ends_it(self, world: World, seen: Throttling) -> None:
        channel = self.asking(world, "takes", seen, since=2 * HOUR, noted=LONG_FAILURE + HOUR)
        world.behave("do/status=429,retry_after_s=60/takes", "throttle")
        many_deliveries([channel], 5)
        drain()
        assert states(channel)["delivered"] > 0
        assert (fresh(channel).quarantined_at, fresh(channel).failing_since_at) == (None, None)
        assert seen.since(channel.pk, clock.now()) is None

    @pytest.mark.parametrize(("others_too", "taken_out"), [(2, True), (3, False)])
    def test_many_of_a_kind_are_the_providers_doing(
        self, world: World, seen: Throttling, others_too: int, taken_out: bool
    ) -> None:
        channel = self.asking(world, f"kind-{others_too}", seen, since=2 * HOUR, noted=LONG_FAILURE + HOUR)
        for n in range(5):
            other = channel_at(world.sink_url(f"of-kind-{n}"))
            if n < others_too:
                seen.note(other.pk, clock.now() - 2 * HOUR)
        a_delivery(channel)
        drain()
        assert (fresh(channel).quarantined_at is not None) == taken_out


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
