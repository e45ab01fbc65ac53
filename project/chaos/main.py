"""`belfry chaos`: play cases and say whether every promise was kept."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from project.chaos.account import Account
from project.chaos.case import Case
from project.chaos.playing import Playing
from project.chaos.screen import Screen
from project.chaos.stage import Setting, Stage


@dataclass(slots=True, kw_only=True)
class Chaos:
    """Plays `cases` in order, `runs` times; each stage serves as many of them as it can."""

    cases: Sequence[Case]
    screen: Screen
    size: int
    seed: int
    runs: int = 1
    _stage: Stage | None = field(default=None, init=False)

    def accounts(self) -> Iterator[Account]:
        """One account for each case and run, as they end."""
        in_order = sorted(self.cases, key=lambda case: (case.setting.relayed, case.setting.lease_s))
        try:
            for run in range(self.runs):
                for case in in_order:
                    yield self._play(case, run)
        finally:
            self._leave()

    def _play(self, case: Case, run: int) -> Account:
        stage = self._stage_for(case.setting)
        playing = Playing(case, stage, self.screen, self.size, self.seed, run)
        account = playing.account()
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


def play(chaos: Chaos, *, as_json: bool) -> bool:
    """Play all of it; whether every promise was kept."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    accounts = []
    for account in chaos.accounts():
        chaos.screen.row(account)
        accounts.append(account)
    if as_json:
        sys.stdout.write(json.dumps([account.as_json() for account in accounts]) + "\n")
        sys.stdout.flush()
    return not any(account.broken_promises for account in accounts)
