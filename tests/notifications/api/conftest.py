"""What tests of the API share: callers, and a client that speaks as one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings
from rest_framework.test import APIClient

from notifications.api import authentication, feed_reader, health
from notifications.models import ApiKey, Streamer

#: A client that speaks as a key with this role, bound to this streamer.
ClientFor = Callable[..., APIClient]


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    authentication.REMEMBERED.forget()
    feed_reader.SECRETS.forget()
    health.KEPT.forget()


@pytest.fixture
def unknown_states() -> None:
    """Redis knows of no feed how it stands."""
    with redis.Redis.from_url(settings.BELFRY_REDIS_URL) as client:
        client.flushdb()


@pytest.fixture
def client_for(db: None) -> ClientFor:
    def make(role: str, streamer: Streamer | None = None) -> APIClient:
        _, text = ApiKey.objects.issue("test", role=role, streamer=streamer)
        return APIClient(HTTP_AUTHORIZATION=f"Bearer {text}")

    return make


@pytest.fixture
def operator(client_for: ClientFor) -> APIClient:
    return client_for("operator")


@pytest.fixture
def producer(client_for: ClientFor) -> APIClient:
    return client_for("producer")


@pytest.fixture
def nightowl(db: None) -> Streamer:
    return Streamer.objects.create(key="nightowl", name="NightOwl", platform="twitch")


@pytest.fixture
def daybird(db: None) -> Streamer:
    return Streamer.objects.create(key="daybird", name="DayBird", platform="twitch")


@pytest.fixture
def webhook() -> dict[str, Any]:
    """A channel as an operator sends it."""
    return {
        "key": "ops",
        "name": "Operations",
        "kind": "webhook",
        "config": {"url": "https://hooks.example.org/canary-url", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"},
    }
