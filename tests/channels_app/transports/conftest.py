"""What tests of transports share: the outside world, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from project.outside import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One world for each file of tests; each test uses places of its own."""
    with World(seed=11) as running:
        yield running


@pytest.fixture(autouse=True)
def _loopback_is_open(settings: Settings) -> None:
    settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]
