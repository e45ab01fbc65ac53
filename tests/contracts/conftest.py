from __future__ import annotations

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def _loopback_is_open(settings: Settings) -> None:
    settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]
