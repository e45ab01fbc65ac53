"""The demo, played in full: every accepted notification is accounted for, and the world agrees."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import env
from project.demo.ledger import Ledger
from project.demo.main import DEMO_ENV
from project.demo.performance import Performance
from project.demo.recording import read
from project.demo.screen import Screen
from project.embedded.engines import ENGINE_VARIABLES
from project.embedded.supervisor import ROOT, Supervisor
from project.outside import World

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(seed=7) as running:
        yield running


@pytest.fixture(scope="module")
def ledger(world: World, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    home = tmp_path_factory.mktemp("demo")
    with Supervisor(home=home, extra_env=DEMO_ENV, own_engines=True, fast=True) as belfry:
        return Performance(belfry=belfry, world=world, screen=Screen(io.StringIO()), seed=7, speed=3000.0).run()


def test_every_accepted_notification_is_in_exactly_one_account(ledger: Ledger) -> None:
    assert ledger.accepted == len({line.key for line in read()}) >= 240
    assert ledger.balances
    assert (ledger.lost, ledger.lost_ids) == (0, ())


def test_nothing_waits_for_ever_and_nothing_came_twice(ledger: Ledger) -> None:
    assert (ledger.waiting, ledger.duplicates, ledger.deliveries["unclaimed"]) == (0, 0, 0)


def test_the_evening_has_something_of_everything(ledger: Ledger) -> None:
    assert min(ledger.delivered, ledger.suppressed, ledger.cancelled, ledger.dead, ledger.retried) > 0


def test_each_far_end_counts_what_belfry_counts(ledger: Ledger, world: World) -> None:
    places = {
        "demo-ops": "hooks/ops",
        "demo-flaky": "hooks/flaky",
        "demo-never-back": "hooks/never-back",
        "demo-lounge": "discord/lounge",
        "demo-rocket-alarm": "discord/rocket-alarm",
        "demo-mail": "mail",
    }
    told = {key: count["delivered"] for channels in ledger.channels.values() for key, count in channels.items()}
    del told["demo-log"]  # It is written into Belfry's own log, and the ledger has read it there.
    assert told == {key: sum(line.accepted for line in world.seen(place)) for key, place in places.items()}
    assert all(told.values())


def test_the_world_misbehaved_as_it_was_to(ledger: Ledger, world: World) -> None:
    refusals = {(line.place, line.status) for line in world.seen() if not line.accepted}
    asked_to_wait = {(place, status) for place, status in refusals if status == 429}
    assert refusals - asked_to_wait == {("hooks/flaky", 503), ("hooks/never-back", 500)}
    assert ledger.seconds < 60


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in env.inherited().items() if name not in ENGINE_VARIABLES}
    command = [sys.executable, "manage.py", "demo", "--json", "--kill-worker", "--speed", "3000"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, env.HOME.name: str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    ledger = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert (ledger["lost"], ledger["waiting"]) == (0, 0)
    assert ledger["accepted"] == sum(ledger[name] for name in ("delivered", "suppressed", "cancelled", "dead"))
