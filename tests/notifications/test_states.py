"""The lettered table: every pair that is not in it is refused."""

from __future__ import annotations

from itertools import product

import pytest

from notifications.states import CLAIMABLE, NEW, OPEN, TRANSITIONS, IllegalTransition, State, letter_for

#: The table once more, written by hand, so that a slip in the code is seen.
TABLE = {
    (NEW, "scheduled"): "a",
    (NEW, "pending"): "b",
    (NEW, "suppressed"): "c",
    ("scheduled", "pending"): "d",
    ("pending", "sending"): "e",
    ("retrying", "sending"): "e",
    ("sending", "delivered"): "f",
    ("sending", "retrying"): "g",
    ("sending", "scheduled"): "h",
    ("sending", "dead"): "i",
    ("sending", "pending"): "j",
    ("dead", "pending"): "k",
    ("scheduled", "cancelled"): "l",
    ("pending", "cancelled"): "l",
    ("retrying", "cancelled"): "l",
}
EVERY_PAIR = list(product([NEW, *State], State))


@pytest.mark.parametrize(("source", "target"), EVERY_PAIR)
def test_a_pair_has_the_letter_of_the_table_or_is_refused(source: str, target: State) -> None:
    if (source, target.value) in TABLE:
        assert letter_for(source, target) == TABLE[source, target.value]
    else:
        with pytest.raises(IllegalTransition) as refused:
            letter_for(source, target)
        assert (refused.value.source, refused.value.target) == (source, target)
        assert str(source) in str(refused.value)
        assert str(target) in str(refused.value)


def test_plain_texts_are_as_good_as_members() -> None:
    assert letter_for("sending", "delivered") == "f"


@pytest.mark.parametrize("word", ["", "new", "done", "Pending"])
def test_a_word_that_is_no_state_is_refused(word: str) -> None:
    with pytest.raises(IllegalTransition):
        letter_for("sending", word)
    with pytest.raises(IllegalTransition):
        letter_for(word, "delivered")


def test_the_letters_go_from_a_to_l_and_each_says_who_moves() -> None:
    assert "".join(TRANSITIONS) == "abcdefghijkl"
    assert all(arrow.letter == letter and arrow.by for letter, arrow in TRANSITIONS.items())


def test_nothing_leaves_an_end() -> None:
    left = {source for source, _ in TABLE}
    assert set(State) - left == {State.DELIVERED, State.SUPPRESSED, State.CANCELLED}


def test_every_state_can_be_reached_and_every_open_one_can_end() -> None:
    reached = {NEW}
    while found := {target for source, target in TABLE if source in reached} - reached:
        reached |= found
    assert reached == {NEW, *State}
    assert all(_can_end(state, frozenset()) for state in OPEN)


def _can_end(state: str, been: frozenset[str]) -> bool:
    onward = {target for source, target in TABLE if source == state} - been
    return state not in OPEN or any(_can_end(target, been | {state}) for target in onward)


def test_what_is_open_and_what_may_be_claimed() -> None:
    assert {"scheduled", "pending", "sending", "retrying"} == OPEN
    assert {source for (source, target) in TABLE if target == "sending"} == CLAIMABLE
