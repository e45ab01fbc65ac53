"""A Redis for each test: empty at its beginning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from channels_app.volatile import Volatile, connect


@pytest.fixture
def volatile() -> Iterator[Volatile]:
    client = connect(settings.BELFRY_REDIS_URL)
    client.flushdb()
    yield Volatile(client)
    client.close()


@pytest.fixture
def absent() -> Volatile:
    """A Redis that nobody runs."""
    return Volatile(connect("redis://127.0.0.1:1/0"))
