"""Belfry behind RabbitMQ instead of Redis: the same promises, also when the broker dies and comes back empty."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from project.embedded.supervisor import Supervisor
from project.outside import World
from tests.rabbitmq import RabbitMQ

pytestmark = [pytest.mark.rabbitmq, pytest.mark.slow]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RabbitMQ]:
    folder = tmp_path / "rabbitmq"
    folder.mkdir()
    with RabbitMQ(folder) as running:
        yield running


@pytest.fixture
def live(tmp_path: Path, broker: RabbitMQ) -> Iterator[Supervisor]:
    extra = {"BROKER_URL": broker.url, "BELFRY_ALLOWED_NETWORKS": "127.0.0.0/8"}
    with Supervisor(home=tmp_path / "belfry", own_engines=True, fast=True, extra_env=extra) as running:
        yield running


def operator_of(live: Supervisor) -> requests.Session:
    made = live.manage("apikey", "create", "--name", "test", "--role", "operator", "--json")
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {json.loads(made.stdout)['key']}"
    return session


def tell(live: Supervisor, operator: requests.Session, count: int) -> None:
    drafts = [{"event_type": "stream_online", "title": f"Number {n}"} for n in range(count)]
    answer = operator.post(f"{live.url}/api/v1/notifications/bulk", json={"notifications": drafts}, timeout=20)
    assert answer.status_code == 202, answer.text


def seen_within(world: World, count: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while len(world.seen("sink/rabbit")) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return len(world.seen("sink/rabbit"))


def test_what_is_accepted_is_delivered_once_through_rabbitmq_and_after_it_came_back_empty(
    live: Supervisor, tmp_path: Path, broker: RabbitMQ
) -> None:
    operator = operator_of(live)
    with World(seed=5) as world:
        channel = {"key": "sink", "name": "Sink", "kind": "webhook", "config": {"url": world.sink_url("rabbit")}}
        assert operator.post(f"{live.url}/api/v1/channels", json=channel, timeout=20).status_code == 201
        tell(live, operator, 100)
        assert seen_within(world, 100, 30) == 100

        broker.kill()
        tell(live, operator, 100)  # The producer notices nothing.
        broker.empty()
        with broker:
            assert seen_within(world, 200, 60) == 200
        assert not world.duplicates("sink/rabbit")
