"""What one hanging channel of 100 does to the others: accept to arrival, with it and without, by turns."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median

from django.conf import settings

from benchmarks import load, preload
from benchmarks.arrivals import journeys
from benchmarks.latency import WARM_UP_S, await_delivered
from benchmarks.load import Target
from benchmarks.measure import percentile
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from channels_app.models import Channel

CHANNELS = 100
#: Each goes to all channels.
NOTIFICATIONS_PER_S = 10


def run(stage: Stage, options: Options) -> Figures:
    """`p95_s, p95_with_hanging_s, change`: of the 99 others, as the sink saw them arrive."""
    channels = preload.channels(CHANNELS, stage.sink, "noted/now")
    target = Target(f"{stage.belfry.url}/api/v1/notifications", preload.api_key())
    well, ill = [], []
    for _ in range(options.runs):
        well.append(_others_p95(stage, target, options.size, channels[0]))
        _move(channels[0], stage.sink.url("hang/0"))
        ill.append(_others_p95(stage, target, options.size, channels[0]))
        _move(channels[0], stage.sink.url("noted/now/0"))
        # What hangs holds its slots until then.
        time.sleep(settings.BELFRY_HTTP_TIMEOUT_S + 1)
    return {
        "channels": CHANNELS,
        "deliveries_per_s": CHANNELS * NOTIFICATIONS_PER_S,
        "p95_s": round(median(well), 4),
        "p95_with_hanging_s": round(median(ill), 4),
        "change": round(median(b / a for a, b in zip(well, ill, strict=True)) - 1, 3),
    }


def _others_p95(stage: Stage, target: Target, seconds: int, excepted: Channel) -> float:
    preload.forget_all()
    stage.sink.notes()
    seconds += WARM_UP_S
    load.at_rate(target, NOTIFICATIONS_PER_S, seconds)
    await_delivered((CHANNELS - 1) * NOTIFICATIONS_PER_S * seconds)
    found = [each for each in journeys(stage.sink.notes()) if each.channel_id != excepted.pk]
    first = min(each.accepted_at for each in found) + timedelta(seconds=WARM_UP_S)
    waits = [each.to_sink_s for each in found if each.accepted_at >= first and each.to_sink_s is not None]
    p95 = percentile(waits, 0.95)
    say(f"{len(waits)} to the others: p50 {median(waits):.4f} s, p95 {p95:.4f} s")
    return p95


def _move(channel: Channel, url: str) -> None:
    channel.configure({"url": url})
    channel.save()
