"""Several cases at the same time: each share of a run is played by a process of its own, on stages of its own.

Nothing is shared but the machine: every stage has its own folder, ports, engines and outside world.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from project import env
from project.chaos.account import Account
from project.chaos.case import Case, Repeats
from project.chaos.cases import AnyCase
from project.embedded.process import Process
from project.embedded.supervisor import ROOT

#: What a case takes beside its fault: load before and after, rest, account.
_BESIDE_S = 6.0
_LOOK_EVERY_S = 0.2
_STOPS_WITHIN_S = 60.0


def shares(cases: Sequence[AnyCase], number: int) -> list[list[AnyCase]]:
    """The cases, dealt out so that all shares take about as long; none of them is empty."""
    dealt: list[list[AnyCase]] = [[] for _ in range(min(number, len(cases)))]
    for case in sorted(cases, key=_about_s, reverse=True):
        min(dealt, key=lambda share: sum(map(_about_s, share))).append(case)
    return [sorted(share, key=cases.index) for share in dealt]


def _about_s(case: AnyCase) -> float:
    """About how long a case takes. What a worker held is out of reach until its lease has run out."""
    lease_s = case.setting.lease_s if isinstance(case, Case) and case.repeats is Repeats.HELD else 0.0
    return _BESIDE_S + case.lasts_s + lease_s


def play_together(cases: Sequence[AnyCase], number: int, *, seed: int, size: int) -> Iterator[Account]:
    """Play all cases, `number` of them at a time: their accounts, as they come.

    Closed early, it stops everything in order.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="belfry-chaos-players-")))
        options = ["--seed", str(seed), "--size", str(size)]
        players = [
            stack.enter_context(_Player(share, options, folder / f"player-{place}"))
            for place, share in enumerate(shares(cases, number), start=1)
        ]
        while players:
            for player in [*players]:
                over = player.over  # Asked first: what it wrote last is read afterwards.
                yield from player.accounts()
                if over:
                    yield from player.missing()
                    players.remove(player)
            time.sleep(_LOOK_EVERY_S)


class _Player:
    """The command itself, for a share of the cases, as a context manager."""

    def __init__(self, cases: Sequence[AnyCase], options: Sequence[str], folder: Path) -> None:
        folder.mkdir()
        self._missing = [case.name for case in cases]
        self._out = folder / "accounts"
        self._out.touch()
        self._process = Process(
            name=folder.name,
            command=[
                *(sys.executable, str(ROOT / "manage.py"), "chaos"),
                *(*self._missing, *options, "--out", str(self._out)),
            ],
            environment=env.inherited(),
            log=folder / "log",
            folder=ROOT,
        )

    def __enter__(self) -> Self:
        self._process.start()
        self._lines = self._out.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop(within_s=_STOPS_WITHIN_S)
        self._lines.close()

    @property
    def over(self) -> bool:
        return not self._process.alive

    def accounts(self) -> Iterator[Account]:
        """Those that have come since the last time."""
        while (line := self._whole_line()) is not None:
            account = Account.from_json(line)
            self._missing.remove(account.case)
            yield account

    def missing(self) -> Iterator[Account]:
        """Accounts of the cases that have none, when it is over."""
        for name in self._missing:
            last = self._process.last_words(1)
            yield Account(case=name, trouble=f"its player ended with code {self._process.exit_code}: {last}")

    def _whole_line(self) -> str | None:
        place = self._lines.tell()
        line = self._lines.readline()
        if line.endswith("\n"):
            return line
        self._lines.seek(place)
        return None
