"""What tests of several rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from project.embedded.pytest_plugin import chromium
from project.embedded.supervisor import Supervisor
from project.embedded.up import to_reach
from project.outside.world import World


@pytest.fixture(scope="session")
def belfry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """A whole Belfry with engines of its own, that may reach channels on loopback. Started when first asked for."""
    home: Path = tmp_path_factory.mktemp("belfry")
    with World() as world:
        reach = {**to_reach(world), "BELFRY_ALLOWED_NETWORKS": "127.0.0.0/8"}
        with Supervisor(home=home, own_engines=True, fast=True, extra_env=reach) as running:
            yield running


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser of the browser tests; those are marked `browser`, and skipped where there is none."""
    path = chromium()
    assert path is not None, "mark the test with @pytest.mark.browser"
    return path
