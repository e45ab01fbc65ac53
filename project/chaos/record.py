"""The record of what was played: each account as soon as it is there, and the worst of each case in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from project.chaos.account import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """A case over all of its runs."""

    case: str
    played: int
    broken: int
    #: Of all runs together.
    lost: int
    waiting: int
    #: Of the run with the most of them, and what was in flight then.
    duplicates: int
    in_flight: int
    recovered_s: float
    #: How long the case took on average.
    seconds: float


@dataclass(slots=True)
class Record:
    """Accounts in the order in which they came. `runs` and `cases` say how many there will be."""

    runs: int
    cases: int
    accounts: list[Account] = field(default_factory=list, init=False)
    _out: TextIO | None = field(default=None, init=False)

    @contextmanager
    def kept_in(self, path: Path | None) -> Iterator[None]:
        """In this block, each account is a line of JSON at the end of the file as soon as it is there."""
        with ExitStack() as stack:
            self._out = stack.enter_context(path.open("a")) if path else None
            stack.callback(lambda: setattr(self, "_out", None))
            yield

    def add(self, account: Account) -> None:
        """Take down an account."""
        self.accounts.append(account)
        if self._out is not None:
            self._out.write(json.dumps(account.as_json()) + "\n")
            self._out.flush()

    @property
    def broken(self) -> int:
        """How many cases broke a promise."""
        return sum(bool(account.broken_promises) for account in self.accounts)

    def progress(self, elapsed_s: float) -> str:
        """How far it is after the last account, in a line."""
        run, case = divmod(len(self.accounts) - 1, self.cases)
        minutes, seconds = divmod(int(elapsed_s), 60)
        verdicts = f"{len(self.accounts) - self.broken} kept, {self.broken} broken"
        return f"run {run + 1}/{self.runs}, case {case + 1}/{self.cases}: {verdicts}, {minutes}:{seconds:02}"

    def worst(self) -> list[Worst]:
        """Each case over all runs, in the order in which they first came."""
        by_case: dict[str, list[Account]] = {}
        for account in self.accounts:
            by_case.setdefault(account.case, []).append(account)
        return [_worst(case, accounts) for case, accounts in by_case.items()]


def _worst(case: str, accounts: list[Account]) -> Worst:
    repeated = max(accounts, key=lambda account: (account.duplicates > account.in_flight, account.duplicates))
    return Worst(
        case=case,
        played=len(accounts),
        broken=sum(bool(account.broken_promises) for account in accounts),
        lost=sum(account.lost for account in accounts),
        waiting=sum(account.waiting for account in accounts),
        duplicates=repeated.duplicates,
        in_flight=repeated.in_flight,
        recovered_s=max(account.recovered_s for account in accounts),
        seconds=round(sum(account.seconds for account in accounts) / len(accounts), 2),
    )
