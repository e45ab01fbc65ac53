"""Accept to first attempt at 200 notifications a second, three channels each, with the whole system running."""

from __future__ import annotations

import time
from datetime import timedelta
from statistics import median

from benchmarks import load, preload
from benchmarks.arrivals import journeys
from benchmarks.load import Target
from benchmarks.measure import DidNotFinish, percentile
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from notifications.models import Delivery
from notifications.states import State

RATE_PER_S = 200
CHANNELS = 3
#: Not counted: workers that have only just begun.
WARM_UP_S = 3
_SETTLED_WITHIN_S = 60.0


def run(stage: Stage, options: Options) -> Figures:
    """`rate, p50_s, p95_s, p99_s` by the database, and the same by the sink, which is what a receiver sees."""
    preload.channels(CHANNELS, stage.sink, "noted/now")
    target = Target(f"{stage.belfry.url}/api/v1/notifications", preload.api_key())
    accepted = load.at_rate(target, RATE_PER_S, options.size + WARM_UP_S)
    await_delivered(CHANNELS * RATE_PER_S * (options.size + WARM_UP_S))
    found = journeys(stage.sink.notes())
    first = min(each.accepted_at for each in found) + timedelta(seconds=WARM_UP_S)
    counted = [each for each in found if each.accepted_at >= first]
    attempts = [each.to_attempt_s for each in counted if each.to_attempt_s is not None]
    arrivals = [each.to_sink_s for each in counted if each.to_sink_s is not None]
    assert len(attempts) == len(arrivals) == len(counted), "what was delivered is not what arrived"
    return {
        "rate": RATE_PER_S,
        "channels": CHANNELS,
        "deliveries": len(counted),
        "p50_s": round(median(attempts), 4),
        "p95_s": round(percentile(attempts, 0.95), 4),
        "p99_s": round(percentile(attempts, 0.99), 4),
        "sink_p50_s": round(median(arrivals), 4),
        "sink_p95_s": round(percentile(arrivals, 0.95), 4),
        "sink_p99_s": round(percentile(arrivals, 0.99), 4),
        "accept_p95_s": round(percentile(accepted, 0.95), 4),
    }


def await_delivered(total: int) -> None:
    """Wait until so many stand as delivered. Raises `DidNotFinish`."""
    deadline = time.monotonic() + _SETTLED_WITHIN_S
    while (count := Delivery.objects.in_state(State.DELIVERED).count()) < total:
        if time.monotonic() > deadline:
            raise DidNotFinish(f"{count} of {total} were delivered")
        time.sleep(0.2)
    say(f"{count} delivered")
