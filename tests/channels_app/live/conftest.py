"""A live process of each test's own: uvicorn in a thread, with the test's Postgres and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
from django.conf import settings

from channels_app.live.limits import Limits
from tests.channels_app.live.running import Running, StartsLive


@pytest.fixture
def bus(transactional_db: None) -> Iterator[redis.Redis]:
    """The Redis of hints, presence and tickets, empty at the beginning."""
    client = redis.Redis.from_url(settings.BELFRY_REDIS_URL)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def start(bus: redis.Redis) -> Iterator[StartsLive]:
    """Starts live processes, with other limits where they are given."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(Running(Limits(**limits)))


@pytest.fixture
def live(start: StartsLive) -> Running:
    return start()
