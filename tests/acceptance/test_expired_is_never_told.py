"""What has expired is never told: wherever it waits when its time runs out."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from channels_app.models import Channel
from notifications import clock
from notifications.models import Delivery, Notification
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.scene import accept, accept_many, channel_at, drain, eventually, route, states, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("here")]

MOMENT = timedelta(milliseconds=250)
#: How long a request may be on its way.
ON_ITS_WAY = timedelta(milliseconds=50)


def after(moment: datetime) -> None:
    eventually(lambda: clock.now() > moment)


def end_of(channel: Channel) -> tuple[str, str]:
    sweep()
    delivery = Delivery.objects.get(channel=channel)
    return delivery.state, delivery.reason_code


def test_before_it_was_routed(world: World) -> None:
    channel = channel_at(world.sink_url("x-routed"))
    ends = clock.now() + MOMENT
    accept(expires_at=ends)
    after(ends)
    route()
    drain()
    assert end_of(channel) == ("suppressed", "expired")
    assert not world.seen("sink/x-routed")
    assert Notification.objects.get().state == "suppressed"


@pytest.mark.parametrize("swept", [True, False])
def test_while_nobody_worked(world: World, swept: bool) -> None:
    name = f"x-idle-{swept}"
    channel = channel_at(world.sink_url(name))
    ends = clock.now() + MOMENT
    accept(expires_at=ends)
    route()
    after(ends)
    if swept:
        sweep()
    drain()
    deliver.apply(args=(channel.deliveries.get().pk,))
    assert end_of(channel) == ("cancelled", "expired")
    assert not world.seen(f"sink/{name}")


def test_while_it_waited_for_its_time(world: World) -> None:
    channel = channel_at(world.sink_url("x-scheduled"))
    at = clock.now() + MOMENT
    accept(scheduled_at=at, expires_at=at + MOMENT)
    route()
    after(at + MOMENT)
    sweep()
    drain()
    assert end_of(channel) == ("cancelled", "expired")
    assert not world.seen("sink/x-scheduled")


def test_while_it_waited_for_another_try(world: World) -> None:
    place = "do/status=503,for_requests=1/x-retry"
    channel = channel_at(
        world.behaving_url("status=503,for_requests=1", "x-retry"), retry_base_s=0.5, retry_jitter=False
    )
    ends = clock.now() + 2 * MOMENT
    accept(expires_at=ends)
    route()
    drain()
    assert states(channel) == {"retrying": 1}
    after(ends)
    time.sleep(0.2)
    drain()
    assert end_of(channel) == ("cancelled", "expired")
    assert len(world.seen(place)) == 1


def test_while_the_far_end_had_us_wait(world: World) -> None:
    channel = channel_at(world.behaving_url("status=429,retry_after_s=1,for_requests=1", "x-429"))
    ends = clock.now() + 2 * MOMENT
    accept(expires_at=ends)
    route()
    drain()
    assert states(channel) == {"scheduled": 1}
    after(ends)
    assert end_of(channel) == ("cancelled", "expired")


def test_while_it_stood_in_line_behind_others(world: World) -> None:
    place = "do/delay_ms=200/x-line"
    channel = channel_at(world.behaving_url("delay_ms=200", "x-line"), max_in_flight=1)
    ends = clock.now() + 2 * MOMENT
    accept_many(10, expires_at=ends)
    route()
    drain()
    sweep()
    seen = world.seen(place)
    assert all(one.received_at <= ends + ON_ITS_WAY for one in seen)
    assert states(channel) == {"delivered": len(seen), "cancelled": 10 - len(seen)}


def test_one_that_is_in_time_is_told(world: World) -> None:
    channel = channel_at(world.sink_url("x-in-time"))
    accept(expires_at=clock.now() + timedelta(seconds=30))
    route()
    drain()
    assert states(channel) == {"delivered": 1}
