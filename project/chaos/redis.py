"""Redis forgets."""

from __future__ import annotations

from project.chaos.case import Case, Scene


def _flushed(scene: Scene) -> int:
    """FLUSHALL at random moments: queues, what is unacknowledged, breakers, limits."""
    with scene.redis(0) as valkey:
        for _ in range(12):
            valkey.flushall()
            scene.pause(0.05, 0.6)
    return 0


CASES = (Case(name="flushed", what="FLUSHALL, twelve times, in the middle of everything", fault=_flushed, lasts_s=4),)
