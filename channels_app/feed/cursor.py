"""A place in one feed, as text `"<epoch>-<seq>"`: the SSE id, the `after` of the API, the `upto` of an ack."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"([0-9]{1,9})-([0-9]{1,18})", re.ASCII)


class BadCursor(ValueError):
    """A text is no cursor."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Everything of the feed up to its change number `seq` is known. Numbers of another `epoch` mean nothing."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that `str` wrote. Raises `BadCursor`."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise BadCursor("A cursor looks like 7-1042: the feed's epoch and the number of a change.")
        return cls(int(found[1]), int(found[2]))
