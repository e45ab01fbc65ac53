"""What passed the gates and was not sent after all: its request and its probe are somebody else's."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from channels_app.breaker import default_breakers
from channels_app.models import Channel
from channels_app.outcomes import BreakerSignal
from channels_app.ratelimit import default_limits
from notifications import clock, dispatch, gates, rulebook
from notifications.held import Held
from notifications.models import transitions
from notifications.retry import Schedule
from notifications.unwritten import Unwritten
from project.outside import World
from tests.notifications.scene import (
    a_delivery,
    channel_at,
    drain,
    eventually,
    in_background,
    many_deliveries,
    states,
    sweep,
)

pytestmark = pytest.mark.django_db(transaction=True)

#: As good as never: what is granted is the burst.
SLOW: dict[str, Any] = {"rate_per_s": 0.001, "rate_burst": 10, "max_in_flight": 1}


def fresh(channel: Channel) -> Channel:
    """Nothing is known of it in Redis."""
    default_limits().forget(channel.pk)
    default_breakers().reset(channel.pk)
    return channel


class TestTheLimit:
    def test_what_a_worker_gives_back_when_it_stops_was_no_request(self, world: World) -> None:
        channel = fresh(channel_at(world.behaving_url("delay_ms=300", "limit-stop"), **SLOW))
        many_deliveries([channel], 10)
        stop = threading.Event()
        pump = in_background(lambda: drain(stop=stop))
        eventually(lambda: world.seen("do/delay_ms=300/limit-stop"))
        stop.set()
        pump.join()
        assert states() == {"delivered": 1, "pending": 9}
        drain()
        assert states() == {"delivered": 10}

    def test_what_expires_before_its_turn_was_no_request(self, world: World) -> None:
        channel = fresh(channel_at(world.behaving_url("delay_ms=400", "limit-expired"), **SLOW))
        many_deliveries([channel], 10, expires_at=clock.now() + timedelta(milliseconds=300))
        drain()
        sweep()
        assert states() == {"delivered": 1, "cancelled": 9}
        many_deliveries([channel], 9)
        drain()
        assert states() == {"delivered": 10, "cancelled": 9}


class TestTheProbe:
    @pytest.fixture
    def failed(self, world: World) -> Channel:
        """Its breaker has opened, and a moment later lets one through to find out."""
        channel = fresh(channel_at(world.sink_url("probed"), breaker_cooldown_s=0.1, breaker_consecutive_failures=1))
        settings = rulebook.current().channels[channel.pk].breaker_settings
        default_breakers().observe_many([(channel.pk, [BreakerSignal.FAILURE], settings)])
        time.sleep(0.15)
        return channel

    def claimed(self, channel: Channel) -> list[Held]:
        now = clock.now()
        row = transitions.claim_one(a_delivery(channel).pk, now=now, lease_s=20)
        return dispatch.prepare(dispatch.guard([row], rulebook.current(), now).ready, now)[0]

    @pytest.mark.parametrize("where", ["expired", "unbegun", "lost"])
    def test_one_that_is_not_sent_leaves_it_to_the_next(self, failed: Channel, where: str) -> None:
        [probe] = self.claimed(failed)
        assert self.claimed(failed) == []
        unwritten = Unwritten(Schedule())
        getattr(unwritten, where).append(probe)
        unwritten.write(clock.now())
        assert not unwritten
        assert len(self.claimed(failed)) == 1

    def test_one_that_passed_before_the_breaker_opened_leaves_it_where_it_is(self, failed: Channel) -> None:
        default_breakers().reset(failed.pk)
        [earlier] = self.claimed(failed)
        settings = rulebook.current().channels[failed.pk].breaker_settings
        default_breakers().observe_many([(failed.pk, [BreakerSignal.FAILURE], settings)])
        time.sleep(0.15)
        assert len(self.claimed(failed)) == 1
        gates.give_back([earlier])
        assert self.claimed(failed) == []
