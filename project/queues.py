"""The queues, and which worker reads which: the one list for Celery, the supervisor and the compose file."""

from __future__ import annotations

from types import MappingProxyType

from notifications.lanes import LANES, MOST_WAITING, queue_of

ROUTE, SWEEP, CONTROL = "route", "sweep", "control"

#: Queues by worker. What decides and what cleans up never waits behind what sends.
QUEUES_OF_WORKER = MappingProxyType(
    {
        "worker-deliver": tuple(queue_of(lane) for lane in LANES),
        "worker-control": (ROUTE, SWEEP, CONTROL),
    }
)

QUEUES = tuple(queue for queues in QUEUES_OF_WORKER.values() for queue in queues)

#: What beat sends waits in its queue at the most so often: one sweep does the work of all that gathered.
MOST_OF_BEAT = 3


def most_waiting(queue: str) -> int:
    """How many messages of a queue are worth keeping: all of them are wake-ups, and the last ones do."""
    return MOST_OF_BEAT if queue == SWEEP else MOST_WAITING
