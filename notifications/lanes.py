"""Lanes: which queue and which pump a delivery travels in. Pure.

A lane is a group of transports and a class of priority, so that what is urgent never queues behind
what is not, and what blocks never holds up what does not. `slow` is for channels that answer slowly.
"""

from __future__ import annotations

from notifications.priority import lane_class

HTTP, BLOCKING = "http", "blocking"
CLASSES = ("high", "normal", "low")
SLOW = f"{HTTP}-slow"

LANES = (*(f"{HTTP}-{name}" for name in CLASSES), SLOW, *(f"{BLOCKING}-{name}" for name in CLASSES))

#: So many wake-ups wait in a queue at the most: more would wake nobody sooner, and fill the broker.
MOST_WAITING = 1000


def lane_of(group: str, priority: int) -> str:
    """The lane of a transport's group ("http", "blocking") at a priority of 0 to 10."""
    return f"{group}-{lane_class(priority)}"


def queue_of(lane: str) -> str:
    """The Celery queue whose workers drain a lane."""
    return f"deliver.{lane}"


def group_of(lane: str) -> str:
    """The group of transports that a lane carries."""
    return lane.partition("-")[0]
