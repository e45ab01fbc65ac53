"""P1: a worker that is told to stop ends within its grace, and what it had under way is not left to its lease."""

from __future__ import annotations

import os
import signal
import time

import pytest

from notifications.models import Attempt
from project.outside import World
from tests.acceptance.workers import Workers, sweeping
from tests.notifications.scene import accept_many, channel_at, eventually, states


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT])
def test_requests_that_hang_keep_no_worker_from_its_end(workers: Workers, world: World, how: signal.Signals) -> None:
    place = f"do/hang/stop-{how.name}"
    channel = channel_at(world.behaving_url("hang", f"stop-{how.name}"), timeout_s=60.0)
    accept_many(3)
    worker = workers.start()
    with sweeping(0.3):
        eventually(lambda: len(world.seen(place)) == 3, within_s=20)
    os.kill(worker.pid, how)
    began = time.monotonic()
    assert worker.wait(15), workers.words()
    assert 4 < time.monotonic() - began < 8
    assert states(channel) == {"retrying": 3}
    assert set(Attempt.objects.values_list("outcome", "detail")) == {
        ("unknown", "The worker had to stop before an answer came.")
    }
