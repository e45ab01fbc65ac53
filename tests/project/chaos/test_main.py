"""What goes wrong in one case is its own trouble, and never that of the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, Self

import pytest

from project.chaos import main
from project.chaos.account import Account
from project.chaos.case import Case
from project.chaos.main import Chaos, Plan
from project.chaos.playing import Playing
from project.chaos.screen import Screen
from project.chaos.stage import Setting

FLUSHED, STOPPED = (Case(name=name, what="", fault=lambda _: 0) for name in ("flushed", "stopped"))


class EmptyStage:
    """Stands there and says so; nothing is started."""

    made: list[EmptyStage] = []

    def __init__(self, setting: Setting, *, seed: int) -> None:
        self.setting, self.seed, self.folder = setting, seed, Path("/stage") / str(len(self.made))
        self.keep = self.left = False
        self.wrong = ""
        self.made.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.left = True

    def what_is_wrong(self) -> str:
        return self.wrong


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EmptyStage]]:
    monkeypatch.setattr(main, "Stage", EmptyStage)
    yield EmptyStage.made
    EmptyStage.made.clear()


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Case], Account]], None]:
    """Every case is played like this from now on."""
    return lambda play: monkeypatch.setattr(Playing, "account", lambda self: play(self.case))


def kept(case: Case) -> Account:
    return Account(case=case.name, accepted=1, delivered=1)


def chaos() -> Chaos:
    return Chaos(screen=Screen(StringIO()), size=10, seed=7)


def test_a_stage_serves_as_many_cases_as_it_can(stages: list[EmptyStage], playing: Any) -> None:
    playing(kept)
    with chaos() as one:
        assert [one.play(case).broken_promises for case in (FLUSHED, STOPPED)] == [[], []]
    assert [(stage.left, stage.keep) for stage in stages] == [(True, False)]


def test_a_stage_that_is_not_as_new_is_left(stages: list[EmptyStage], playing: Any) -> None:
    playing(kept)
    with chaos() as one:
        one.play(FLUSHED)
        stages[0].wrong = "beat not running"
        one.play(STOPPED)
    assert [(stage.left, stage.keep) for stage in stages] == [(True, False), (True, False)]


def test_what_is_thrown_in_a_case_is_its_trouble_and_the_next_is_played(stages: list[EmptyStage], playing: Any) -> None:
    def play(case: Case) -> Account:
        if case is FLUSHED:
            raise RuntimeError("the sky fell\nin pieces")
        return kept(case)

    playing(play)
    with chaos() as one:
        assert one.play(FLUSHED) == Account(case="flushed", trouble="RuntimeError: the sky fell", left="/stage/0")
        assert one.play(STOPPED) == kept(STOPPED)
    assert [stage.keep for stage in stages] == [True, False]


def test_a_case_that_hangs_is_given_up(stages: list[EmptyStage], playing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(case: Case) -> Account:
        if case is FLUSHED:
            time.sleep(60)
        return kept(case)

    playing(play)
    monkeypatch.setattr(main, "_GIVES_UP_AFTER_S", 1)
    accounts = list(Plan(cases=[FLUSHED, STOPPED]).accounts(1, Screen(StringIO())))
    assert [account.trouble for account in accounts] == ["Stuck: it was not over after 1 s", ""]


def test_each_run_has_a_stage_of_its_own(stages: list[EmptyStage], playing: Any) -> None:
    playing(kept)
    plan = Plan(cases=[FLUSHED, STOPPED], runs=2, seed=3)
    for run in (1, 2):
        assert [account.seed for account in plan.accounts(run, Screen(StringIO()))] == [run + 2] * 2
    assert [(stage.seed, stage.left) for stage in stages] == [(3, True), (4, True)]
