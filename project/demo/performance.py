"""One performance of the evening: set the stage, play, wait until nothing moves, replay, account."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from project.demo.client import Client
from project.demo.ledger import Ledger, draw_up
from project.demo.player import Clock, Player
from project.demo.recording import read
from project.demo.screen import Screen
from project.demo.stage import NEVER_BACK, NEVER_BACK_PLACE, set_up
from project.demo.witnesses import Witness, word_of_belfry
from project.embedded.supervisor import Supervisor
from project.outside import World

#: The process that holds deliveries while they are sent.
DELIVERER = "worker-deliver"
#: What is still open so long after the evening counts as waiting.
SETTLE_WITHIN_S = 30.0
#: A replayed dead letter has so long to arrive.
REPLAY_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.25


@dataclass(slots=True, kw_only=True)
class Performance:
    """One run. `seed` fixes all chance in the outside world, `speed` is evening seconds in one of ours."""

    belfry: Supervisor
    world: World
    screen: Screen
    seed: int = 0
    speed: float = 1500.0
    kill_worker: bool = False
    _killed: bool = field(default=False, init=False)

    def run(self) -> Ledger:
        """Play all of it and draw up the ledger. Raises what `Client` raises."""
        with closing(self._client("operator")) as operator, closing(self._client("producer")) as producer:
            set_up(operator, self.world, seed=self.seed)
            return self._play(operator, producer)

    def _client(self, role: str) -> Client:
        answer = self.belfry.manage("apikey", "create", "--name", f"demo {role}", "--role", role, "--json")
        return Client(self.belfry.url, json.loads(answer.stdout)["key"])

    def _play(self, operator: Client, producer: Client) -> Ledger:
        witness = Witness(self.world, self.belfry.home.logs / f"{DELIVERER}.log")
        lines = read()
        clock = Clock(datetime.now(UTC), self.speed)
        player = Player(producer, clock, run=secrets.token_hex(4))
        self.screen.say(f"Playing {len(lines)} lines of an evening, {self.speed:g} times as fast as it was:")
        began = time.monotonic()
        player.play(lines, between=lambda share: self._between(share, player))
        accepted = set(player.ids.values())
        self.screen.say(f"  told {player.told} times, {len(accepted)} accepted; waiting until nothing moves any more")
        self._settle(operator, accepted, within_s=SETTLE_WITHIN_S)
        self._replay(operator, accepted)
        seconds = time.monotonic() - began
        return draw_up(accepted, word_of_belfry(operator, since=clock.began_at), witness.seen(), seconds=seconds)

    def _between(self, share: float, player: Player) -> None:
        if self.kill_worker and share >= 0.5 and not self._killed:
            self._killed = True
            self.screen.say("  SIGKILL to the worker that delivers; whatever it held will be sent again")
            self.belfry.kill(DELIVERER)
        self._show(share, f"told {player.told:3}")

    def _settle(self, client: Client, ids: Collection[str], *, within_s: float) -> None:
        """Wait until none of `ids` waits any more, or long enough."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            moving = {found["id"] for found in client.notifications(state="waiting")}.intersection(ids)
            self._show(1 - len(moving) / len(ids), f"waiting {len(moving):3}")
            if not moving:
                return
            time.sleep(_LOOK_EVERY_S)

    def _replay(self, client: Client, ids: Collection[str]) -> None:
        """Let the endpoint that never came back come back, and send one of its dead letters again."""
        letters = [letter for letter in client.dead_letters() if letter["channel"] == NEVER_BACK]
        letter = next((letter for letter in letters if letter["notification"] in ids), None)
        if letter is None:
            self.screen.say("  no dead letter to replay")
            return
        self.world.behave(NEVER_BACK_PLACE, "sink")
        client.replay(letter["id"])
        self._settle(client, [letter["notification"]], within_s=REPLAY_WITHIN_S)
        self.screen.say(f"  {len(letters)} dead letters of {NEVER_BACK}; it is back now, and one of them was replayed")

    def _show(self, share: float, what: str) -> None:
        counts = self.world.counts().values()
        taken, refused = sum(count.accepted for count in counts), sum(count.refused for count in counts)
        self.screen.progress(share, f"{what} · the world took {taken:3}, refused {refused:3}")
