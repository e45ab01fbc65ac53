"""What the command shows: a table that grows, how far it is, and the worst of each case in the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TextIO

from project.chaos.account import Account
from project.chaos.cases import AnyCase
from project.chaos.record import Worst

_COLUMNS = (
    "accepted", "delivered", "dead", "suppressed", "cancelled", "waiting", "lost", "duplicates", "in_flight",
    "recovered_s", "seconds",
)  # fmt: skip
_COLUMNS_OF_WORST = tuple(field.name for field in fields(Worst) if field.name != "case")
_CLEAR = "\r\x1b[2K"
_NAME_CHARS = 28


class Screen:
    """Writes tables to one stream, and how far it is to another; there the last line moves on a terminal."""

    def __init__(self, stream: TextIO, progress: TextIO | None = None) -> None:
        self._stream = stream
        self._progress = progress or stream
        self._moves = self._progress.isatty()
        self._headed = False
        self._how_far = ""

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def how_far(self, text: str) -> None:
        """How far it is: a line that stays, or on a terminal the beginning of the one that moves."""
        self._how_far = f"{text} | "
        if not self._moves:
            self._progress.write(f"{text}\n")
            self._progress.flush()

    def moving(self, case: str, phase: str, accepted: int) -> None:
        """How far a case is."""
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            line = f"{self._how_far}{case} {accepted} {phase} ..."
            self._progress.write(f"{_CLEAR}{line[:width]}")
            self._progress.flush()

    def row(self, account: Account) -> None:
        """A case that is over."""
        if not self._headed:
            self._headed = True
            self._header(_COLUMNS)
        self._row(account, _COLUMNS, "; ".join(account.broken_promises) or "kept")
        if account.left:
            self.say(f"  what {account.case} left is in {account.left}")

    def summary(self, worst: Iterable[Worst]) -> None:
        """Each case over all runs: sums of what must be nought, and the worst of the rest."""
        self.say()
        self._header(_COLUMNS_OF_WORST)
        for row in worst:
            self._row(row, _COLUMNS_OF_WORST, "broken" if row.broken else "kept")

    def list(self, cases: Sequence[AnyCase]) -> None:
        """What there is."""
        for case in cases:
            self.say(f"{case.name:<{_NAME_CHARS}} {case.what}; may come twice: {case.repeats}")

    def _header(self, columns: Sequence[str]) -> None:
        self.say(" ".join([f"{'case':<{_NAME_CHARS}}", *(f"{name:>{_width(name)}}" for name in columns)]))

    def _row(self, of: Account | Worst, columns: Sequence[str], verdict: str) -> None:
        cells = [f"{getattr(of, name):>{_width(name)}}" for name in columns]
        self.say(" ".join([f"{of.case:<{_NAME_CHARS}}", *cells, f" {verdict}"]))

    def _clear(self) -> None:
        if self._moves:
            self._progress.write(_CLEAR)
            self._progress.flush()


def _width(name: str) -> int:
    return max(len(name), 8)
