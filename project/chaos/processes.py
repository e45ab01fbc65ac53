"""Processes of Belfry die, at every step of a delivery, or are restarted in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from project.chaos.case import CONTROL, DELIVERER, Case, NeverCame, Repeats, Scene, children, wait_until
from project.chaos.traps import AFTER_CLAIM, BEFORE_CLAIM, BEFORE_SETTLE

_ATTEMPTS = "notifications_attempt"
#: What a worker that runs has in its hands is settled by then: the slowest far end of the stage takes 0.6 s.
_SETTLES_WITHIN_S = 2.0


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
    with scene.beside(DELIVERER, "second-deliverer"):
        scene.pause(0.5, 1.5)
        held = _freeze_one_of_two(scene)
        time.sleep(scene.stage.setting.lease_s - _SETTLES_WITHIN_S)
        wait_until(lambda: not held & scene.observer.leases(), within_s=15, what="another had taken over")
        scene.belfry.thaw(DELIVERER)
        scene.pause(1.0, 2.0)
    return len(held)


def _freeze_one_of_two(scene: Scene) -> frozenset[tuple[int, int]]:
    """Let the deliverer hang with work in its hands; the leases that are its own, and not the other's."""
    for _ in range(10):
        scene.freeze_at_work()
        leases = scene.observer.leases()
        time.sleep(_SETTLES_WITHIN_S)
        held = leases & scene.observer.leases()
        if held:
            return held
        scene.belfry.thaw(DELIVERER)
        scene.pause(0.2, 0.6)
    raise NeverCame("The other worker had all the work, each time.")


def _power_cut(scene: Scene) -> int:
    """All at once, engines included; then all of it is started again."""
    held = scene.freeze_at_work()
    names = ("web", "beat", CONTROL, DELIVERER, "valkey", "postgres")
    for name in names:
        scene.belfry.kill(name, restart=False)
    for name in reversed(names):
        scene.belfry.start(name)
    return held


def _rolling_restart(scene: Scene) -> int:
    """SIGTERM to each process in turn, under load: nothing is lost, and nothing is sent twice."""
    for name in (DELIVERER, CONTROL, "beat", "web", DELIVERER):
        scene.belfry.stop(name)
        scene.belfry.start(name)
        scene.pause(0.2, 0.8)
    return 0


def _children_die(scene: Scene) -> int:
    """A worker with child processes (-P prefork) loses them. The usual worker has threads, and no child to lose.

    It works alone, and goes on until all is accounted for: nobody else makes up for what it lost.
    """
    scene.belfry.stop(DELIVERER)
    scene.afterwards.callback(scene.belfry.start, DELIVERER)
    worker = scene.afterwards.enter_context(scene.beside(DELIVERER, "worker-prefork", "-P", "prefork", "-c", "2"))
    scene.pause(0.0, 1.0)
    scene.wait_for_work("the prefork worker")
    doomed = children(worker.pid)
    for child in doomed:
        os.kill(child, signal.SIGSTOP)
    held = scene.observer.in_flight()
    for child in doomed:
        os.kill(child, signal.SIGKILL)
    return held


def _dies(name: str, what: str, fault: Callable[[Scene], int], *, lasts_s: float = 1.0) -> Case:
    """Somebody dies, or seems to, with work in its hands: it may come a second time."""
    return Case(name=name, what=what, fault=fault, repeats=Repeats.HELD, lasts_s=lasts_s)


CASES = (
    _dies("killed-before-claim", "the worker dies before it claims", _dies_at(BEFORE_CLAIM)),
    _dies("killed-after-claim", "the worker dies after it claimed", _dies_at(AFTER_CLAIM)),
    _dies("killed-while-sending", "the worker dies while requests are under way", _kills(DELIVERER)),
    _dies(
        "killed-before-settle",
        "the worker dies after the answer and before it is written",
        _dies_at(BEFORE_SETTLE),
    ),
    _dies(
        "killed-during-settle",
        "the worker dies while its result is written; Postgres goes on writing",
        _dies_during_settle(undone=False),
    ),
    _dies(
        "killed-during-settle-undone",
        "the worker dies while its result is written; Postgres undoes it",
        _dies_during_settle(undone=True),
    ),
    _dies("killed-again-and-again", "the worker dies four times in a row", _dies_again_and_again, lasts_s=12),
    _dies(
        "wakes-late",
        "a worker hangs for longer than its lease, another takes over, and it wakes up",
        _wakes_late,
        lasts_s=10,
    ),
    _dies("child-killed", "the children of a prefork worker die", _children_die, lasts_s=10),
    Case(name="control-killed", what="the worker that routes and sweeps dies", fault=_kills(CONTROL)),
    Case(name="web-killed", what="the web process dies while it accepts", fault=_kills("web")),
    _dies("power-cut", "every process dies at once, engines included", _power_cut, lasts_s=4),
    Case(
        name="rolling-restart",
        what="every process is restarted in order, one after the other",
        fault=_rolling_restart,
        lasts_s=12,
    ),
)
