"""Wall clocks jump: forward on one machine, back on another. They stay so until all has moved on."""

from __future__ import annotations

from collections.abc import Callable

from project.chaos.case import Case, Scene

_HOUR_S = 3600.0


def _jump(**ahead_s: float) -> Callable[[Scene], int]:
    def fault(scene: Scene) -> int:
        for process, seconds in ahead_s.items():
            name = process.replace("_", "-")
            scene.set_clock(name, seconds)
            scene.afterwards.callback(scene.set_clock, name, 0)
        scene.pause(2.0, 4.0)
        return 0

    return fault


CASES = (
    Case(
        name="clock-ahead",
        what="the clocks of both workers jump an hour ahead of beat's",
        fault=_jump(worker_deliver=_HOUR_S, worker_control=_HOUR_S),
        lasts_s=3,
    ),
    Case(
        name="clock-back",
        what="the clocks of beat and one worker jump back by an hour",
        fault=_jump(beat=-_HOUR_S, worker_deliver=-_HOUR_S),
        lasts_s=3,
    ),
)
