"""What tests of the promises share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from project.outside import World
from tests.acceptance.workers import Workers
from tests.notifications.scene import forget_the_rules


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The outside world. Each test uses places of its own."""
    with World(seed=13) as running:
        yield running


@pytest.fixture
def here(settings: Settings) -> None:
    """This process works for the engine too, and may reach the world."""
    settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    forget_the_rules()


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The broker's Redis, empty."""
    client = redis.Redis.from_url(django_settings.BELFRY_BROKER_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def workers(transactional_db: None, broker: redis.Redis, tmp_path: Path, here: None) -> Iterator[Workers]:
    """Real workers on the tests' own database; none runs until a test starts one."""
    found = Workers(tmp_path)
    yield found
    found.stop()
