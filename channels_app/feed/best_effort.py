"""A bounded queue into feeds, for callers that must never wait and can bear a loss."""

from __future__ import annotations

from channels_app.feed.item import NewItem


def enqueue_publish(item: NewItem) -> bool:
    """Publish `item` soon, from another thread. False: the queue is full and the item is dropped, and counted."""
    raise NotImplementedError


def drain(timeout_s: float = 5.0) -> bool:
    """Wait until what is queued is written. False when the time was not enough."""
    raise NotImplementedError
