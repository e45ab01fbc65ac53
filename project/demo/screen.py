"""What the demo shows: one line that moves on a terminal, plain lines elsewhere, and the tables."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from project.demo.ledger import PRECEDENCE, Ledger

_BAR_CHARS = 24
#: On a terminal the line moves so often, elsewhere a new one comes so often.
_MOVE_EVERY_S = 0.1
_SAY_EVERY_S = 2.0
_CLEAR = "\r\x1b[2K"

_ACCOUNTS = {
    "delivered": "arrived wherever it was to go",
    "suppressed": "the policies decided against it, and say why",
    "cancelled": "taken back, or it expired before it could be told",
    "dead": "some channel refused it for good; it can be replayed",
    "waiting": "on its way still",
    "lost": "in no state, or said to be delivered and never seen",
}


class Screen:
    """Writes to one stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._moves = stream.isatty()
        self._shown_at = 0.0

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._write(f"{_CLEAR if self._moves else ''}{text}\n")

    def progress(self, share: float, text: str) -> None:
        """How far it is (0 to 1); shown as often as the stream can bear."""
        now = time.monotonic()
        if now - self._shown_at < (_MOVE_EVERY_S if self._moves else _SAY_EVERY_S):
            return
        self._shown_at = now
        filled = round(share * _BAR_CHARS)
        line = f"  {'█' * filled}{'·' * (_BAR_CHARS - filled)} {text}"
        width = shutil.get_terminal_size().columns - 1
        self._write(f"{_CLEAR}{line[:width]}" if self._moves else f"{line}\n")

    def ledger(self, ledger: Ledger) -> None:
        """The account, as two tables and the proof."""
        self.say()
        self.say("Notifications")
        self._rows([("accepted", str(ledger.accepted), "answered with 2xx; each is in one of the following")])
        self._rows([(name, str(getattr(ledger, name)), text) for name, text in _ACCOUNTS.items()])
        self._rows([("retried", str(ledger.retried), "of these took more than one attempt somewhere")])
        self.say()
        self.say("Deliveries")
        self._channels(ledger.channels, ledger.deliveries)
        self.say()
        for line in proof(ledger):
            self.say(line)

    def _channels(self, channels: Mapping[str, Mapping[str, Mapping[str, int]]], total: Mapping[str, int]) -> None:
        names = [*reversed(PRECEDENCE), "retried", "seen_outside", "duplicates"]
        table = [["channel", "kind", *(name.replace("_", " ") for name in names)]]
        for kind, of_kind in channels.items():
            table += [[key, kind, *(str(count[name]) for name in names)] for key, count in of_kind.items()]
        table.append(["all", "", *(str(total[name]) for name in names)])
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table:
            words = [word.ljust(width) for word, width in zip(row[:2], widths[:2], strict=True)]
            numbers = [word.rjust(width) for word, width in zip(row[2:], widths[2:], strict=True)]
            self.say("  " + "  ".join([*words, *numbers]).rstrip())

    def _rows(self, rows: Iterable[Sequence[str]]) -> None:
        for name, number, text in rows:
            self.say(f"  {name:<11}{number:>5}  {text}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def proof(ledger: Ledger) -> list[str]:
    """Whether the ledger balances and the world agrees, in sentences."""
    parts = " + ".join(str(getattr(ledger, name)) for name in _ACCOUNTS)
    sign = "=" if ledger.balances else "≠"
    count = ledger.deliveries
    words = f"{count['delivered']} deliveries by Belfry's word, {count['seen_outside']} seen by the outside world"
    lines = [
        f"  {ledger.accepted} accepted {sign} {parts}  ({' + '.join(_ACCOUNTS)})",
        f"  {words}, {count['lost']} missing there, {ledger.duplicates} seen twice",
    ]
    lines += [f"  LOST {name}" for name in ledger.lost_ids]
    verdict = "Nothing is missing." if ledger.balances and not ledger.lost else "SOMETHING IS MISSING."
    return [*lines, f"  {verdict} It took {ledger.seconds:.1f} s."]
