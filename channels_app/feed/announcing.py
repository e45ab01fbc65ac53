"""After COMMIT: how feeds stand goes to Redis, and the live processes hear what changed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from channels_app.feed import hints
from channels_app.feed.item import Change
from channels_app.feed.unread import Standing, default_unread


def generation() -> str:
    """What `announce` wants to know; to be asked *before* the first look at a row."""
    return default_unread().generation


def announce(changes: Sequence[Change], standings: Sequence[Standing], known: str) -> None:
    """Tell of `changes` when the transaction is committed. In nobody's way: never raises, waits 100 ms at most."""

    def tell() -> None:
        default_unread().put(standings, known)
        hints.publish(changes)

    transaction.on_commit(tell, robust=True)


def announce_broadcast(broadcast_id: int) -> None:
    """Tell, when the transaction is committed, that every feed has something to be written into it."""

    def tell() -> None:
        default_unread().renew()
        hints.broadcast(broadcast_id)

    transaction.on_commit(tell, robust=True)
