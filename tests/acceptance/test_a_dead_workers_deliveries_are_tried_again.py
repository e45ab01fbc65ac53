"""Promises 3 and 4: what a dead worker held is tried again soon, under the same id."""

from __future__ import annotations

import time

import pytest
import redis

from notifications.models import DeadLetter, Delivery
from notifications.tasks import deliver
from project.outside import World
from tests.acceptance.workers import Workers, sweeping
from tests.notifications.scene import a_delivery, accept_many, channel_at, eventually, idempotency_ids, outcomes, states

PLACE = "do/delay_ms=1000/killed-worker"


@pytest.mark.slow
def test_killed_in_the_middle_of_its_requests(workers: Workers, world: World) -> None:
    """The far end had taken them; nobody wrote it down. Each comes once more, with the id that it had."""
    channel = channel_at(world.behaving_url("delay_ms=1000", "killed-worker"))
    worker = workers.start()
    accept_many(8)
    with sweeping(0.5):
        eventually(lambda: len(world.seen(PLACE)) == 8, within_s=20)
        worker.kill()
        died = time.monotonic()
        assert states(channel) == {"sending": 8}
        workers.start()
        eventually(lambda: states(channel) == {"delivered": 8}, within_s=30)
        assert time.monotonic() - died < 30
    assert set(idempotency_ids(world.seen(PLACE)).values()) == {2}
    for delivery in Delivery.objects.all():
        assert [outcome for outcome, _ in outcomes(delivery)] == ["unknown", "ok"]
        assert (delivery.lost_leases, delivery.token) == (1, 2)


@pytest.mark.slow
def test_single_deliveries_by_a_real_worker_leave_no_message_that_waits(
    workers: Workers, world: World, broker: redis.Redis
) -> None:
    """`deliver` through the broker: to a far end that takes it, one that may later, and one that never will."""
    worker = workers.start()
    places = [world.sink_url("one"), world.behaving_url("status=503", "one"), world.behaving_url("missing", "one")]
    rows = [a_delivery(channel_at(place)) for place in places]
    for row in rows:
        deliver.delay(row.pk)
    eventually(lambda: states() == {"delivered": 1, "retrying": 1, "dead": 1}, within_s=20)
    assert [outcomes(row) for row in rows] == [[("ok", 204)], [("transient", 503)], [("permanent", 404)]]
    assert DeadLetter.objects.get().delivery == rows[2]
    eventually(lambda: not broker.hlen("unacked"))
    assert worker.alive
    assert not [key for key in broker.keys("deliver.*") if broker.llen(key)]
