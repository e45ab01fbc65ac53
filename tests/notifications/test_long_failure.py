"""A channel that has not worked for five days, or only asks us to slow down, is taken out of service."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from channels_app.breaker import BreakerSettings, default_breakers
from channels_app.models import Channel
from channels_app.outcomes import BreakerSignal
from notifications import clock, quarantine
from notifications.quarantine import LONG_FAILURE
from notifications.throttling import Throttling
from project.outside import World
from tests.notifications.quarantined import fresh, told
from tests.notifications.scene import (
    HOUR,
    a_delivery,
    channel_at,
    drain,
    forget_the_rules,
    make_due,
    many_deliveries,
    outcomes,
    row_of,
    states,
)

pytestmark = pytest.mark.django_db(transaction=True)

#: One failure opens the breaker.
FRAGILE: dict[str, Any] = {"breaker_consecutive_failures": 1}


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
