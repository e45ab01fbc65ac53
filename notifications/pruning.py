"""Forgetting: notifications that ended long ago go, with their deliveries, attempts and dead letters."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings

from notifications.models import Notification

#: Notifications deleted by one statement, so that no transaction is long.
BATCH = 1000
#: Batches in one run; the next run goes on.
MOST_BATCHES = 200

_log = structlog.get_logger(__name__)


def prune(now: datetime) -> int:
    """Delete what was accepted before the retention time and has nothing open. Returns how many.

    A dead letter on which nobody decides keeps it for longer, though not for ever.
    """
    before = now - timedelta(days=settings.BELFRY_RETENTION_DAYS)
    undecided_before = now - timedelta(days=settings.BELFRY_DEAD_LETTER_RETENTION_DAYS)
    deleted, lapsed = 0, 0
    for _ in range(MOST_BATCHES):
        batch, undecided = Notification.objects.forget(before=before, undecided_before=undecided_before, limit=BATCH)
        deleted, lapsed = deleted + batch, lapsed + undecided
        if batch < BATCH:
            break
    if deleted:
        _log.info("pruned", notifications=deleted)
    if lapsed:
        _log.warning("dead_letters_lapsed", undecided=lapsed, after_days=settings.BELFRY_DEAD_LETTER_RETENTION_DAYS)
    return deleted
