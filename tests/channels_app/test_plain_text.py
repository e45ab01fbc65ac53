"""Texts that any protocol can bear."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channels_app.plain_text import cleaned, one_line, shortened

#: With halves of pairs, which hypothesis leaves out by itself.
any_text = st.text(st.characters(codec=None, exclude_categories=()))


@given(any_text)
def test_a_cleaned_text_can_be_encoded_and_has_no_controls(text: str) -> None:
    clean = cleaned(text)
    clean.encode()
    assert all(character.isprintable() or character in "\n\t" or ord(character) > 0x9F for character in clean)
    assert cleaned(clean) == clean


@given(any_text)
def test_one_line_is_one(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip()


@given(any_text, st.integers(1, 20))
def test_a_shortened_text_fits(text: str, limit: int) -> None:
    assert len(shortened(text, limit)) <= limit


def test_only_a_text_that_is_cut_gets_an_ellipsis() -> None:
    assert shortened("four", 4) == "four"
    assert shortened("fives", 4) == "fiv…"
    assert shortened("to morrow", 4) == "to…"


def test_texts_that_turn_the_line_around_do_not() -> None:
    assert one_line("live \u202egnp.exe\u202c") == "live gnp.exe"
