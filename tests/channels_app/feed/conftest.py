"""A Redis that is empty at the beginning, and what tests of feeds are made of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from channels_app.feed.unread import UnreadCache, default_unread, feed_volatile


@pytest.fixture(autouse=True)
def bus() -> Iterator[redis.Redis]:
    """The Redis of feeds, empty, for looking at what stands in it."""
    client = redis.Redis.from_url(settings.BELFRY_REDIS_URL, decode_responses=True)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def cache() -> UnreadCache:
    return default_unread()


@pytest.fixture
def other_process() -> UnreadCache:
    """The cache as another process has it: the same Redis, its own knowledge of the generation."""
    return UnreadCache(feed_volatile())
