"""`scheduled_at` is kept within a second, never early, once, and nobody is forgotten."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from notifications import clock
from notifications.models import Notification, Policy
from notifications.withdrawal import withdraw
from project.outside import World
from tests.acceptance.workers import Workers, sweeping
from tests.notifications.scene import accept, accept_many, channel_at, drain, eventually, idempotency_ids, route, states
from tests.notifications.scene import sweep as sweep_once

SECOND = timedelta(seconds=1)


@pytest.mark.slow
def test_by_real_workers_and_a_sweep_each_second(workers: Workers, world: World) -> None:
    """Two workers share the lane; each of forty leaves once, between its time and a second later."""
    channel = channel_at(world.sink_url("on-time"))
    for _ in range(2):
        workers.start()
    random, now = Random(5), clock.now()
    times = {
        accept(title=str(number), scheduled_at=at): at
        for number, at in enumerate(now + timedelta(seconds=random.uniform(1.5, 5.0)) for _ in range(40))
    }
    with sweeping(1.0):
        eventually(lambda: states(channel) == {"delivered": 40}, within_s=20)
    seen = world.seen("sink/on-time")
    assert set(idempotency_ids(seen).values()) == {1}
    late = {one.idempotency_id: one.received_at - times[_notification(one.idempotency_id)] for one in seen}
    assert len(late) == 40
    assert min(late.values()) >= timedelta()
    assert max(late.values()) < SECOND


def _notification(idempotency_id: str) -> UUID:
    return UUID(idempotency_id.split("_")[1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("here")
class TestOneAtATime:
    def test_not_before_its_time_however_often_one_looks(self, world: World) -> None:
        channel_at(world.sink_url("patience"))
        at = clock.now() + timedelta(milliseconds=700)
        accept(scheduled_at=at)
        route()
        while clock.now() < at:
            sweep_once()
            drain(linger_s=0.02)
            assert not [one for one in world.seen("sink/patience") if one.received_at < at]
        sweep_once()
        drain()
        [seen] = world.seen("sink/patience")
        assert timedelta() <= seen.received_at - at < SECOND

    def test_a_time_in_the_past_is_now(self, world: World) -> None:
        channel = channel_at(world.sink_url("past"))
        accept(scheduled_at=clock.now() - timedelta(days=3650))
        route()
        drain()
        assert states(channel) == {"delivered": 1}

    def test_a_failing_one_does_not_hold_up_those_of_the_same_moment(self, world: World) -> None:
        bad = channel_at(world.behaving_url("hang", "same-moment"), timeout_s=0.3, max_attempts=1)
        good = channel_at(world.sink_url("same-moment"))
        at = clock.now() + timedelta(milliseconds=300)
        accept_many(20, scheduled_at=at)
        route()
        sweep_once()
        drain(linger_s=0.6)
        assert states(good) == {"delivered": 20}
        assert all(one.received_at - at < SECOND for one in world.seen("sink/same-moment"))
        assert states(bad)["sending"] == 0

    def test_withdrawn_before_its_time_it_never_leaves(self, world: World) -> None:
        channel = channel_at(world.sink_url("withdrawn"))
        at = clock.now() + timedelta(milliseconds=200)
        pk = accept(scheduled_at=at)
        route()
        sweep_once()
        withdraw(Notification.objects.get(pk=pk), by="ada", now=clock.now())
        eventually(lambda: clock.now() > at)
        sweep_once()
        drain()
        assert states(channel) == {"cancelled": 1}
        assert not world.seen("sink/withdrawn")

    def test_what_the_policy_no_longer_wants_at_its_time_does_not_leave(self, world: World) -> None:
        channel = channel_at(world.sink_url("unwanted"))
        accept(scheduled_at=clock.now() + timedelta(milliseconds=200))
        route()
        Policy.objects.create(scope="global", enabled=False)
        sweep_once()
        drain()
        assert states(channel) == {"cancelled": 1}
        assert not world.seen("sink/unwanted")
