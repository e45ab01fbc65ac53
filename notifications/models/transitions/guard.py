"""Which states a move may leave, as SQL: the table of `notifications.states` on its way into a statement."""

from __future__ import annotations

from notifications.states import TRANSITIONS


def guard(letter: str) -> str:
    """SQL: the states that the move with this letter may leave, as a list in brackets."""
    return "(" + ", ".join(f"'{source}'" for source in sorted(TRANSITIONS[letter].sources)) + ")"
