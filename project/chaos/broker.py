"""The broker stops, hangs, goes silent or is full."""

from __future__ import annotations

import shutil
import time

from project.chaos.case import Case, Scene
from project.chaos.stage import Setting


def _stopped(scene: Scene) -> int:
    """Gone for a minute, and when it is back it has forgotten everything."""
    scene.belfry.kill("valkey", restart=False)
    time.sleep(60)
    shutil.rmtree(scene.stage.folder / "valkey")
    scene.belfry.start("valkey")
    return 0


def _frozen(scene: Scene) -> int:
    scene.belfry.freeze("valkey")
    time.sleep(20)
    scene.belfry.thaw("valkey")
    return 0


def _half_open(scene: Scene) -> int:
    """Its machine is gone and nobody says so: connections stay open, and nothing ever comes through them."""
    scene.stage.relay.go_silent()
    time.sleep(20)
    scene.stage.relay.come_back()
    return 0


def _full(scene: Scene) -> int:
    with scene.redis(0) as valkey:
        valkey.config_set("maxmemory", "1")
        time.sleep(8)
        valkey.config_set("maxmemory", "0")
    return 0


CASES = (
    Case(name="broker-stopped", what="the broker is gone for 60 s and comes back empty", fault=_stopped, lasts_s=60),
    Case(name="broker-frozen", what="the broker hangs for 20 s", fault=_frozen, lasts_s=20),
    Case(
        name="broker-half-open",
        what="the broker is silent for 20 s, and old connections for ever",
        fault=_half_open,
        lasts_s=20,
        setting=Setting(relayed=True),
    ),
    Case(name="broker-full", what="the broker is out of memory for 8 s", fault=_full, lasts_s=8),
)
