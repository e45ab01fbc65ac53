"""Forgetting: notifications that ended long ago go, with their deliveries, attempts and dead letters. And in feeds."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import structlog
from django.conf import settings

from channels_app.feed import retention as feeds
from notifications.models import retention

#: Notifications looked at in one transaction, so that none is long.
BATCH = 1000
#: What one run may take, in seconds: far less than the broker waits before it gives the task to
#: somebody else. The next run goes on.
BUDGET_S = 20.0

_log = structlog.get_logger(__name__)

_pruning = threading.Lock()


def prune(now: datetime) -> int:
    """Delete what was accepted before the retention time and has nothing open. Returns how many.

    A dead letter on which nobody decides keeps it for longer, though not for ever. Feed items go by times
    of their own. Does nothing where a run is under way already, here or in another process.
    """
    if not _pruning.acquire(blocking=False):
        return 0
    try:
        deleted = _prune(now, give_up_at=time.monotonic() + BUDGET_S)
        feeds.prune(now)
        return deleted
    finally:
        _pruning.release()


def _prune(now: datetime, *, give_up_at: float) -> int:
    before = now - timedelta(days=settings.BELFRY_RETENTION_DAYS)
    undecided_before = now - timedelta(days=settings.BELFRY_DEAD_LETTER_RETENTION_DAYS)
    deleted, lapsed, behind = 0, 0, None
    while True:
        batch = retention.forget(before=before, undecided_before=undecided_before, limit=BATCH, behind=behind)
        deleted, lapsed, behind = deleted + batch.notifications, lapsed + batch.undecided, batch.behind
        if behind is None or time.monotonic() >= give_up_at:
            break
    if deleted:
        _log.info("pruned", notifications=deleted, all=behind is None)
    if lapsed:
        _log.warning("dead_letters_lapsed", undecided=lapsed, after_days=settings.BELFRY_DEAD_LETTER_RETENTION_DAYS)
    return deleted
