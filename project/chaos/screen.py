"""What the command shows: a table that grows, with a last line that moves on a terminal."""

from __future__ import annotations

import shutil
from typing import TextIO

from project.chaos.account import Account
from project.chaos.case import Case

_COLUMNS = (
    "accepted", "delivered", "dead", "suppressed", "cancelled", "waiting", "lost", "duplicates", "in_flight",
    "recovered_s", "seconds",
)  # fmt: skip
_CLEAR = "\r\x1b[2K"
_NAME_CHARS = 28


class Screen:
    """Writes to one stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._headed = False

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._stream.write(f"{_CLEAR if self._moves else ''}{text}\n")
        self._stream.flush()

    def moving(self, case: str, phase: str, accepted: int) -> None:
        """How far a case is."""
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            line = f"{case:<{_NAME_CHARS}} {accepted:>8}  {phase} ..."
            self._stream.write(f"{_CLEAR}{line[:width]}")
            self._stream.flush()

    def row(self, account: Account) -> None:
        """A case that is over."""
        if not self._headed:
            self._headed = True
            self.say(" ".join([f"{'case':<{_NAME_CHARS}}", *(f"{name:>{_width(name)}}" for name in _COLUMNS)]))
        cells = [f"{getattr(account, name):>{_width(name)}}" for name in _COLUMNS]
        verdict = "; ".join(account.broken_promises) or "kept"
        self.say(" ".join([f"{account.case:<{_NAME_CHARS}}", *cells, f" {verdict}"]))

    def list(self, cases: list[Case]) -> None:
        """What there is."""
        for case in cases:
            self.say(f"{case.name:<{_NAME_CHARS}} {case.what}; may come twice: {case.repeats}")


def _width(name: str) -> int:
    return max(len(name), 8)
