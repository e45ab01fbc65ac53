"""The command, its cases and its document."""

from __future__ import annotations

import json
import re
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from project.chaos.account import Account
from project.chaos.case import Case, Repeats
from project.chaos.cases import CASES
from project.chaos.main import Chaos
from project.chaos.screen import Screen
from project.embedded.supervisor import ROOT

DOCUMENT = ROOT / "docs" / "chaos.md"


Played = list[tuple[str, int]]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    """What would have been played, and with which seed; a case that ends in `-killed` loses something."""
    seen: Played = []

    def play(self: Chaos, case: Case) -> Account:
        seen.append((case.name, self.seed))
        lost = int(case.name.endswith("-killed"))
        return Account(case=case.name, accepted=2, delivered=2 - lost, lost=lost)

    monkeypatch.setattr(Chaos, "play", play)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return seen


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        call_command("chaos", *arguments)
    return end.value.code


def test_the_document_lists_the_cases_as_they_are() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(case.name, case.what, case.repeats.value) for case in CASES.values()]


def test_all_cases_are_played_as_often_as_asked_each_time_with_the_next_seed(played: Played, capsys: Any) -> None:
    assert exit_code("flushed", "beat-dead", "--runs", "2") == 0
    assert played == [("flushed", 7), ("beat-dead", 7), ("flushed", 8), ("beat-dead", 8)]
    rows, summary = capsys.readouterr().out.split("\n\n")
    assert rows.count("kept") == 4
    assert summary.count("kept") == 2


def test_a_case_that_is_named_twice_is_played_once_a_run(played: Played) -> None:
    assert exit_code("flushed", "flushed") == 0
    assert played == [("flushed", 7)]


def test_standard_error_tells_how_far_it_is(played: Played, capsys: Any) -> None:
    exit_code("web-killed", "flushed", "--runs", "2")
    lines = [re.sub(r"\d+:\d\d$", "time", line) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "run 1/2, case 1/2: 0 kept, 1 broken, time",
        "run 1/2, case 2/2: 1 kept, 1 broken, time",
        "run 2/2, case 1/2: 1 kept, 2 broken, time",
        "run 2/2, case 2/2: 2 kept, 2 broken, time",
    ]


def test_of_several_runs_each_object_says_which_and_how_to_play_it_alone(played: Played, capsys: Any) -> None:
    exit_code("flushed", "--json", "--runs", "2", "--seed", "0")
    told = json.loads(capsys.readouterr().out)
    assert [(entry["run"], entry["seed"]) for entry in told] == [(1, 0), (2, 1)]


def test_each_account_is_added_to_a_file_as_soon_as_it_is_there(
    played: Played, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    out, lengths = tmp_path / "accounts", []
    play = Chaos.play

    def looking(self: Chaos, case: Case) -> Account:
        lengths.append(len(out.read_text().splitlines()))
        return play(self, case)

    monkeypatch.setattr(Chaos, "play", looking)
    exit_code("flushed", "beat-dead", "--out", str(out), "--json")
    exit_code("web-killed", "--out", str(out))
    assert lengths == [0, 1, 2]
    lines = out.read_text().splitlines()
    assert [json.loads(line)["case"] for line in lines] == ["flushed", "beat-dead", "web-killed"]
    assert [json.loads(line) for line in lines[:2]] == json.loads(capsys.readouterr().out.splitlines()[0])


def test_json_is_one_list_with_an_object_a_case(played: Played, capsys: Any) -> None:
    assert exit_code("flushed", "beat-dead", "--json") == 0
    printed = capsys.readouterr().out
    assert [entry["case"] for entry in json.loads(printed)] == ["flushed", "beat-dead"]
    assert len(printed.splitlines()) == 1


def test_a_broken_promise_is_an_exit_code(played: Played, capsys: Any) -> None:
    assert exit_code("web-killed", "flushed") == 1
    assert len(played) == 2
    assert "1 lost" in capsys.readouterr().out


def test_who_interrupts_it_hears_of_what_was_over(played: Played, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    play = Chaos.play

    def interrupted(self: Chaos, case: Case) -> Account:
        if played:
            raise KeyboardInterrupt
        return play(self, case)

    monkeypatch.setattr(Chaos, "play", interrupted)
    assert exit_code("flushed", "beat-dead", "--json") == 130
    assert [entry["case"] for entry in json.loads(capsys.readouterr().out)] == ["flushed"]


def test_a_case_that_is_none_is_refused(played: Played) -> None:
    with pytest.raises(CommandError, match="no case nonsense"):
        call_command("chaos", "nonsense")
    assert played == []


def test_the_list_says_what_each_case_does(capsys: Any) -> None:
    call_command("chaos", "--list")
    printed = capsys.readouterr().out
    assert all(case.name in printed and case.what in printed for case in CASES.values())


def test_what_dies_with_something_in_its_hands_may_repeat_it_and_nothing_else_may() -> None:
    repeats = {case.name for case in CASES.values() if case.repeats is Repeats.NOTHING}
    assert {"rolling-restart", "flushed", "two-sweeps", "clock-back", "broker-stopped"} <= repeats
    assert not {name for name in repeats if name.startswith(("killed-", "provider-"))}


def test_a_screen_that_is_no_terminal_gets_whole_lines_only() -> None:
    stream = StringIO()
    screen = Screen(stream)
    screen.moving("flushed", "load", 3)
    screen.row(Account(case="flushed", accepted=1, delivered=1, left="/some/folder"))
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 3
    assert stream.getvalue().endswith("what flushed left is in /some/folder\n")


def test_the_product_knows_nothing_of_chaos() -> None:
    shipped = [path for room in ("project", "notifications", "channels_app") for path in (ROOT / room).rglob("*.py")]
    allowed = {ROOT / "project/chaos", ROOT / "project/management/commands"}
    others = [path for path in shipped if not allowed & set(path.parents)]
    assert sys.modules[Chaos.__module__]
    assert [path for path in others if "project.chaos" in path.read_text()] == []


def test_the_document_is_where_the_cases_are_looked_for() -> None:
    assert isinstance(DOCUMENT, Path)
    assert DOCUMENT.exists()
