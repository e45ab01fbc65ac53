"""What a case is, and what it has at hand while it lasts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

import redis

from project import env
from project.chaos.far_side import FarSide
from project.chaos.observer import Observer
from project.chaos.stage import USUAL, Setting, Stage
from project.chaos.traps import orders_folder
from project.embedded import process as starting
from project.embedded.process import Process
from project.embedded.supervisor import ROOT, Supervisor
from project.roles import SAY_READY, Place, command_line

DELIVERER, CONTROL = "worker-deliver", "worker-control"
_SPRINGS_WITHIN_S = 20.0
#: A process that came up beside others on a busy machine, or the work that it is to find.
_COMES_WITHIN_S = 60.0
_STOPS_WITHIN_S = 15.0
_HANDFUL = 3


@dataclass(slots=True)
class Scene:
    """A stage while a case is played on it. `random` makes the moments; the same seed, the same moments."""

    stage: Stage
    random: Random
    #: Line of the world's journal at which the case began.
    first_line: int
    #: What the case has changed and the next one must not find: undone when all is accounted for.
    afterwards: ExitStack = field(default_factory=ExitStack, init=False)

    @property
    def belfry(self) -> Supervisor:
        return self.stage.belfry

    @property
    def world(self) -> FarSide:
        return self.stage.world

    @property
    def observer(self) -> Observer:
        return self.stage.observer

    def pause(self, at_least_s: float, at_most_s: float) -> None:
        """Let a while of random length go by."""
        time.sleep(self.random.uniform(at_least_s, at_most_s))

    def redis(self, database: int) -> redis.Redis:
        """A connection to Valkey, past any wire that may be cut: 0 is the broker's, 1 the volatile one."""
        url = self.belfry.env[env.REDIS_URL.name].rpartition("/")[0]
        return redis.Redis.from_url(f"{url}/{database}", socket_timeout=5)

    def kill(self, name: str) -> int:
        """SIGKILL to a process, which is started again; how many deliveries it had in its hands if it delivers."""
        if name != DELIVERER:
            self.belfry.kill(name)
            return 0
        held = self.freeze_at_work()
        self.belfry.kill(name)
        return max(held, self.observer.in_flight())

    def freeze_at_work(self) -> int:
        """Let the deliverer hang with work in its hands, so that it can be counted: how many deliveries."""
        self.wait_for_work()
        self.belfry.freeze(DELIVERER)
        return self.observer.in_flight()

    def wait_for_return(self, name: str, *, of: int) -> None:
        """Until a process that had the id `of` was started again and is ready."""
        wait_until(lambda: self.belfry.process(name).pid != of, within_s=30, what=f"{name} was started again")
        self.belfry.wait_ready(name)

    def wait_for_work(self, who: str = "a worker") -> None:
        """Until workers have a handful of deliveries in their hands. Raises `NeverCame`."""
        wait_until(
            lambda: self.observer.in_flight() >= _HANDFUL,
            within_s=_COMES_WITHIN_S,
            what=f"{who} had {_HANDFUL} deliveries in its hands",
        )

    def kill_at(self, step: str) -> int:
        """Let the deliverer die at a step (`traps`); how many deliveries it had in its hands."""
        order = orders_folder(self.stage.folder) / f"{DELIVERER}.trap"
        sprung = order.with_suffix(".sprung")
        sprung.unlink(missing_ok=True)
        pid = self.belfry.process(DELIVERER).pid
        give(order, step)
        wait_until(sprung.exists, within_s=_SPRINGS_WITHIN_S, what=f"the worker came to {step}")
        wait_until(lambda: self._has_ended(pid), within_s=5, what="it died")
        return self.observer.in_flight()

    def _has_ended(self, pid: int) -> bool:
        process = self.belfry.process(DELIVERER)
        return process.pid != pid or not process.alive

    @contextmanager
    def beside(self, role: str, name: str, *options: str) -> Iterator[Process]:
        """Another process of a role beside the usual one, ready for work, until the end of the block.

        `options` come on top of the role's own. Raises `StartFailed` with what it said last.
        """
        folder = self.stage.folder / name
        folder.mkdir(exist_ok=True)
        ready = folder / "ready"
        ready.unlink(missing_ok=True)
        command = [*command_line(role, Place("127.0.0.1", 0, folder)), *options]
        process = Process(
            name=name,
            command=[word.replace(f"{role}@", f"{name}@") for word in command],
            environment={**self.belfry.env, env.READY_FILE.name: str(ready)},
            log=self.belfry.home.logs / f"{name}.log",
            folder=ROOT,
            orphan_signal=signal.SIGKILL,
        )
        process.start()
        try:
            if role in SAY_READY:
                starting.wait_until(process, ready.exists, within_s=_COMES_WITHIN_S)
            yield process
        finally:
            process.stop(within_s=_STOPS_WITHIN_S)

    def set_clock(self, name: str, ahead_s: float) -> None:
        """From now on the wall clock of a process (a worker or beat) is so far ahead (or, negative, behind)."""
        give(orders_folder(self.stage.folder) / f"{name}.clock", f"{ahead_s:g}")


def children(pid: int) -> list[int]:
    """The processes that a process has started itself."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def give(order: Path, text: str) -> None:
    """Write an order whole."""
    draft = order.with_name(f"{order.name}.draft")
    draft.write_text(text)
    draft.rename(order)


def wait_until(holds: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Wait until it holds. Raises `NeverCame`."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise NeverCame(f"It never came to pass that {what}, in {within_s:g} s.")
        time.sleep(0.01)


class Repeats(StrEnum):
    """What may arrive a second time, under the same idempotency id."""

    NOTHING = "nothing"
    HELD = "what was in the worker's hands"
    TAKEN = "what the far end took and did not say so"
    UNACKNOWLEDGED = "what was not acknowledged, marked as repeated"


class NeverCame(Exception):
    """What a case waited for did not happen, so that its fault could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One bad thing that can happen.

    `fault` makes it happen and returns when it is over: how many deliveries may arrive twice at the
    most, because they were in flight; nought where nothing may.
    """

    name: str
    #: What happens, for people.
    what: str
    fault: Callable[[Scene], int]
    repeats: Repeats = Repeats.NOTHING
    #: About how long the fault lasts, in seconds: the load is spread over it.
    lasts_s: float = 1.0
    setting: Setting = USUAL
