"""The bell: it never blocks, never raises, and rings once for many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
import redis

from notifications.lanes import LANES, MOST_WAITING, queue_of
from notifications.wake import ROUTE, Bell, wake
from tests.notifications.brokers import broker_at, frozen_broker, no_broker
from tests.notifications.scene import eventually


@pytest.mark.parametrize("trouble", [no_broker, frozen_broker])
def test_a_thousand_rings_for_nobody_take_no_time(trouble: Callable[[], AbstractContextManager[object]]) -> None:
    with trouble():
        began = time.monotonic()
        for _ in range(1000):
            wake("http-normal")
        assert time.monotonic() - began < 1


@pytest.mark.parametrize("lane", LANES)
def test_a_lane_is_woken_in_its_queue(lane: str, broker: redis.Redis) -> None:
    wake(lane)
    [message] = eventually(lambda: messages(broker, queue_of(lane)))
    assert message["headers"]["task"] == "notifications.drain"
    assert message["headers"]["argsrepr"] == repr((lane,))


def test_routing_is_woken_in_its_own(broker: redis.Redis) -> None:
    wake(ROUTE)
    [message] = eventually(lambda: messages(broker, "route"))
    assert message["headers"]["task"] == "notifications.route"


def test_many_rings_are_few_messages_and_at_least_one(broker: redis.Redis) -> None:
    for _ in range(2000):
        wake("http-high")
    eventually(lambda: messages(broker, "deliver.http-high"))
    time.sleep(0.1)
    assert 1 <= len(messages(broker, "deliver.http-high")) <= 30


def test_a_ring_after_the_last_was_heard_is_heard_too(broker: redis.Redis) -> None:
    def heard(times: int) -> bool:
        return len(messages(broker, "deliver.http-low")) == times

    for times in (1, 2, 3):
        wake("http-low")
        eventually(partial(heard, times))


def test_a_wake_up_has_no_time_of_its_own(broker: redis.Redis) -> None:
    """No countdown and no ETA: a message that waits would sit in a worker's memory."""
    wake("http-normal")
    [message] = eventually(lambda: messages(broker, "deliver.http-normal"))
    assert message["headers"]["eta"] is None
    assert message["headers"]["expires"] is None


def test_after_a_broker_that_was_away_the_bell_rings_again(broker: redis.Redis) -> None:
    url = broker_url(broker)
    with no_broker():
        wake("http-normal")
        time.sleep(0.1)
        with broker_at(url):
            wake("http-normal")
            eventually(lambda: messages(broker, "deliver.http-normal"))


@pytest.mark.parametrize("lane", ["http-normal", ROUTE])
def test_what_nobody_takes_does_not_fill_the_broker(lane: str, broker: redis.Redis) -> None:
    queue = ROUTE if lane == ROUTE else queue_of(lane)
    broker.rpush(queue, *["{}"] * MOST_WAITING)
    bell = Bell()
    bell.ring(lane)
    eventually(lambda: lane in bell._looked)
    bell.ring(lane)
    time.sleep(0.1)
    assert broker.llen(queue) == MOST_WAITING
    broker.delete(queue)
    time.sleep(1)
    bell.ring(lane)
    eventually(lambda: messages(broker, queue))


def messages(broker: redis.Redis, queue: str) -> list[dict[str, dict[str, object]]]:
    found = broker.lrange(queue, 0, -1)
    assert isinstance(found, list)
    return [json.loads(one) for one in found]


def broker_url(broker: redis.Redis) -> str:
    about = broker.connection_pool.connection_kwargs
    return f"redis://:{about['password']}@{about['host']}:{about['port']}/{about['db']}"
