"""The record of several runs, and what it makes of them in the end."""

from __future__ import annotations

from project.chaos.account import Account
from project.chaos.record import Record, Worst


def account(case: str, *, accepted: int = 10, **facts: float) -> Account:
    lost = int(facts.get("lost", 0))
    return Account(case=case, accepted=accepted, delivered=accepted - lost, **facts)  # type: ignore[arg-type]


def record_of(*accounts: Account, runs: int = 2, cases: int = 2) -> Record:
    record = Record(runs, cases)
    for one in accounts:
        record.add(one)
    return record


def test_how_far_it_is_counts_runs_cases_and_verdicts() -> None:
    record = record_of(account("flushed"), account("power-cut", lost=1), account("flushed"))
    assert record.progress(125.9) == "run 2/2, case 1/2: 2 kept, 1 broken, 2:05"


def test_the_worst_of_a_case_is_over_all_of_its_runs() -> None:
    record = record_of(
        account("power-cut", duplicates=4, in_flight=30, recovered_s=17.0, seconds=20.0),
        account("flushed", recovered_s=1.0, seconds=5.0),
        account("power-cut", duplicates=9, in_flight=11, recovered_s=12.0, seconds=21.0),
        account("flushed", lost=2, recovered_s=3.0, seconds=6.0),
    )
    assert record.worst() == [
        Worst(
            case="power-cut", played=2, broken=0, lost=0, waiting=0, duplicates=9, in_flight=11, recovered_s=17.0,
            seconds=20.5,
        ),
        Worst(
            case="flushed", played=2, broken=1, lost=2, waiting=0, duplicates=0, in_flight=0, recovered_s=3.0,
            seconds=5.5,
        ),
    ]  # fmt: skip


def test_more_duplicates_than_were_in_flight_are_worse_than_many() -> None:
    record = record_of(
        account("power-cut", duplicates=20, in_flight=30), account("power-cut", duplicates=2, in_flight=1)
    )
    assert [(worst.duplicates, worst.in_flight) for worst in record.worst()] == [(2, 1)]
