"""The cases of the live stream."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from project.chaos.case import NeverCame, Repeats
from project.chaos.live.case import LIVE, LiveCase, LiveScene
from project.chaos.live.tampering import Tampering

#: Every so many-th client reads slowly, and so many bytes stand in what is written for it.
_SLOW_OF, _LARGE_BYTES = 9, 4_000
#: How many changes the slow ones have to be behind, each, for the case to be one.
_SLOW_IS_BEHIND_BY = 50


def _nothing(seconds: float) -> Callable[[LiveScene], None]:
    """Whatever goes wrong, goes wrong by itself."""
    return lambda _: time.sleep(seconds)


def _flushed(scene: LiveScene) -> None:
    """FLUSHALL at random moments: the bus, presence, unread counts, tickets that were used."""
    with scene.redis() as valkey:
        for _ in range(12):
            valkey.flushall()
            scene.pause(0.05, 0.6)


def _redis_killed(scene: LiveScene) -> None:
    """Gone for ten seconds, and when it is back it has forgotten everything."""
    scene.belfry.kill("valkey", restart=False)
    time.sleep(10)
    shutil.rmtree(scene.stage.folder / "valkey")
    scene.belfry.start("valkey")


def _frozen(name: str, seconds: float) -> Callable[[LiveScene], None]:
    """A process hangs, and its connections stay open."""

    def fault(scene: LiveScene) -> None:
        scene.belfry.freeze(name)
        time.sleep(seconds)
        scene.belfry.thaw(name)

    return fault


def _live_killed(scene: LiveScene) -> None:
    scene.kill_live()


def _live_drained(scene: LiveScene) -> None:
    """Everybody is sent away with a time of their own to come back."""
    scene.belfry.stop(LIVE)
    scene.belfry.start(LIVE)


def _postgres_restarted(scene: LiveScene) -> None:
    scene.belfry.restart_engine("postgres")


def _postgres_killed(scene: LiveScene) -> None:
    scene.belfry.kill("postgres", restart=False)
    scene.belfry.start("postgres")


def _slow_clients(scene: LiveScene) -> None:
    """Some come anew through a narrow pipe and read in sips, while half of all is for them, and large."""
    slow = scene.audience.ask("slow", share=_SLOW_OF, on=True)["people"]
    scene.producer.ask("heap", people=slow, bytes=_LARGE_BYTES)
    time.sleep(12)
    scene.producer.ask("heap", people=[], bytes=0)
    behind = scene.behind()
    scene.audience.ask("slow", share=_SLOW_OF, on=False)
    if behind < _SLOW_IS_BEHIND_BY * len(slow):
        raise NeverCame(f"The slow clients were behind by {behind} changes only.")


def _all_at_once(scene: LiveScene) -> None:
    """One after the other, each before all have recovered from the last."""
    with scene.redis() as valkey:
        valkey.flushall()
        scene.pause(0.2, 1.0)
    scene.kill_live()
    scene.pause(0.2, 1.0)
    _postgres_restarted(scene)
    scene.pause(0.2, 1.0)
    with scene.redis() as valkey:
        valkey.flushall()


CASES = (
    LiveCase(
        name="live-flushed",
        what="FLUSHALL, twelve times, while clients listen to their feeds",
        fault=_flushed,
        lasts_s=4,
    ),
    LiveCase(
        name="live-redis-killed",
        what="Redis dies, and comes back empty after 10 s",
        fault=_redis_killed,
        lasts_s=11,
    ),
    LiveCase(name="live-redis-frozen", what="Redis hangs for 8 s", fault=_frozen("valkey", 8), lasts_s=8),
    LiveCase(name="live-killed", what="the live process dies", fault=_live_killed, lasts_s=4),
    LiveCase(name="live-drained", what="the live process is restarted in order", fault=_live_drained, lasts_s=6),
    LiveCase(
        name="live-frozen",
        what="the live process hangs for 15 s",
        fault=_frozen(LIVE, 15),
        repeats=Repeats.UNACKNOWLEDGED,
        lasts_s=15,
    ),
    LiveCase(
        name="live-postgres-restarted",
        what="PostgreSQL is restarted in order under the live process",
        fault=_postgres_restarted,
        lasts_s=2,
    ),
    LiveCase(
        name="live-postgres-killed",
        what="PostgreSQL dies under the live process and is started again",
        fault=_postgres_killed,
        lasts_s=2,
    ),
    LiveCase(
        name="live-bus-loses",
        what="the bus loses one hint in ten, to the end",
        fault=_nothing(6),
        lasts_s=6,
        tampering=Tampering(lost=0.1),
    ),
    LiveCase(
        name="live-bus-repeats",
        what="the bus brings a third of all hints twice, to the end",
        fault=_nothing(6),
        lasts_s=6,
        tampering=Tampering(repeated=0.3),
    ),
    LiveCase(
        name="live-bus-reorders",
        what="the bus brings a third of all hints after later ones, to the end",
        fault=_nothing(6),
        lasts_s=6,
        tampering=Tampering(overtaken=0.3),
    ),
    LiveCase(
        name="live-slow-clients",
        what="one client in nine reads in sips for 12 s, while half of all that is written is for these",
        fault=_slow_clients,
        repeats=Repeats.UNACKNOWLEDGED,
        lasts_s=12,
    ),
    LiveCase(
        name="live-all-at-once",
        what="the bus loses, repeats and reorders, Redis is flushed, the live process dies, PostgreSQL is restarted",
        fault=_all_at_once,
        lasts_s=8,
        tampering=Tampering(lost=0.1, repeated=0.1, overtaken=0.1),
    ),
)
