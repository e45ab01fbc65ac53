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
    """Delete what was accepted before the retention time and has nothing open or undecided. Returns how many."""
    before = now - timedelta(days=settings.BELFRY_RETENTION_DAYS)
    deleted = 0
    for _ in range(MOST_BATCHES):
        batch = Notification.objects.forget(before=before, limit=BATCH)
        deleted += batch
        if batch < BATCH:
            break
    if deleted:
        _log.info("pruned", notifications=deleted)
    return deleted
