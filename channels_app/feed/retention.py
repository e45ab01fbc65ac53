"""Forgetting in feeds: what expired, what is old, and the traces of what was deleted.

What goes is deleted first, as if its recipient had done it, so that every device and the unread count
follow. Only the traces of deletions are forgotten without a word; who was away for longer than they
are kept is told to begin anew.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from channels_app import statement
from channels_app.feed import broadcasting
from channels_app.feed.changing import DELETION, change, in_turn, lock
from channels_app.feed.item import Change

#: What one run may take; the next one goes on.
BUDGET_S = 20.0

_EXPIRED = """
SELECT i.id, i.recipient FROM channels_app_inbox_item i
WHERE i.expires_at <= %(now)b AND i.deleted_at IS NULL ORDER BY i.expires_at LIMIT %(limit)b
"""

_IS_OLD = "(i.created_at < %(before)b OR (i.created_at < %(read_before)b AND i.read_at IS NOT NULL))"

# Ids grow with time: what is old stands in front, and nothing behind the last possible id is looked at.
_OLD = f"""
SELECT i.id, i.recipient FROM channels_app_inbox_item i
WHERE i.id > %(behind)b AND i.id < %(end)b AND i.deleted_at IS NULL AND {_IS_OLD} ORDER BY i.id LIMIT %(limit)b
"""

_DELETED = """
SELECT i.id, i.recipient FROM channels_app_inbox_item i
WHERE i.deleted_at < %(before)b ORDER BY i.deleted_at LIMIT %(limit)b
"""

_FORGET = """
WITH gone AS (
    DELETE FROM channels_app_inbox_item i
    WHERE i.id = ANY(%(ids)b::uuid[]) AND i.recipient = ANY(%(recipients)b::text[])
    RETURNING i.recipient, i.changed_seq
)
UPDATE channels_app_inbox_state s SET floor_seq = greatest(s.floor_seq, g.seq)
FROM (SELECT recipient, max(changed_seq) AS seq FROM gone GROUP BY recipient) g WHERE s.recipient = g.recipient
"""

_FORGET_DEVICES = "DELETE FROM channels_app_device WHERE last_seen_at < %(before)b"

_FIRST = UUID(int=0)

_log = structlog.get_logger(__name__)


def expire(now: datetime, *, limit: int = 1000) -> list[Change]:
    """Delete items whose `expires_at` has come; their recipients' devices hear of it."""
    found = statement.run(_EXPIRED, {"now": now, "limit": limit})
    return _delete(found, "i.expires_at <= %(now)b", {}, now) if found else []


def prune(now: datetime, *, limit: int = 1000) -> int:
    """Delete what is older than the settings say, `limit` in a transaction. Returns how many items it dealt with."""
    dealt, give_up_at = 0, time.monotonic() + BUDGET_S
    for batch in _batches(now, limit):
        dealt += batch
        if time.monotonic() >= give_up_at:
            break
    oldest = now - timedelta(days=settings.BELFRY_FEED_UNREAD_DAYS)
    broadcasting.prune(before=oldest)
    statement.run(_FORGET_DEVICES, {"before": oldest})
    if dealt:
        _log.info("feeds_pruned", items=dealt)
    return dealt


def _batches(now: datetime, limit: int) -> Iterator[int]:
    given: dict[str, Any] = {
        "before": now - timedelta(days=settings.BELFRY_FEED_UNREAD_DAYS),
        "read_before": now - timedelta(days=settings.BELFRY_FEED_READ_DAYS),
        "limit": limit,
    }
    end, behind = _id_at(max(given["before"], given["read_before"])), _FIRST
    while found := statement.run(_OLD, {**given, "end": end, "behind": behind}):
        yield len(_delete(found, _IS_OLD, given, now))
        behind = found[-1].id
    before = now - timedelta(days=settings.BELFRY_FEED_TOMBSTONE_DAYS)
    while found := statement.run(_DELETED, {"before": before, "limit": limit}):
        _forget(found)
        yield len(found)


def _delete(found: Sequence[Any], why: str, given: Mapping[str, Any], now: datetime) -> list[Change]:
    """Delete of `found` what is still so when its feed is locked."""
    parameters = {**given, "ids": [row.id for row in found]}
    recipients = [row.recipient for row in found]
    return change(DELETION, recipients, scope=f"i.id = ANY(%(ids)b::uuid[]) AND {why}", parameters=parameters, now=now)


def _forget(found: Sequence[Any]) -> None:
    ids = [row.id for row in found]
    with transaction.atomic():
        for some in in_turn([row.recipient for row in found]):
            lock(some)
            statement.run(_FORGET, {"ids": ids, "recipients": some})


def _id_at(moment: datetime) -> UUID:
    """The least id that an item of this moment can have."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return UUID(int=(since // timedelta(milliseconds=1)) << 80)
