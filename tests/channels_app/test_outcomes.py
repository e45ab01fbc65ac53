"""One vocabulary for every transport, and its table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from channels_app import outcomes
from channels_app.outcomes import MAX_DETAIL_CHARS, MAX_RETRY_AFTER_S, BreakerSignal, Outcome, Verdict

LIFECYCLE = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"


def rows_of(text: str) -> dict[str, list[str]]:
    """The lines of a table that begin with an outcome: name → the other cells."""
    lines = [[cell.strip(" `") for cell in line.strip().strip("|").split("|")] for line in text.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) > 3 and cells[0] in set(Outcome)}


def test_the_table_names_every_outcome_and_says_what_the_code_does() -> None:
    table = rows_of(outcomes.__doc__ or "")
    assert set(table) == set(Outcome)
    for name, (counts, breaker, _) in table.items():
        assert (counts == "yes") == Outcome(name).counts_as_attempt
        assert breaker == Outcome(name).breaker_signal.value


def test_the_document_has_the_same_table() -> None:
    assert rows_of(LIFECYCLE.read_text()) == rows_of(outcomes.__doc__ or "")


def test_waiting_is_neither_an_attempt_nor_a_failure() -> None:
    assert not Outcome.RATE_LIMITED.counts_as_attempt
    assert Outcome.RATE_LIMITED.breaker_signal is BreakerSignal.NOTHING


@pytest.mark.parametrize(
    ("asked", "obeyed"),
    [(None, None), (0.0, 0.0), (1.5, 1.5), (-3.0, 0.0), (1e9, MAX_RETRY_AFTER_S), (float("inf"), MAX_RETRY_AFTER_S)],
)
def test_a_time_to_wait_is_bounded(asked: float | None, obeyed: float | None) -> None:
    assert Verdict(Outcome.RATE_LIMITED, retry_after_s=asked).retry_after_s == obeyed


def test_a_time_that_is_no_number_is_none() -> None:
    assert Verdict(Outcome.RATE_LIMITED, retry_after_s=float("nan")).retry_after_s is None


def test_a_detail_is_short_and_can_be_stored() -> None:
    verdict = Verdict(Outcome.TRANSIENT, 500, "a\0b\ud800\r\n" + "x" * 5000)
    assert len(verdict.detail) <= MAX_DETAIL_CHARS
    assert not re.search("[\0\r\ud800]", verdict.detail)
