"""A cursor says what it says and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app.feed.cursor import BadCursor, Cursor


def test_it_is_written_as_epoch_and_number() -> None:
    assert str(Cursor(7, 1042)) == "7-1042"
    assert Cursor.parse("7-1042") == Cursor(7, 1042)


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))
def test_what_is_written_can_be_read(epoch: int, seq: int) -> None:
    assert Cursor.parse(str(Cursor(epoch, seq))) == Cursor(epoch, seq)


@pytest.mark.parametrize(
    "text",
    ["", "7", "-", "7-", "-1042", "7--1", "7-1042-1", " 7-1042", "7-1042\n", "+7-1", "7-1.0", "7-0x1", "seven-one",
     "٧-١", "7-１", "7-1042\0", "9" * 10 + "-1", "1-" + "9" * 19, "1'; DROP TABLE x; --"],
)  # fmt: skip
def test_garbage_is_no_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursor.parse(text)


@given(st.text(max_size=40))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    try:
        cursor = Cursor.parse(text)
    except BadCursor:
        return
    assert 0 <= cursor.seq < 2**63
    assert 0 <= cursor.epoch < 2**31


def test_later_is_greater() -> None:
    assert Cursor(1, 9) < Cursor(1, 10) < Cursor(2, 0)
