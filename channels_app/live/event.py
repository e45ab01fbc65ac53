"""What goes out on a live connection: a change of a feed, several at once, or a word about the stream itself.

A *place* is a cursor as one number, so that two of them can be compared: the epoch, and below it 48 bits of sequence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from channels_app.feed.cursor import Cursor
from channels_app.live.codes import Code

#: Kinds of changes.
NEW, UPDATED, DELETED = "new", "updated", "deleted"

_SEQ_BITS = 48
_SEQ = (1 << _SEQ_BITS) - 1

#: Before everything: where somebody stands who has no cursor.
NOWHERE = 0


def place_of(epoch: int, seq: int) -> int:
    return epoch << _SEQ_BITS | seq


def epoch_of(place: int) -> int:
    return place >> _SEQ_BITS


def seq_of(place: int) -> int:
    return place & _SEQ


def cursor_of(place: int) -> str:
    """As clients see it."""
    return f"{place >> _SEQ_BITS}-{place & _SEQ}"


def place_at(cursor: str) -> int:
    """The inverse. Raises `ValueError` for what is no cursor, or lies beyond all of them."""
    found = Cursor.parse(cursor)
    if found.seq > _SEQ or found.epoch < 1:
        raise ValueError("no feed has been there")
    return place_of(found.epoch, found.seq)


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a recipient's feed. `body` is the JSON object that clients see.

    `at`: when it happened, in seconds since 1970. `is_hint`: the bus brought it, and that is when it was committed.
    """

    kind: str
    recipient: str
    place: int
    at: float
    body: bytes
    is_hint: bool = False

    @property
    def item(self) -> dict[str, Any]:
        """What `body` says."""
        said: dict[str, Any] = msgspec.json.decode(self.body)
        return said


@dataclass(frozen=True, slots=True)
class Batch:
    """What somebody missed, each item once and as it is now, in order. Whoever has it stands at `place`."""

    place: int
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Control:
    """A word about the stream: hello, state, reset, net, ping, bye, ok, err. It has no id, and moves no cursor."""

    name: str
    data: Mapping[str, Any]


Outgoing = Event | Batch | Control


@dataclass(frozen=True, slots=True)
class Caught:
    """What reading a feed after a place came to.

    `place` is where one stands who has `events`; `head` is where the feed stands, in the same snapshot, and `state`
    what clients are told of it. `reset` says why one must begin anew ("epoch", "retention", "too_far"), or nothing.
    """

    events: Sequence[Event]
    place: int
    head: int
    state: Mapping[str, Any]
    reset: str = ""


def size_of(thing: Outgoing) -> int:
    """Bytes that it takes while it waits, about."""
    if isinstance(thing, Event):
        return len(thing.body)
    return sum(len(event.body) for event in thing.events) if isinstance(thing, Batch) else 0


def bye_word(code: Code, retry_ms: int) -> Control:
    """The last word: why it ends, and when to come back."""
    wait_ms = 0 if code.final or code.at_once else retry_ms
    return Control("bye", {"code": int(code), "reason": code.reason, "retry_ms": wait_ms, "final": code.final})
