from collections.abc import Iterator

import pytest

from project.outside import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One world for each file of tests; each test uses places of its own."""
    with World(seed=7) as running:
        yield running
