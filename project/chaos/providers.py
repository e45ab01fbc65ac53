"""A far end misbehaves: it takes what it is sent and does not say so, or says far too much."""

from __future__ import annotations

import time
from collections.abc import Callable

from project.chaos.case import Case, Repeats, Scene
from project.chaos.stage import MAIN_BEHAVIOUR, MAIN_PLACE

_LASTS_S = 3.0


def _misbehaves(behaviour: str) -> Callable[[Scene], int]:
    """How many it took without saying so: these are in flight for ever, and come again with the same id."""

    def fault(scene: Scene) -> int:
        first = scene.world.length()
        scene.world.behave(MAIN_PLACE, behaviour)
        time.sleep(_LASTS_S)
        scene.world.behave(MAIN_PLACE, MAIN_BEHAVIOUR)
        late = "delay_ms" in behaviour
        return sum(line.accepted and (late or line.note != "") for line in scene.world.seen(MAIN_PLACE, after=first))

    return fault


def _case(name: str, what: str, behaviour: str) -> Case:
    return Case(
        name=f"provider-{name}",
        what=f"a provider {what}",
        fault=_misbehaves(behaviour),
        repeats=Repeats.TAKEN,
        lasts_s=_LASTS_S,
    )


CASES = (
    _case("late", "answers after we have given up", "delay_ms=4000"),
    _case("resets", "resets the connection after it took the message", "reset:for_requests=40"),
    _case("half", "sends half an answer", "half:for_requests=40"),
    _case("huge", "sends 100 MB", "huge:for_requests=40"),
    _case("drips", "sends one byte a second", "drip:for_requests=40"),
)
