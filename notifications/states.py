"""The life of a delivery: its states, and the lettered table of every move between them.

The letters stand here, in `docs/lifecycle.md` and in the tests, and a test compares the three. A
pair that is not in the table does not happen: `Transition` is what the statements in
`notifications/models/transitions.py` are built from, and `letter_for` refuses the rest.

    new ──a──▶ scheduled ──d──▶ pending ──e──▶ sending ──f──▶ delivered
     │──b──▶ pending              ▲   ▲           │──g──▶ retrying ──e──▶ sending
     └──c──▶ suppressed           k   j           │──h──▶ scheduled
                                dead  └───────────┤
                                  ▲               └──i──▶ dead
    scheduled, pending, retrying ──l──▶ cancelled

Pure: imports nothing of Django, reads no clock, does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Where a delivery stands. The comment says who moves it on."""

    #: It waits for a time, with a reason. The sweep moves it when the time has come.
    SCHEDULED = "scheduled"
    #: It may be sent now. Dispatch claims it.
    PENDING = "pending"
    #: A worker holds it under a lease. Dispatch settles it, or the sweep takes it back.
    SENDING = "sending"
    #: A try failed and another is due at `due_at`. Dispatch claims it.
    RETRYING = "retrying"
    #: The channel took it. End.
    DELIVERED = "delivered"
    #: A policy decided against it. End.
    SUPPRESSED = "suppressed"
    #: It will not be tried again until a person replays it.
    DEAD = "dead"
    #: Withdrawn, expired, superseded, or its channel was deleted. End.
    CANCELLED = "cancelled"


#: The letter's source that is no state: the delivery does not exist yet.
NEW = "new"

#: States that someone or something will still move.
OPEN = frozenset({State.SCHEDULED, State.PENDING, State.SENDING, State.RETRYING})

#: States from which dispatch may claim.
CLAIMABLE = frozenset({State.PENDING, State.RETRYING})


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow of the table: `letter`, from any of `sources` to `target`, `by` whom and when."""

    letter: str
    sources: frozenset[str]
    target: State
    by: str


class IllegalTransition(Exception):
    """A move that is not in the table was asked for."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(f"A delivery cannot go from {source} to {target}.")
        self.source, self.target = source, target


_ARROWS = (
    Transition("a", frozenset({NEW}), State.SCHEDULED, "routing: the policy said DEFER, or scheduled_at lies ahead"),
    Transition("b", frozenset({NEW}), State.PENDING, "routing: the policy said SEND"),
    Transition("c", frozenset({NEW}), State.SUPPRESSED, "routing: the policy said SUPPRESS"),
    Transition("d", frozenset({State.SCHEDULED}), State.PENDING, "sweep: the time has come"),
    Transition("e", CLAIMABLE, State.SENDING, "dispatch: claimed under a lease"),
    Transition("f", frozenset({State.SENDING}), State.DELIVERED, "dispatch: the channel accepted"),
    Transition("g", frozenset({State.SENDING}), State.RETRYING, "dispatch: failed, attempts left"),
    Transition("h", frozenset({State.SENDING}), State.SCHEDULED, "dispatch: held back, no attempt counted"),
    Transition("i", frozenset({State.SENDING}), State.DEAD, "dispatch: permanent, gone, or attempts exhausted"),
    Transition("j", frozenset({State.SENDING}), State.PENDING, "sweep: the lease ran out"),
    Transition("k", frozenset({State.DEAD}), State.PENDING, "replay"),
    Transition(
        "l",
        frozenset({State.SCHEDULED, State.PENDING, State.RETRYING}),
        State.CANCELLED,
        "withdrawn, expired, superseded, channel deleted",
    ),
)

#: Letter → arrow.
TRANSITIONS = MappingProxyType({arrow.letter: arrow for arrow in _ARROWS})

_LETTERS = {(source, arrow.target): arrow.letter for arrow in _ARROWS for source in arrow.sources}


def letter_for(source: str, target: str) -> str:
    """The letter of the move from `source` to `target`. Raises `IllegalTransition` if there is none."""
    try:
        return _LETTERS[source, State(target)]
    except (KeyError, ValueError):
        raise IllegalTransition(source, target) from None
