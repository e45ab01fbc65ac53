"""Bad things are done between feeds and their clients, and every client ends with exactly the rows of the database.

The short set has few clients, and compares positions often. All others are long: `./belfry test -m long`, or the
command `./belfry chaos`, plays them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from project.chaos.cases import LIVE_CASES
from project.chaos.live.case import LiveCase
from project.chaos.live.playing import LivePlaying
from project.chaos.main import Chaos
from project.chaos.screen import Screen

SHORT = ("live-killed", "live-bus-loses")
CHECK_S = 3.0
QUIET = LiveCase(name="live-quiet", what="nothing", fault=lambda _: time.sleep(1.0), check_s=CHECK_S)


@pytest.fixture(scope="module")
def chaos() -> Iterator[Chaos]:
    with Chaos(screen=Screen(sys.stderr), size=50, seed=7) as running:
        yield running


def keeps_its_promises(chaos: Chaos, case: LiveCase) -> None:
    account = chaos.play(case)
    assert account.accepted > 50
    assert account.broken_promises == []


@pytest.mark.parametrize("name", [SHORT[0], pytest.param(SHORT[1], marks=pytest.mark.slow)])
def test_every_client_ends_with_exactly_the_rows(chaos: Chaos, name: str) -> None:
    keeps_its_promises(chaos, replace(LIVE_CASES[name], check_s=CHECK_S))


def test_a_client_that_was_robbed_of_one_change_is_found(chaos: Chaos) -> None:
    stage = chaos._live_stage(CHECK_S)
    account = LivePlaying(QUIET, stage, chaos.screen, chaos.size, chaos.seed, robbed=True).account()
    assert account.lost == 1
    assert "1 lost" in account.broken_promises
    [lack] = json.loads(Path(stage.folder, "live-quiet.json").read_text())["lacks"]
    assert (lack["client"], lack["why"]) == ("sse-0", "was never told of it")


@pytest.mark.long
@pytest.mark.parametrize("name", LIVE_CASES)
def test_many_clients_and_many_changes_do_so_too(chaos: Chaos, name: str) -> None:
    chaos.size = 500
    keeps_its_promises(chaos, LIVE_CASES[name])
