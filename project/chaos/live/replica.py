"""A client's own copy of its feed, kept as a good client keeps it, and what was odd about how it came. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]

#: What belongs to a change and not to its item.
_OF_THE_CHANGE = frozenset({"type", "unread"})


@dataclass(slots=True, kw_only=True)
class Replica:
    """What one client has of the feed of `recipient`. `epoch` is 0 until it was greeted for the first time."""

    name: str
    recipient: str
    epoch: int = 0
    #: The number up to which it has everything.
    seq: int = 0
    unread: int = 0
    #: Items by id, as far as they are not deleted.
    items: dict[str, Item] = field(default_factory=dict)
    #: The numbers of all changes that it was told, in the order in which they came.
    applied: list[int] = field(default_factory=list)
    #: How many changes came a second time, and how many of those were announced as repeated.
    repeated: int = 0
    announced: int = 0
    #: Numbers that came too late: something behind them had been told before.
    late: list[int] = field(default_factory=list)
    #: How often it had to begin anew.
    resets: int = 0

    @property
    def cursor(self) -> str:
        """Where it stands, as it tells the server; "" before the first greeting."""
        return f"{self.epoch}-{self.seq}" if self.epoch else ""

    def greet(self, cursor: str) -> None:
        """Hear where the stream begins. Only for the first time is that news."""
        if not self.epoch:
            self.epoch, self.seq = _place(cursor)

    def count(self, unread: int) -> None:
        """Hear how many are unread."""
        self.unread = unread

    def apply(self, change: Mapping[str, Any], *, again: bool = False) -> None:
        """Take over one change. `again`: the server says that it may have come before."""
        number = int(change["seq"])
        if number <= self.seq:
            self._note_old(number, again)
            return
        self.seq = number
        self.applied.append(number)
        self.unread = int(change["unread"])
        if change["type"] == "deleted":
            self.items.pop(change["id"], None)
        else:
            fields = {name: value for name, value in change.items() if name not in _OF_THE_CHANGE}
            self.items.setdefault(change["id"], {}).update(fields)

    def _note_old(self, number: int, again: bool) -> None:
        if number in self.applied:
            self.repeated += 1
            self.announced += again
        else:
            self.late.append(number)

    def move(self, cursor: str) -> None:
        """Go on to where nothing that still shows lies between."""
        epoch, seq = _place(cursor)
        if epoch == self.epoch:
            self.seq = max(self.seq, seq)

    def reset(self, cursor: str) -> None:
        """Forget everything and stand there."""
        self.epoch, self.seq = _place(cursor)
        self.items.clear()
        self.applied.clear()
        self.resets += 1


def _place(cursor: str) -> tuple[int, int]:
    epoch, _, seq = cursor.partition("-")
    return int(epoch), int(seq)
