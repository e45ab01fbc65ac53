"""`belfry chaos`: play cases and say whether every promise was kept."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from project.chaos.account import Account
from project.chaos.cases import AnyCase
from project.chaos.live.case import LiveCase
from project.chaos.live.playing import LivePlaying
from project.chaos.live.stage import LiveStage
from project.chaos.playing import Playing
from project.chaos.record import Record
from project.chaos.screen import Screen
from project.chaos.stage import Setting, Stage
from project.chaos.together import play_together

AnyStage = TypeVar("AnyStage", Stage, LiveStage)

#: No case takes so long, whatever happens in it: the longest fault, and all patience one after the other.
_GIVES_UP_AFTER_S = 480


@dataclass(slots=True, kw_only=True)
class Chaos:
    """Plays cases, one after the other; a stage serves as many of them as it can. A context manager.

    `size` is about how many notifications are told in a case, or says how many clients listen; `seed` makes the
    random moments.
    """

    screen: Screen
    size: int
    seed: int
    _stage: Stage | LiveStage | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def play(self, case: AnyCase) -> Account:
        """Play a case to its end, or as far as it comes: nothing that goes wrong in it keeps the next from its turn.

        A stage on which a promise was broken is kept to be looked at, and left.
        """
        try:
            account = self._account(case)
        except Exception as error:  # noqa: BLE001  Whatever it was, it is this case's trouble.
            account = Account(case=case.name, trouble=_in_a_line(error))
        if account.broken_promises and self._stage is not None:
            self._stage.keep = True
            account = replace(account, left=str(self._stage.folder))
            self._leave()
        return account

    def _account(self, case: AnyCase) -> Account:
        if isinstance(case, LiveCase):
            return LivePlaying(case, self._live_stage(case.check_s), self.screen, self.size, self.seed).account()
        return Playing(case, self._stage_for(case.setting), self.screen, self.size, self.seed).account()

    def _stage_for(self, setting: Setting) -> Stage:
        """A stage as the first case would find it: the one that is there, when it is."""
        stage = self._stage
        if isinstance(stage, Stage) and stage.setting == setting and self._is_as_new(stage):
            return stage
        return self._set(Stage(setting, seed=self.seed))

    def _live_stage(self, check_s: float) -> LiveStage:
        """The same for the live stream."""
        stage = self._stage
        if isinstance(stage, LiveStage) and stage.check_s == check_s and self._is_as_new(stage):
            return stage
        return self._set(LiveStage(check_s=check_s))

    def _set(self, stage: AnyStage) -> AnyStage:
        """Set up another stage in place of the one that is there."""
        self._leave()
        self._stage = stage
        stage.__enter__()
        return stage

    def _is_as_new(self, stage: Stage | LiveStage) -> bool:
        wrong = stage.what_is_wrong()
        if wrong:
            self.screen.say(f"  the stage is set up anew: {wrong}")
        return not wrong

    def _leave(self) -> None:
        if self._stage is not None:
            stage, self._stage = self._stage, None
            try:
                stage.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001  What it was for is told already.
                self.screen.say(f"  a stage did not end in order: {_in_a_line(error)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be played: all cases, so many runs, with stages of its own each.

    A run plays with the seed that follows that of the run before. Up to `together` cases are played at a time.
    """

    cases: Sequence[AnyCase]
    runs: int = 1
    seed: int = 7
    size: int = 500
    together: int = 1

    def accounts(self, run: int, screen: Screen) -> Generator[Account]:
        """Play the run with this number, from 1 on. Closed early, it stops everything in order."""
        seed = self.seed + run - 1
        if self.together > 1:
            accounts = play_together(self.cases, self.together, seed=seed, size=self.size)
        else:
            accounts = _one_by_one(self.cases, Chaos(screen=screen, size=self.size, seed=seed))
        for account in accounts:
            yield replace(account, run=run, seed=seed) if self.runs > 1 else account


def in_order(cases: Sequence[AnyCase]) -> list[AnyCase]:
    """Those of one stage together."""
    return sorted(cases, key=_stage_of)


def _stage_of(case: AnyCase) -> tuple[bool, bool, float]:
    if isinstance(case, LiveCase):
        return True, False, case.check_s
    return False, case.setting.relayed, case.setting.lease_s


def play_all(plan: Plan, screen: Screen, *, out: Path | None, as_json: bool) -> int:
    """Play all that is planned; the exit code.

    Each account is added to the file `out` as soon as it is there. Interrupted, it stops everything
    in order and tells of the cases that were over.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # Whoever started us with nohup meant it.
            signal.signal(number, signal.default_int_handler)
    record = Record(plan.runs, len(plan.cases))
    interrupted = False
    try:
        with record.kept_in(out):
            _play(plan, screen, record)
    except KeyboardInterrupt:
        interrupted = True
        screen.say("interrupted; everything is stopped")
    if plan.runs > 1:
        screen.summary(record.worst())
    if as_json:
        sys.stdout.write(json.dumps([account.as_json() for account in record.accounts]) + "\n")
        sys.stdout.flush()
    if interrupted:
        return 128 + signal.SIGINT
    return int(record.broken > 0)


def _play(plan: Plan, screen: Screen, record: Record) -> None:
    began = time.monotonic()
    for run in range(1, plan.runs + 1):
        with closing(plan.accounts(run, screen)) as accounts:
            for account in accounts:
                record.add(account)
                screen.row(account)
                screen.how_far(record.progress(time.monotonic() - began))


def _one_by_one(cases: Sequence[AnyCase], chaos: Chaos) -> Iterator[Account]:
    with chaos:
        for case in in_order(cases):
            with _given_up_at_last():
                account = chaos.play(case)
            yield account


class Stuck(Exception):
    """A case did not come to its end in all patience."""


@contextmanager
def _given_up_at_last() -> Iterator[None]:
    """Nothing hangs for ever in this block: it is interrupted by `Stuck`, wherever it waits."""

    def give_up(*_: Any) -> None:
        raise Stuck(f"it was not over after {_GIVES_UP_AFTER_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_GIVES_UP_AFTER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
