"""The queues, and which worker reads which: the one list for Celery, supervisor and compose file.

A lane is the name of a group of transports with a priority class; `slow` holds what answers slowly,
so that it delays nobody else. The queue of a lane is `deliver.<lane>`.
"""

from __future__ import annotations

from types import MappingProxyType

LANES = ("http-high", "http-normal", "http-low", "http-slow", "blocking-high", "blocking-normal", "blocking-low")

ROUTE, SWEEP, CONTROL = "route", "sweep", "control"


def queue_of(lane: str) -> str:
    return f"deliver.{lane}"


#: Queues by worker. What decides and what cleans up never waits behind what sends.
QUEUES_OF_WORKER = MappingProxyType(
    {
        "worker-deliver": tuple(queue_of(lane) for lane in LANES),
        "worker-control": (ROUTE, SWEEP, CONTROL),
    }
)

QUEUES = tuple(queue for queues in QUEUES_OF_WORKER.values() for queue in queues)
