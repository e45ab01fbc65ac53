"""/health: with engines that are there, away, or silent."""

from __future__ import annotations

import socket
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from rest_framework.test import APIClient

from notifications.api import health

URL = "/api/v1/health"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def ask() -> tuple[int, dict[str, Any]]:
    answer = APIClient().get(URL)
    return answer.status_code, answer.json()


@pytest.mark.django_db
def test_all_is_well() -> None:
    status, body = ask()
    assert status == 200
    assert {body[part] for part in ("status", "database", "redis", "broker")} == {"ok"}
    project = tomllib.loads((Path(django_settings.BASE_DIR) / "pyproject.toml").read_text())
    assert body["version"] == project["project"]["version"]


@pytest.mark.django_db
@pytest.mark.parametrize("setting", ["BELFRY_REDIS_URL", "BELFRY_BROKER_URL"])
def test_without_redis_it_still_serves(settings: Any, setting: str) -> None:
    setattr(settings, setting, "redis://127.0.0.1:1/0")
    status, body = ask()
    assert (status, body["status"], body["database"]) == (200, "degraded", "ok")


@pytest.mark.django_db
def test_a_silent_engine_costs_seconds_and_no_more(settings: Any, silent: int) -> None:
    settings.BELFRY_REDIS_URL = f"redis://127.0.0.1:{silent}/0"
    settings.BELFRY_BROKER_URL = f"amqp://127.0.0.1:{silent}//"
    began = time.monotonic()
    status, body = ask()
    assert time.monotonic() - began < 3
    assert (status, body["redis"], body["broker"]) == (200, "away", "away")


def test_without_the_database_it_does_not_serve(monkeypatch: pytest.MonkeyPatch, silent: int) -> None:
    parameters = {"host": "127.0.0.1", "port": silent, "user": "x", "dbname": "x"}
    monkeypatch.setattr(connection, "get_connection_params", lambda: parameters)
    began = time.monotonic()
    status, body = ask()
    assert time.monotonic() - began < 3
    assert (status, body["status"], body["database"]) == (503, "away", "away")


def test_what_hangs_is_away() -> None:
    with ThreadPoolExecutor(2) as threads:
        parts = health.ask({"database": lambda: None, "redis": lambda: time.sleep(2)}, threads)
    assert parts == {"database": "ok", "redis": "away"}


@pytest.mark.django_db
def test_asking_often_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    monkeypatch.setattr(health, "ask", lambda *_: pytest.fail("asked again"))
    assert ask()[0] == 200


def test_a_bad_key_does_not_matter_here() -> None:
    assert APIClient(HTTP_AUTHORIZATION="Bearer nonsense").get(URL).status_code == 200
