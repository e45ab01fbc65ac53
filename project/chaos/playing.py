"""Playing a case: load, fault, recovery, rest, account."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import psycopg

from project.chaos.account import Account, account_of, seen_of
from project.chaos.case import Case, NeverCame, Scene
from project.chaos.load import Load, Told
from project.chaos.screen import Screen
from project.chaos.stage import BROKEN, Stage
from project.demo.ledger import NotificationFact, draw_up
from project.demo.witnesses import word_of_belfry
from project.embedded.process import StartFailed
from project.outside.journal import Received

#: The load runs so long before the fault, and after it.
LEAD_S, TAIL_S = (1.0, 2.0), 1.5
#: Notifications a second, whatever size is asked for.
LEAST_RATE, HIGHEST_RATE = 8.0, 120.0
#: What has not moved so long after a fault does not move by itself.
GIVES_UP_AFTER_S = 60.0
_LOOK_EVERY_S = 0.05
#: Belfry goes by its database's time, which each process knows to within half a round trip: long where all is at work.
_CLOCKS_DIFFER_BY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Playing:
    """One case, once. `size` is about how many notifications are told, `seed` makes the random moments."""

    case: Case
    stage: Stage
    screen: Screen
    size: int
    seed: int

    def account(self) -> Account:
        """Play it to its end."""
        seed = f"{self.seed} {self.case.name}"
        scene = Scene(self.stage, Random(seed), self.stage.world.length())
        name = f"{self.case.name}-{scene.first_line}"  # Never the same twice on a stage.
        url, key = self.stage.belfry.url, self.stage.producer_key
        with scene.afterwards:
            return self._played(scene, Load(url, key, name=name, rate=self._rate(), seed=seed))

    def _played(self, scene: Scene, load: Load) -> Account:
        began = datetime.now(UTC) - _CLOCKS_DIFFER_BY
        self._show("load", load.told)
        load.start()
        try:
            in_flight, recovered_s, trouble = self._strike(scene, load, began)
        finally:
            load.end()
        load.wait()
        self._until_nothing_moves(began, load)
        return self._draw_up(scene, load.told, began, in_flight, recovered_s, trouble)

    def _rate(self) -> float:
        seconds = sum(LEAD_S) / 2 + self.case.lasts_s + TAIL_S
        return min(HIGHEST_RATE, max(LEAST_RATE, self.size / seconds))

    def _strike(self, scene: Scene, load: Load, began: datetime) -> tuple[int, float, str]:
        """Make the fault and wait for the recovery: in flight, seconds, trouble."""
        scene.pause(*LEAD_S)
        self._show("fault", load.told)
        try:
            in_flight = self.case.fault(scene)
        except (NeverCame, StartFailed, psycopg.Error) as trouble:
            return 0, 0.0, f"{type(trouble).__name__}: {str(trouble).partition(chr(10))[0]}"
        ended, since = datetime.now(UTC), time.monotonic()
        recovered_s: float | None = None
        while recovered_s is None or time.monotonic() - since < TAIL_S:
            elapsed = time.monotonic() - since
            if elapsed > GIVES_UP_AFTER_S:
                break
            if recovered_s is None and self._has_recovered(began, ended):
                recovered_s = elapsed
            if elapsed > TAIL_S and self.stage.observer.delivered(ended):
                load.end()
            self._show("recovery", load.told)
            time.sleep(_LOOK_EVERY_S)
        return in_flight, time.monotonic() - since if recovered_s is None else recovered_s, ""

    def _has_recovered(self, began: datetime, ended: datetime) -> bool:
        with suppress(psycopg.OperationalError):
            observer = self.stage.observer
            return observer.delivered(ended) and observer.unmoved(began, ended, but=[BROKEN]) == 0
        return False

    def _until_nothing_moves(self, began: datetime, load: Load) -> None:
        deadline = time.monotonic() + GIVES_UP_AFTER_S
        while time.monotonic() < deadline and self.stage.observer.unmoved(began):
            self._show("rest", load.told)
            time.sleep(_LOOK_EVERY_S)

    def _draw_up(
        self, scene: Scene, told: Told, began: datetime, in_flight: int, recovered_s: float, trouble: str
    ) -> Account:
        lines = self.stage.world.seen(after=scene.first_line)
        seen = seen_of(told.accepted, lines)
        known = word_of_belfry(self.stage.operator, since=began)
        ledger = draw_up(
            told.accepted, known, seen, seconds=(datetime.now(UTC) - began - _CLOCKS_DIFFER_BY).total_seconds()
        )
        overlapping = self.stage.observer.overlapping(began)
        troubles = [
            trouble,
            f"{told.unanswered} found no answer" if told.unanswered else "",
            f"{overlapping} tries overlapped another of the same delivery" if overlapping else "",
        ]
        account = account_of(
            self.case.name,
            ledger,
            in_flight=in_flight,
            recovered_s=recovered_s,
            trouble=", ".join(filter(None, troubles)),
        )
        if account.broken_promises:
            twice = [name for name, times in seen.items() if times > 1]
            self._keep_evidence({"lost": ledger.lost_ids, "twice": twice, "told": [*told.accepted]}, known, lines)
        return account

    def _keep_evidence(
        self, findings: Mapping[str, object], known: Sequence[NotificationFact], lines: Sequence[Received]
    ) -> None:
        """What both witnesses said, beside what the stage leaves: the world forgets it when the stage is struck."""
        words = {
            **findings,
            "known": [asdict(fact) for fact in known],
            "seen": [line.as_json(with_body=False) for line in lines],
        }
        (self.stage.folder / f"{self.case.name}.json").write_text(json.dumps(words, indent=1))

    def _show(self, phase: str, told: Told) -> None:
        self.screen.moving(self.case.name, phase, len(told.accepted))
