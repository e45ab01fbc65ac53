"""Playing a case of the live stream: clients, load, fault, recovery, rest, verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import psycopg

from channels_app.feed import hints
from project import env
from project.chaos.account import Account
from project.chaos.case import NeverCame
from project.chaos.live.beside import Beside
from project.chaos.live.case import LiveCase, LiveScene
from project.chaos.live.replica import Replica
from project.chaos.live.stage import LiveStage
from project.chaos.live.tampering import Tamperer
from project.chaos.live.verdict import Verdict, verdict_on
from project.chaos.screen import Screen
from project.embedded.process import StartFailed

#: At this size, and above it, there are so many clients, and so many changes a second; below it less of both.
FULL_SIZE, MOST_CLIENTS, HIGHEST_RATE = 500, 200, 1000.0
LEAST_CLIENTS, LEAST_RATE = 20, 40.0
#: Of four clients, one listens to a feed to which another listens too.
_PEOPLE_OF_FOUR_CLIENTS = 3
#: The load runs so long before the fault, and after it.
LEAD_S, TAIL_S = (1.5, 2.5), 2.0
#: What no client has so long after a fault it never gets by itself.
GIVES_UP_AFTER_S = 60.0
_LOOK_EVERY_S = 0.05
#: The volatile database of those who write, while what they write there is tampered with.
_TAMPERED_DATABASE = 5
_LACKS_TOLD = 200


@dataclass(frozen=True, slots=True)
class LivePlaying:
    """One case, once. `size` says how many clients and changes a second, `seed` makes the random moments.

    `robbed`: somebody takes a new item from the first client, so that a case breaks its promise for once. Nothing is
    marked or deleted then: nobody would miss what was deleted again.
    """

    case: LiveCase
    stage: LiveStage
    screen: Screen
    size: int
    seed: int
    robbed: bool = False

    @property
    def clients(self) -> int:
        return max(LEAST_CLIENTS, min(MOST_CLIENTS, self.size * MOST_CLIENTS // FULL_SIZE))

    @property
    def rate(self) -> float:
        """Changes a second."""
        return max(LEAST_RATE, min(HIGHEST_RATE, self.size * HIGHEST_RATE / FULL_SIZE))

    def account(self) -> Account:
        """Play it to its end."""
        began = time.monotonic()
        random = Random(f"{self.seed} {self.case.name}")
        name = self.stage.name(self.case.name)
        people = [f"{name}-{number}" for number in range(self.clients * _PEOPLE_OF_FOUR_CLIENTS // 4)]
        with ExitStack() as stack:
            tamperer, environment = self._bus_of_producer(random)
            if tamperer is not None:
                stack.enter_context(tamperer)
            audience = stack.enter_context(self._beside("audience", self.stage.belfry.env))
            producer = stack.enter_context(self._beside("producer", environment))
            scene = LiveScene(self.stage, random, people, self.clients, audience, producer)
            with scene.afterwards:
                account = self._played(scene, began)
        if tamperer is not None and not tamperer.has_tampered and not account.trouble:
            return replace(account, trouble="nobody tampered with the bus")
        return account

    def _beside(self, program: str, environment: Mapping[str, str]) -> Beside:
        log = self.stage.belfry.home.logs / f"{program}.log"
        return Beside(f"project.chaos.live.{program}", environment=environment, log=log)

    def _bus_of_producer(self, random: Random) -> tuple[Tamperer | None, Mapping[str, str]]:
        """Who tampers with the bus, if anybody does; and the environment of whoever writes into it."""
        belfry = self.stage.belfry.env
        if not self.case.tampering:
            return None, belfry
        target = belfry[env.REDIS_URL.name]
        source = f"{target.rpartition('/')[0]}/{_TAMPERED_DATABASE}"
        streams = hints.streams(int(belfry.get(env.FEED_SHARDS.name, env.FEED_SHARDS.default)))
        tamperer = Tamperer(source, target, streams, self.case.tampering, random)
        return tamperer, {**belfry, env.REDIS_URL.name: source}

    def _played(self, scene: LiveScene, began: float) -> Account:
        greeted = scene.audience.ask(
            "begin",
            url=self.stage.belfry.live_url,
            people=scene.people,
            clients=scene.clients,
            kid=self.stage.kid,
            secret=self.stage.secret,
            seed=self.seed,
        )["greeted"]
        if greeted < scene.clients:
            return Account(case=self.case.name, trouble=f"{scene.clients - greeted} clients were never greeted")
        scene.producer.ask("begin", people=scene.people, rate=self.rate, seed=self.seed, marks=not self.robbed)
        recovered_s, trouble = self._strike(scene)
        written = scene.producer.ask("end")
        self._rest(scene)
        return self._draw_up(scene, written["heads"], recovered_s, trouble, began)

    def _strike(self, scene: LiveScene) -> tuple[float, str]:
        """Make the fault and wait for the recovery: seconds, trouble."""
        scene.pause(*LEAD_S)
        self._show(scene, "fault")
        if self.robbed:
            scene.audience.ask("rob", client=0)
        try:
            self.case.fault(scene)
            targets = self.stage.rows.heads(scene.people)
        except (NeverCame, StartFailed, psycopg.Error) as trouble:
            return 0.0, f"{type(trouble).__name__}: {str(trouble).partition(chr(10))[0]}"
        ended = time.monotonic()
        self._show(scene, "recovery")
        recovered_s = self._until_recovered(scene, targets, ended)
        time.sleep(max(0.0, ended + TAIL_S - time.monotonic()))
        return recovered_s, ""

    @staticmethod
    def _until_recovered(scene: LiveScene, targets: Mapping[str, int], ended: float) -> float:
        """Until every client has what was written before the end of the fault, and somebody something later."""
        while True:
            behind = scene.audience.ask("behind", targets=targets)
            elapsed = time.monotonic() - ended
            if (not behind["clients"] and behind["beyond"]) or elapsed > GIVES_UP_AFTER_S:
                return elapsed
            time.sleep(_LOOK_EVERY_S)

    def _rest(self, scene: LiveScene) -> None:
        """Until every client has everything, or for as long as somebody has patience."""
        deadline = time.monotonic() + GIVES_UP_AFTER_S
        while time.monotonic() < deadline:
            self._show(scene, "rest")
            with suppress(psycopg.OperationalError):
                if not self.stage.rows.unmerged(scene.people) and not scene.behind():
                    return
            time.sleep(_LOOK_EVERY_S)

    def _draw_up(
        self, scene: LiveScene, confirmed: Mapping[str, int], recovered_s: float, trouble: str, began: float
    ) -> Account:
        kept = self.stage.folder / f"{self.case.name}-clients.json"
        clients = scene.audience.ask("keep", path=str(kept))
        replicas = [Replica(**words) for words in json.loads(kept.read_text())]
        verdict = verdict_on(self.stage.rows.feeds(scene.people), replicas, confirmed)
        sent_away = f"{clients['sent_away']} clients were sent away" if clients["sent_away"] else ""
        account = Account(
            case=self.case.name,
            accepted=verdict.accepted,
            delivered=verdict.delivered,
            cancelled=verdict.superseded,
            waiting=verdict.waiting,
            lost=verdict.lost,
            duplicates=verdict.repeated,
            in_flight=verdict.announced,
            recovered_s=round(recovered_s, 2),
            seconds=round(time.monotonic() - began, 2),
            trouble=", ".join(filter(None, [trouble, verdict.trouble, sent_away])),
        )
        self._keep_evidence(kept, verdict, broken=account.broken_promises)
        return account

    def _keep_evidence(self, kept: Path, verdict: Verdict, *, broken: Sequence[str]) -> None:
        """What is missing where, beside what the clients have; the database stays as it is."""
        if broken:
            lacks = [asdict(lack) for lack in verdict.lacks[:_LACKS_TOLD]]
            words = {"broken": list(broken), "lacks": lacks}
            (self.stage.folder / f"{self.case.name}.json").write_text(json.dumps(words, indent=1))
        else:
            kept.unlink()

    def _show(self, scene: LiveScene, phase: str) -> None:
        self.screen.moving(self.case.name, phase, int(scene.producer.ask("count")["committed"]))
