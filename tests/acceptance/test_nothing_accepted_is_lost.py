"""Promise 1: what was accepted ends in a state that one can look up, whatever dies on the way."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
import redis

from notifications import clock
from notifications.models import Attempt, Notification, Policy, Streamer
from notifications.states import OPEN
from notifications.withdrawal import withdraw
from project.outside import World
from tests.acceptance.workers import Workers, sweeping
from tests.notifications.scene import (
    SECOND,
    accept_many,
    channel_at,
    drain,
    eventually,
    idempotency_ids,
    make_due,
    route,
    states,
    sweep,
)

LANES = ("http-high", "http-normal", "http-low")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("here")
def test_every_notification_of_an_evening_is_in_exactly_one_account(world: World) -> None:
    """Told, refused, suppressed, withdrawn, expired, scheduled, without a channel: all are found again."""
    aurora = Streamer.objects.create(key="aurora", name="Aurora", platform="twitch")
    boreas = Streamer.objects.create(key="boreas", name="Boreas")
    channel_at(world.sink_url("evening/all"))
    channel_at(world.behaving_url("status=503,for_requests=7", "evening"), retry_base_s=0.05, retry_cap_s=0.1)
    channel_at(world.behaving_url("never", "evening"), owner_key="aurora", max_attempts=2, retry_base_s=0.0)
    Policy.objects.create(scope="streamer", streamer=aurora, min_priority=5)
    Policy.objects.create(scope="streamer", streamer=boreas, names_channels=True)
    soon = clock.now() + SECOND
    accepted = accept_many(30)
    accepted += accept_many(10, streamer="aurora", priority="high")
    accepted += accept_many(10, streamer="aurora", priority="low")
    accepted += accept_many(5, streamer="boreas")
    accepted += accept_many(5, scheduled_at=soon)
    accepted += accept_many(5, expires_at=soon + timedelta(seconds=30), scheduled_at=soon + timedelta(seconds=20))
    withdrawn = accept_many(5, scheduled_at=soon)
    route()
    for pk in withdrawn:
        withdraw(Notification.objects.get(pk=pk), by="ada", now=clock.now())
    deadline = time.monotonic() + 20
    while states()["pending"] + states()["retrying"] + states()["sending"] + states()["scheduled"] > 10:
        assert time.monotonic() < deadline
        sweep()
        for lane in LANES:
            drain(lane, linger_s=0.1)
    sweep(ahead=timedelta(seconds=60))
    assert account() == {"delivered": 35, "dead": 10, "suppressed": 15, "cancelled": 10}
    assert Counter(Notification.objects.values_list("pk", flat=True)) == Counter([*accepted, *withdrawn])


def account() -> Counter[str]:
    """Where all notifications stand, as the API tells it."""
    return Counter(notification.state for notification in Notification.objects.with_state())


@pytest.mark.slow
def test_workers_that_are_killed_and_a_broker_that_forgets_lose_nothing(
    workers: Workers, world: World, broker: redis.Redis
) -> None:
    place = "do/delay_ms=150/killed"
    channel = channel_at(world.behaving_url("delay_ms=150", "killed"), max_in_flight=5)
    told: list[UUID] = []
    kills = 3

    def seen_more_than(count: int) -> bool:
        return len(world.seen(place)) > count

    with sweeping(0.3):
        for _ in range(kills):
            worker, before = workers.start(), len(world.seen(place))
            told += accept_many(30)
            eventually(partial(seen_more_than, before + 5), within_s=20)
            worker.kill()
            broker.flushdb()
        workers.start()
        eventually(lambda: states(channel) == {"delivered": 90}, within_s=30)
    ids = idempotency_ids(world.seen(place))
    assert {UUID(one.split("_")[1]) for one in ids} == set(told)
    # In flight at a kill: five without an answer, and five whose answers were about to be written.
    assert sum(ids.values()) - len(ids) <= 2 * 5 * kills


@pytest.mark.slow
def test_a_rolling_restart_under_load_loses_nothing_and_repeats_nothing(workers: Workers, world: World) -> None:
    place = "do/delay_ms=60/rolling"
    channel = channel_at(world.behaving_url("delay_ms=60", "rolling"), max_in_flight=4)
    accept_many(150)
    with sweeping(0.3):
        old = workers.start()
        for _ in range(2):
            eventually(lambda: len(world.seen(place)) >= 10, within_s=20)
            new = workers.start()
            old.stop(within_s=10)
            old = new
        eventually(lambda: states(channel) == {"delivered": 150}, within_s=30)
    assert set(idempotency_ids(world.seen(place)).values()) == {1}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"ok"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("here")
def test_what_is_open_is_open_for_a_reason_and_moves_on_when_its_time_comes(world: World) -> None:
    """No state without somebody who moves it on: from each open state a sweep and a drain lead to an end."""
    channel = channel_at(world.behaving_url("status=503,for_requests=1", "stuck"), retry_base_s=0.0)
    accept_many(3)
    route()
    drain(linger_s=0.0)
    make_due(*channel.deliveries.all())
    for _ in range(3):
        sweep()
        drain()
    assert not channel.deliveries.filter(state__in=OPEN).exists()
