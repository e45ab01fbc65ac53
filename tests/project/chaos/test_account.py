"""An account says which promises were broken."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from project.chaos.account import Account, account_of, seen_of
from project.demo.ledger import Ledger
from project.outside.journal import Received

GOOD = Account(case="flushed", accepted=10, delivered=6, dead=2, suppressed=1, cancelled=1, in_flight=3, duplicates=3)
ONE, OTHER = UUID(int=1), UUID(int=2)


def received(name: str, *, place: str = "hooks/main", accepted: bool = True) -> Received:
    return Received(place, name, datetime.now(UTC), accepted, 204, b"")


def test_a_good_account_breaks_nothing() -> None:
    assert GOOD.balances
    assert GOOD.broken_promises == []


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("1 lost", {"lost": 1, "delivered": 5}),
        ("1 still wait", {"waiting": 1, "delivered": 5}),
        ("the account does not balance", {"delivered": 5}),
        ("4 came twice, 3 were in flight", {"duplicates": 4}),
        ("recovered after 30.1 s only", {"recovered_s": 30.1}),
        ("somebody was asleep", {"trouble": "somebody was asleep"}),
    ],
)
def test_each_broken_promise_is_named(what: str, change: dict[str, object]) -> None:
    assert replace(GOOD, **change).broken_promises == [what]  # type: ignore[arg-type]


def test_an_account_of_nothing_proves_nothing() -> None:
    assert Account(case="flushed").broken_promises == ["nothing was accepted"]


def test_an_account_in_json_has_the_words_of_the_command() -> None:
    words = "case accepted delivered dead suppressed cancelled waiting lost duplicates in_flight recovered_s seconds"
    assert list(GOOD.as_json()) == words.split()
    assert replace(GOOD, trouble="x").as_json()["trouble"] == "x"
    assert replace(GOOD, run=1).as_json()["seed"] == 0


def test_an_account_can_be_read_again() -> None:
    account = replace(GOOD, trouble="x", left="/some/folder", run=2, seed=8)
    assert Account.from_json(json.dumps(account.as_json())) == account


def test_a_ledger_becomes_an_account() -> None:
    ledger = Ledger(accepted=3, delivered=2, dead=1, duplicates=1, seconds=4.0)
    account = account_of("flushed", ledger, in_flight=2, recovered_s=1.234)
    assert (account.accepted, account.delivered, account.dead, account.duplicates) == (3, 2, 1, 1)
    assert (account.in_flight, account.recovered_s, account.seconds) == (2, 1.23, 4.0)
    assert account.broken_promises == []


def test_only_what_was_accepted_and_taken_is_seen() -> None:
    ours, theirs = f"msg_{ONE.hex}_7", f"msg_{OTHER.hex}_8"
    lines = [
        received(ours),
        received(ours),
        received(ours, accepted=False),
        received(theirs),
        received(""),
        received("x"),
    ]
    assert seen_of([str(ONE)], lines) == {ours: 2}
