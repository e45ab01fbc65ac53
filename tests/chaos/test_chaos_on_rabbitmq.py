"""The same with RabbitMQ as the broker: it dies, hangs, forgets, and workers die beside it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from project.chaos.case import Case, Scene
from project.chaos.cases import DELIVERY_CASES
from project.chaos.main import Chaos
from project.chaos.screen import Screen
from project.chaos.stage import Setting
from tests.rabbitmq import RabbitMQ

pytestmark = [pytest.mark.long, pytest.mark.rabbitmq]


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running


@pytest.fixture(scope="module")
def chaos(rabbitmq: RabbitMQ) -> Iterator[Chaos]:
    with Chaos(screen=Screen(sys.stderr), size=150, seed=7) as running:
        yield running


def keeps_its_promises(chaos: Chaos, rabbitmq: RabbitMQ, case: Case) -> None:
    account = chaos.play(replace(case, setting=Setting(lease_s=4.0, broker_url=rabbitmq.url)))
    assert account.accepted > 50
    assert account.broken_promises == []


@pytest.mark.parametrize("name", ["killed-before-settle", "rolling-restart"])
def test_what_happens_to_processes_loses_nothing(chaos: Chaos, rabbitmq: RabbitMQ, name: str) -> None:
    keeps_its_promises(chaos, rabbitmq, DELIVERY_CASES[name])


def test_a_broker_that_comes_back_empty_loses_nothing(chaos: Chaos, rabbitmq: RabbitMQ) -> None:
    def comes_back_empty(scene: Scene) -> int:
        rabbitmq.kill()
        rabbitmq.empty()
        time.sleep(5)
        rabbitmq.__enter__()
        return 0

    keeps_its_promises(chaos, rabbitmq, Case(name="empty", what="it forgets", fault=comes_back_empty, lasts_s=12))


def test_a_broker_that_hangs_loses_nothing(chaos: Chaos, rabbitmq: RabbitMQ) -> None:
    def hangs(scene: Scene) -> int:
        os.killpg(rabbitmq._process.pid, signal.SIGSTOP)
        time.sleep(12)
        os.killpg(rabbitmq._process.pid, signal.SIGCONT)
        return 0

    keeps_its_promises(chaos, rabbitmq, Case(name="hangs", what="it hangs", fault=hangs, lasts_s=12))
