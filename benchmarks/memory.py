"""A delivering worker's resident memory over many deliveries."""

from __future__ import annotations

from benchmarks import preload
from benchmarks.deliver import USUAL_BYTES
from benchmarks.measure import rss_mb, watch
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from notifications.wake import publish

_PORTION = 50_000
_WITHIN_S = 600.0


def run(stage: Stage, options: Options) -> Figures:
    """`start_mb` is after the first portion, when connections, channels and buffers are there; `fresh_mb` before it."""
    portion = min(_PORTION, max(1, options.size // 4))
    preload.notifications(portion, body_bytes=USUAL_BYTES)
    channels = preload.channels(100, stage.sink, "now")
    sizes = []
    with stage.deliver_workers(1) as (pid,):
        fresh_mb = rss_mb(pid)
        for number in range(max(2, options.size // portion)):
            preload.deliveries(portion, channels)
            publish(preload.LANE)
            watch(preload.attempts_so_far, total=portion, processes={}, within_s=_WITHIN_S)
            sizes.append(rss_mb(pid))
            say(f"{(number + 1) * portion} delivered: {sizes[-1]:.1f} MB")
    return {
        "start_mb": round(sizes[0], 1),
        "end_mb": round(sizes[-1], 1),
        "deliveries": portion * len(sizes),
        "fresh_mb": round(fresh_mb, 1),
        "highest_mb": round(max(sizes), 1),
    }
