"""Cases that are played at the same time are dealt out, and every one has its account."""

from __future__ import annotations

import pytest

from project.chaos import together
from project.chaos.case import Case, Scene
from project.chaos.cases import CASES
from project.chaos.together import play_together, shares


def nothing(_: Scene) -> int:
    return 0


def test_every_case_is_dealt_once_and_in_order() -> None:
    cases = list(CASES.values())
    dealt = shares(cases, 3)
    assert sorted((case for share in dealt for case in share), key=cases.index) == cases
    assert all(share == sorted(share, key=cases.index) for share in dealt)


def test_all_shares_take_about_as_long() -> None:
    lengths = [sum(map(together._about_s, share)) for share in shares(list(CASES.values()), 2)]
    assert max(lengths) - min(lengths) < 20


def test_no_share_is_empty() -> None:
    assert len(shares([CASES["flushed"]], 4)) == 1


def test_a_case_whose_player_dies_has_an_account_of_that() -> None:
    unknown = Case(name="no-such-case", what="nobody knows it", fault=nothing)
    [account] = play_together([unknown], 2, seed=7, size=10)
    assert account.case == "no-such-case"
    assert "its player ended with code 1" in account.trouble
    assert "There is no case no-such-case" in account.trouble


@pytest.mark.long
def test_two_cases_are_played_at_a_time() -> None:
    cases = [CASES["web-killed"], CASES["control-killed"]]
    accounts = list(play_together(cases, 2, seed=7, size=100))
    assert {account.case for account in accounts} == {"web-killed", "control-killed"}
    assert [account.broken_promises for account in accounts] == [[], []]
