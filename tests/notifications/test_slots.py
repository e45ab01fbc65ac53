"""`max_in_flight`: no more requests are open to a channel than it allows, whoever sends them."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import redis
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from channels_app.in_flight import Use, default_in_flight
from channels_app.models import Channel
from notifications.models import Delivery
from project.outside import World
from tests.notifications.scene import (
    channel_at,
    drain,
    eventually,
    in_background,
    many_deliveries,
    most_at_once,
    states,
)

pytestmark = pytest.mark.django_db(transaction=True)

LANES = ("http-high", "http-normal", "http-low")


def key_of(channel: Channel) -> str:
    return f"belfry:in_flight:{channel.pk}"


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2, 5])
def test_lanes_share_the_slots_of_a_channel(world: World, most: int) -> None:
    channel = channel_at(world.behaving_url("delay_ms=60", f"lanes-{most}"), max_in_flight=most)
    for lane in LANES:
        many_deliveries([channel], 8 * most, lane=lane)
    pumps = [in_background(lambda lane=lane: drain(lane, linger_s=2.0)) for lane in LANES]  # type: ignore[misc]
    for pump in pumps:
        pump.join()
    assert states() == {"delivered": 24 * most}
    assert most_at_once(world.seen(f"do/delay_ms=60/lanes-{most}"), timedelta(milliseconds=55)) <= most


def test_a_lane_with_a_long_backlog_leaves_slots_to_another(world: World) -> None:
    channel = channel_at(world.behaving_url("delay_ms=50", "backlog"), max_in_flight=1)
    many_deliveries([channel], 400, lane="http-low")
    greedy = in_background(lambda: drain("http-low", budget_s=4.0))
    eventually(lambda: world.seen("do/delay_ms=50/backlog"))
    many_deliveries([channel], 3, lane="http-high")
    began = time.monotonic()
    drain("http-high", linger_s=3.0)
    assert time.monotonic() - began < 6
    assert Delivery.objects.filter(lane="http-high", state="delivered").count() == 3
    assert greedy.is_alive() or Delivery.objects.filter(lane="http-low", state="pending").exists()
    greedy.join()


def test_the_slots_of_a_worker_that_died_come_back(world: World) -> None:
    channel = channel_at(world.sink_url("orphaned"), max_in_flight=2)
    default_in_flight().share_many("dead", [Use(channel.pk, 2, 2, 2)], lease_s=1.5)
    many_deliveries([channel], 4)
    began = time.monotonic()
    drain(linger_s=5.0)
    assert states() == {"delivered": 4}
    assert time.monotonic() - began >= 1.0


def test_what_gets_no_slot_is_given_back_untried(world: World) -> None:
    channel = channel_at(world.sink_url("no-slot"), max_in_flight=2)
    default_in_flight().share_many("busy", [Use(channel.pk, 2, 2, 2)], lease_s=20)
    many_deliveries([channel], 4)
    drain()
    assert states() == {"pending": 4}
    assert not Delivery.objects.exclude(attempts=0, lost_leases=0, lease_until=None).exists()


def test_who_is_done_leaves_no_trace(world: World) -> None:
    channel = channel_at(world.sink_url("left"), max_in_flight=2)
    many_deliveries([channel], 10)
    drain()
    client = redis.Redis.from_url(django_settings.BELFRY_REDIS_URL)
    assert not client.exists(key_of(channel))
    client.close()


def test_without_redis_the_cap_is_that_of_each_pump(world: World, settings: Settings) -> None:
    settings.BELFRY_REDIS_URL = "redis://127.0.0.1:1/0"
    channel = channel_at(world.behaving_url("delay_ms=60", "no-redis"), max_in_flight=2)
    many_deliveries([channel], 12)
    drain()
    assert states() == {"delivered": 12}
    assert most_at_once(world.seen("do/delay_ms=60/no-redis"), timedelta(milliseconds=55)) == 2
