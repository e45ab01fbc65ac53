"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType

import pytest
import redis
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from channels_app import registry
from channels_app.registry import AnyTransport
from notifications import sweep
from project.outside import World
from tests.notifications.crier import Crier
from tests.notifications.scene import forget_the_rules


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The outside world. Each test uses places of its own."""
    with World(seed=11) as running:
        yield running


@pytest.fixture(autouse=True)
def _loopback_is_open(settings: Settings) -> None:
    settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture(autouse=True)
def _the_database_is_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been started for this very test."""
    monkeypatch.setattr(sweep, "GRACE_S", 0.0)


@pytest.fixture(autouse=True)
def _rules_are_read_anew() -> None:
    forget_the_rules()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[AnyTransport], None]:
    """Adds a kind of channel, for one test."""

    def add(transport: AnyTransport) -> None:
        found = MappingProxyType({**registry._found(), transport.kind: transport})
        monkeypatch.setattr(registry, "_found", lambda: found)

    return add


@pytest.fixture
def crier(install: Callable[[AnyTransport], None]) -> Iterator[type[Crier]]:
    """A kind of channel that blocks."""
    install(Crier())
    Crier.forget()
    yield Crier
    Crier.released.set()


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The broker's Redis, empty."""
    client = redis.Redis.from_url(django_settings.BELFRY_BROKER_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()
