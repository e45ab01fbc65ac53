"""Nothing that the systems did which Belfry unites was forgotten: each row has a test, or a decision against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
DECISIONS = TESTS.parent / "docs" / "decisions"
_ROW = re.compile(r"\bS[235]-[A-Z]{2}-[0-9]{2}\b")


def rows() -> Iterator[tuple[str, str]]:
    """Each row with the test that it names, or ""."""
    for line in (TESTS / "contracts" / "seed_rows.txt").read_text().splitlines():
        if not line.startswith("#"):
            row, _, test = line.partition(" ")
            yield row, test


def named_in(files: Iterator[Path]) -> set[str]:
    return {row for path in files for row in _ROW.findall(path.read_text())}


def test_each_row_is_played_by_a_test_or_decided_on() -> None:
    answered = named_in(TESTS.rglob("test_*.py")) | named_in(DECISIONS.glob("0*.md"))
    assert [row for row, test in rows() if not test and row not in answered] == []


def test_no_row_is_named_that_there_is_not() -> None:
    known = {row for row, _ in rows()}
    assert len(known) == len(list(rows()))
    assert named_in(TESTS.rglob("test_*.py")) | named_in(DECISIONS.glob("0*.md")) <= known


@pytest.mark.parametrize(("row", "test"), [(row, test) for row, test in rows() if test])
def test_the_test_of_a_row_is_there(row: str, test: str) -> None:
    path, _, name = test.partition("::")
    assert re.search(rf"^ *(?:async )?def {name}\(", (TESTS / path).read_text(), re.MULTILINE), row
