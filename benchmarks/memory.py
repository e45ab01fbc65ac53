"""A delivering worker's resident memory over many deliveries."""

from __future__ import annotations

from benchmarks import preload
from benchmarks.deliver import USUAL_BYTES
from benchmarks.measure import highest_rss_mb, rss_mb, watch
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from notifications.wake import publish

#: The worker is told so often to drain; the first tenth warms it up.
_PORTIONS, _WARM_AFTER = 20, 2
_WITHIN_S = 600.0
#: In each portion: as many as the worker has threads, so that all of them get to work some day.
_WAKE_UPS = 16


def run(stage: Stage, options: Options) -> Figures:
    """`start_mb` is after a tenth of them, when connections, channels and buffers are there; `fresh_mb` before all."""
    portion = max(1, options.size // _PORTIONS)
    preload.notifications(portion, body_bytes=USUAL_BYTES)
    channels = preload.channels(100, stage.sink, "now")
    sizes = []
    with stage.deliver_workers(1) as (pid,):
        fresh_mb = rss_mb(pid)
        for number in range(_PORTIONS):
            preload.deliveries(portion, channels)
            for _ in range(_WAKE_UPS):
                publish(preload.LANE)
            watch(preload.attempts_so_far, total=portion, processes={}, within_s=_WITHIN_S)
            sizes.append(rss_mb(pid))
            say(f"{(number + 1) * portion} delivered: {sizes[-1]:.1f} MB")
        highest_mb = highest_rss_mb(pid)
    start_mb, end_mb = sizes[_WARM_AFTER - 1], sizes[-1]
    return {
        "start_mb": round(start_mb, 1),
        "end_mb": round(end_mb, 1),
        "change": round(end_mb / start_mb - 1, 3),
        "deliveries": portion * _PORTIONS,
        "fresh_mb": round(fresh_mb, 1),
        "highest_mb": round(highest_mb, 1),
    }
