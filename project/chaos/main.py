"""`belfry chaos`: play cases and say whether every promise was kept."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from project.chaos.account import Account
from project.chaos.case import Case
from project.chaos.playing import Playing
from project.chaos.screen import Screen
from project.chaos.stage import Setting, Stage


@dataclass(slots=True, kw_only=True)
class Chaos:
    """Plays cases, one after the other; a stage serves as many of them as it can. A context manager.

    `size` is about how many notifications are told in a case, `seed` makes the random moments.
    """

    screen: Screen
    size: int
    seed: int
    _stage: Stage | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def play(self, case: Case, run: int = 0) -> Account:
        """Play a case to its end. A stage on which a promise was broken is kept to be looked at, and left."""
        stage = self._stage_for(case.setting)
        account = Playing(case, stage, self.screen, self.size, self.seed, run).account()
        if account.broken_promises:
            stage.keep = True
            self.screen.say(f"  what {case.name} left is in {stage.folder}")
            self._leave()
        return account

    def _stage_for(self, setting: Setting) -> Stage:
        if self._stage is None or self._stage.setting != setting:
            self._leave()
            self._stage = Stage(setting, seed=self.seed)
            self._stage.__enter__()
        return self._stage

    def _leave(self) -> None:
        if self._stage is not None:
            stage, self._stage = self._stage, None
            stage.__exit__(None, None, None)


def in_order(cases: Sequence[Case]) -> list[Case]:
    """Those of one stage together."""
    return sorted(cases, key=lambda case: (case.setting.relayed, case.setting.lease_s))


def play_all(chaos: Chaos, cases: Sequence[Case], *, runs: int, as_json: bool) -> int:
    """Play all of `cases`, `runs` times; the exit code. Raises `StartFailed`.

    Interrupted, it stops everything in order and tells of the cases that were over.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # Whoever started us with nohup meant it.
            signal.signal(number, signal.default_int_handler)
    accounts: list[Account] = []
    interrupted = False
    try:
        with chaos:
            for run in range(runs):
                for case in in_order(cases):
                    accounts.append(chaos.play(case, run))
                    chaos.screen.row(accounts[-1])
    except KeyboardInterrupt:
        interrupted = True
        chaos.screen.say("interrupted; everything is stopped")
    if as_json:
        sys.stdout.write(json.dumps([account.as_json() for account in accounts]) + "\n")
        sys.stdout.flush()
    if interrupted:
        return 128 + signal.SIGINT
    return int(any(account.broken_promises for account in accounts))
