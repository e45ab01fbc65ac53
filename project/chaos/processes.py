"""Processes of Belfry die, at every step of a delivery, or are restarted in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from project.chaos.case import CONTROL, DELIVERER, Case, Repeats, Scene, children, wait_until
from project.chaos.traps import AFTER_CLAIM, BEFORE_CLAIM, BEFORE_SETTLE

_ATTEMPTS = "notifications_attempt"


def _dies_at(step: str) -> Callable[[Scene], int]:
    return lambda scene: scene.kill_at(step)


def _kills(name: str) -> Callable[[Scene], int]:
    return lambda scene: scene.kill(name)


def _dies_during_settle(*, undone: bool) -> Callable[[Scene], int]:
    """The statement that writes results is under way when its worker dies: Postgres ends it, or undoes it."""

    def fault(scene: Scene) -> int:
        with scene.observer.locked(_ATTEMPTS):
            wait_until(lambda: scene.observer.blocked_on(_ATTEMPTS) != [], within_s=10, what="a result was written")
            in_flight = scene.kill(DELIVERER)
            if undone:
                for backend in scene.observer.blocked_on(_ATTEMPTS):
                    scene.observer.do("SELECT pg_terminate_backend(%s)", backend)
        return in_flight

    return fault


def _dies_again_and_again(scene: Scene) -> int:
    held = 0
    for _ in range(4):
        dying = scene.belfry.process(DELIVERER).pid
        held += scene.kill(DELIVERER)
        scene.wait_for_return(DELIVERER, of=dying)
        scene.pause(0.3, 2.0)
    return held


def _wakes_late(scene: Scene) -> int:
    """Stopped for longer than its lease, while another works. Awake again, it changes nothing any more."""
    other = scene.beside(DELIVERER, "second-deliverer")
    other.start()
    try:
        scene.pause(3.0, 4.0)
        scene.wait_for_work()
        scene.belfry.freeze(DELIVERER)
        held = scene.observer.in_flight()
        time.sleep(scene.stage.setting.lease_s + 4)
        scene.belfry.thaw(DELIVERER)
        scene.pause(1.0, 2.0)
    finally:
        other.stop(within_s=15)
    return held


def _power_cut(scene: Scene) -> int:
    """All at once, engines included; then all of it is started again."""
    names = ("web", "beat", CONTROL, DELIVERER, "valkey", "postgres")
    for name in names:
        scene.belfry.kill(name, restart=False)
    for name in reversed(names):
        scene.belfry.start(name)
    return scene.held_at_start


def _rolling_restart(scene: Scene) -> int:
    """SIGTERM to each process in turn, under load: nothing is lost, and nothing is sent twice."""
    for name in (DELIVERER, CONTROL, "beat", "web", DELIVERER):
        scene.belfry.stop(name)
        scene.belfry.start(name)
        scene.pause(0.2, 0.8)
    return 0


def _child_dies(scene: Scene) -> int:
    """A worker with child processes (-P prefork) loses one. The usual worker has threads, and no child to lose."""
    scene.belfry.stop(DELIVERER)
    worker = scene.beside(DELIVERER, "worker-prefork", pool="prefork")
    worker.start()
    try:
        wait_until(lambda: len(children(worker.pid)) > 0, within_s=20, what="the worker had a child")
        scene.wait_for_work()
        scene.pause(0.0, 1.0)
        scene.wait_for_work()
        for child in children(worker.pid):
            os.kill(child, signal.SIGSTOP)
        held = scene.observer.in_flight()
        for child in children(worker.pid):
            os.kill(child, signal.SIGKILL)
        scene.pause(2.0, 2.0)
    finally:
        worker.stop(within_s=15)
        scene.belfry.start(DELIVERER)
    return held


CASES = (
    Case(
        name="killed-before-claim",
        repeats=Repeats.HELD,
        what="the worker dies before it claims",
        fault=_dies_at(BEFORE_CLAIM),
    ),
    Case(
        name="killed-after-claim",
        repeats=Repeats.HELD,
        what="the worker dies after it claimed",
        fault=_dies_at(AFTER_CLAIM),
    ),
    Case(
        name="killed-while-sending",
        repeats=Repeats.HELD,
        what="the worker dies while requests are under way",
        fault=_kills(DELIVERER),
    ),
    Case(
        name="killed-before-settle",
        repeats=Repeats.HELD,
        what="the worker dies after the answer and before it is written",
        fault=_dies_at(BEFORE_SETTLE),
    ),
    Case(
        name="killed-during-settle",
        repeats=Repeats.HELD,
        what="the worker dies while its result is written; Postgres goes on writing",
        fault=_dies_during_settle(undone=False),
    ),
    Case(
        name="killed-during-settle-undone",
        repeats=Repeats.HELD,
        what="the worker dies while its result is written; Postgres undoes it",
        fault=_dies_during_settle(undone=True),
    ),
    Case(
        name="killed-again-and-again",
        repeats=Repeats.HELD,
        what="the worker dies four times in a row",
        fault=_dies_again_and_again,
        lasts_s=12,
    ),
    Case(
        name="wakes-late",
        what="a worker hangs for longer than its lease, another takes over, and it wakes up",
        fault=_wakes_late,
        repeats=Repeats.HELD,
        lasts_s=10,
    ),
    Case(
        name="child-killed",
        repeats=Repeats.HELD,
        what="the child of a prefork worker dies",
        fault=_child_dies,
        lasts_s=10,
    ),
    Case(name="control-killed", what="the worker that routes and sweeps dies", fault=_kills(CONTROL)),
    Case(name="web-killed", what="the web process dies while it accepts", fault=_kills("web")),
    Case(
        name="power-cut",
        repeats=Repeats.HELD,
        what="every process dies at once, engines included",
        fault=_power_cut,
        lasts_s=4,
    ),
    Case(
        name="rolling-restart",
        what="every process is restarted in order, one after the other",
        fault=_rolling_restart,
        lasts_s=12,
    ),
)
