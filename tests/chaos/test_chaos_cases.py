"""Bad things are done to a running Belfry, and everything it accepted is accounted for.

The short set tells the most in the least time, with a short lease. All others are long: `./belfry test -m long`,
or the command `./belfry chaos`, plays them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from project.chaos.case import Case
from project.chaos.cases import DELIVERY_CASES
from project.chaos.main import Chaos, in_order
from project.chaos.screen import Screen

SHORT = ("killed-before-settle", "flushed", "postgres-killed", "clock-ahead", "provider-resets")
SLOW = ("killed-before-settle",)
#: With the lease that the product comes with: what a dead worker held is tried again within 30 s.
WITH_THE_USUAL_LEASE = "killed-while-sending"
SHORT_LEASE_S = 4.0


def played_here(case: Case) -> Case:
    """The case with a short lease, but for the one that shows what the usual one does."""
    if case.name == WITH_THE_USUAL_LEASE:
        return case
    return replace(case, setting=replace(case.setting, lease_s=SHORT_LEASE_S))


PLAYED_HERE = {case.name: played_here(case) for case in DELIVERY_CASES.values()}
CASES_HERE = [case.name for case in in_order([*PLAYED_HERE.values()])]


@pytest.fixture(scope="module")
def chaos() -> Iterator[Chaos]:
    with Chaos(screen=Screen(sys.stderr), size=150, seed=7) as running:
        yield running


def keeps_its_promises(chaos: Chaos, name: str) -> None:
    account = chaos.play(PLAYED_HERE[name])
    assert account.accepted > 50
    assert account.broken_promises == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in SHORT]
)
def test_a_case_loses_nothing_and_repeats_no_more_than_was_in_flight(chaos: Chaos, name: str) -> None:
    keeps_its_promises(chaos, name)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in CASES_HERE if name not in SHORT])
def test_every_other_case_does_so_too(chaos: Chaos, name: str) -> None:
    keeps_its_promises(chaos, name)
