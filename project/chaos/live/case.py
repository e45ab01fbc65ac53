"""What a case of the live stream is, and what it has at hand while it lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random

import redis

from project import env
from project.chaos.case import Repeats, wait_until
from project.chaos.live.beside import Beside
from project.chaos.live.stage import LiveStage
from project.chaos.live.tampering import UNTOUCHED, Tampering
from project.embedded.supervisor import Supervisor

LIVE = "rt"
_COMES_BACK_WITHIN_S = 60.0


@dataclass(slots=True)
class LiveScene:
    """A stage while a case is played on it. `random` makes the moments; the same seed, the same moments."""

    stage: LiveStage
    random: Random
    #: Who has a feed, and how many clients listen to one.
    people: Sequence[str]
    clients: int
    audience: Beside
    producer: Beside
    #: What the case has changed and the next one must not find: undone when all is accounted for.
    afterwards: ExitStack = field(default_factory=ExitStack, init=False)

    @property
    def belfry(self) -> Supervisor:
        return self.stage.belfry

    def pause(self, at_least_s: float, at_most_s: float) -> None:
        """Let a while of random length go by."""
        time.sleep(self.random.uniform(at_least_s, at_most_s))

    def redis(self) -> redis.Redis:
        """A connection to Valkey."""
        return redis.Redis.from_url(self.belfry.env[env.REDIS_URL.name], socket_timeout=5)

    def kill_live(self) -> None:
        """SIGKILL to the live process; it is started again, and waited for."""
        dying = self.belfry.process(LIVE).pid
        self.belfry.kill(LIVE)
        wait_until(
            lambda: self.belfry.process(LIVE).pid != dying,
            within_s=_COMES_BACK_WITHIN_S,
            what="the live process was started again",
        )
        self.belfry.wait_ready(LIVE)

    def behind(self) -> int:
        """By how many changes all clients together are behind the rows now."""
        return int(self.audience.ask("behind", targets=self.stage.rows.heads(self.people))["changes"])


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCase:
    """One bad thing that can happen between a feed and its clients.

    `fault` makes it happen and returns when it is over. What `tampering` does to the bus goes on to the end.
    """

    name: str
    #: What happens, for people.
    what: str
    fault: Callable[[LiveScene], None]
    repeats: Repeats = Repeats.NOTHING
    #: About how long the fault lasts, in seconds.
    lasts_s: float = 1.0
    tampering: Tampering = UNTOUCHED
    #: How often the live process compares positions, in seconds; the product's own value where it counts.
    check_s: float = 25.0
