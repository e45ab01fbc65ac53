from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app.live.codes import Code
from channels_app.live.event import NOWHERE, bye_word, cursor_of, place_at, place_of

cursors = st.tuples(st.integers(1, 2**14), st.integers(0, 2**48 - 1))


@given(cursors)
def test_a_place_is_a_cursor_as_a_number(at: tuple[int, int]) -> None:
    assert place_at(cursor_of(place_of(*at))) == place_of(*at)


@given(cursors, cursors)
def test_places_have_the_order_of_cursors(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (place_of(*one) < place_of(*other)) == (one < other)
    assert place_of(*one) > NOWHERE


@pytest.mark.parametrize("text", ["7", "7-", "-7", "seven-1", "1-281474976710656", "0-5", "1-2-3", "", "1- 2"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        place_at(text)


@pytest.mark.parametrize("code", list(Code))
def test_a_code_says_what_its_client_does(code: Code) -> None:
    assert code.final == (4000 <= code < 4100)
    assert code.at_once == (4200 <= code < 4300)
    assert 4000 <= code < 4300
    bye = bye_word(code, 1234).data
    assert bye == {
        "code": int(code),
        "reason": code.name.lower(),
        "retry_ms": 0 if code.final or code.at_once else 1234,
        "final": code.final,
    }
