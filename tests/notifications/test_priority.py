"""Words and numbers of urgency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.priority import HIGHEST, LOWEST, WORDS, NotAPriority, Priority, label, lane_class, parse


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("debug", 2),
        ("low", 2),
        ("info", 5),
        ("normal", 5),
        ("high", 8),
        ("critical", 10),
        (" High ", 8),
        ("CRITICAL", 10),
    ],
)
def test_both_vocabularies_are_understood_in_any_case(word: str, number: int) -> None:
    assert parse(word) == number


@given(st.integers(LOWEST, HIGHEST))
def test_every_integer_of_the_scale_is_itself_also_as_text(number: int) -> None:
    assert parse(number) == parse(str(number)) == number


@given(st.one_of(st.integers(max_value=-1), st.integers(min_value=11)))
def test_integers_beside_the_scale_are_refused(number: int) -> None:
    with pytest.raises(NotAPriority):
        parse(number)


@pytest.mark.parametrize("value", [None, True, False, 5.0, [], {}, "", "urgent", "5.5", "-1", "+5", "²", "1" * 5000])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(NotAPriority, match="critical"):
        parse(value)


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.binary()))
def test_whatever_comes_is_a_number_of_the_scale_or_refused(value: object) -> None:
    try:
        number = parse(value)
    except NotAPriority:
        return
    assert LOWEST <= number <= HIGHEST
    assert type(number) is int


def test_every_word_falls_into_the_band_that_bears_its_name() -> None:
    assert {word: label(number) for word, number in WORDS.items()} == {
        "debug": "low",
        "low": "low",
        "info": "normal",
        "normal": "normal",
        "high": "high",
        "critical": "critical",
    }


def test_more_urgent_is_never_in_a_lesser_band_or_lane() -> None:
    bands = ["low", "normal", "high", "critical"]
    assert [bands.index(label(n)) for n in range(11)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert [lane_class(n) for n in range(11)] == ["low"] * 4 + ["normal"] * 3 + ["high"] * 4


def test_the_four_steps_are_those_of_the_scale() -> None:
    assert [int(step) for step in Priority] == [2, 5, 8, 10]
