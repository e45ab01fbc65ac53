"""Forgetting: one batch of old notifications is chosen and deleted, with all that hangs on it, in one transaction.

Whatever is deleted is locked first, and looked at again under the lock. What somebody else holds,
a replay for one, is passed by and not waited for, so that forgetting is never in anybody's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from notifications.models import statement
from notifications.states import OPEN

#: Nobody else in this database takes a lock of this number.
_ONE_AT_A_TIME = 0x62656C66727901

#: Before every notification.
_FIRST = UUID(int=0)

_TAKE_TURN = "SELECT pg_try_advisory_xact_lock(%(number)b::int8) AS mine"

_OPEN = "(" + ", ".join(f"'{state}'" for state in sorted(OPEN)) + ")"

# A letter on which nobody has decided is open, unless it is too old for that.
_UNDECIDED = "l.replayed_at IS NULL AND l.discarded_at IS NULL AND l.buried_at >= %(undecided_before)b"

_LOOK = """
SELECT id FROM notifications_notification
WHERE id > %(behind)b AND accepted_at < %(before)b AND routed_at IS NOT NULL ORDER BY id LIMIT %(limit)b
"""

_CHOOSE = f"""
SELECT n.id FROM notifications_notification n
WHERE n.id = ANY(%(ids)b::uuid[])
  AND n.feed_due_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM notifications_delivery d WHERE d.notification_id = n.id AND d.state IN {_OPEN})
  AND NOT EXISTS (
      SELECT 1 FROM notifications_delivery d JOIN notifications_deadletter l ON l.delivery_id = d.id
      WHERE d.notification_id = n.id AND {_UNDECIDED})
FOR UPDATE OF n SKIP LOCKED
"""

_LOCK_DELIVERIES = """
SELECT id FROM notifications_delivery WHERE notification_id = ANY(%(ids)b::uuid[]) FOR UPDATE SKIP LOCKED
"""

_LOCK_LETTERS = """
SELECT l.id FROM notifications_deadletter l JOIN notifications_delivery d ON d.id = l.delivery_id
WHERE d.notification_id = ANY(%(ids)b::uuid[]) FOR UPDATE OF l SKIP LOCKED
"""

# Asked with everything locked that may go: what stands now will still stand when it is deleted.
_KEPT = f"""
SELECT d.notification_id AS id FROM notifications_delivery d
WHERE d.notification_id = ANY(%(ids)b::uuid[]) AND (
    d.state IN {_OPEN} OR d.id NOT IN (SELECT unnest(%(deliveries)b::int8[])))
UNION
SELECT d.notification_id FROM notifications_delivery d JOIN notifications_deadletter l ON l.delivery_id = d.id
WHERE d.notification_id = ANY(%(ids)b::uuid[]) AND (
    ({_UNDECIDED}) OR l.id NOT IN (SELECT unnest(%(letters)b::int8[])))
"""

_DELETE_LETTERS = """
WITH gone AS (
    DELETE FROM notifications_deadletter l USING notifications_delivery d
    WHERE d.id = l.delivery_id AND d.notification_id = ANY(%(ids)b::uuid[])
    RETURNING l.replayed_at IS NULL AND l.discarded_at IS NULL AS undecided
)
SELECT count(*) FILTER (WHERE undecided) AS undecided FROM gone
"""

_DELETE_ATTEMPTS = """
DELETE FROM notifications_attempt a USING notifications_delivery d
WHERE d.id = a.delivery_id AND d.notification_id = ANY(%(ids)b::uuid[])
"""

_DELETE_DELIVERIES = "DELETE FROM notifications_delivery WHERE notification_id = ANY(%(ids)b::uuid[])"

_DELETE = "DELETE FROM notifications_notification WHERE id = ANY(%(ids)b::uuid[])"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one batch came to. `undecided`: dead letters among it on which nobody had decided.

    `behind` is the last that was looked at: the next batch begins after it. None: no more are that
    old, or somebody else is at it.
    """

    notifications: int = 0
    undecided: int = 0
    behind: UUID | None = None


def forget(*, before: datetime, undecided_before: datetime, limit: int, behind: UUID | None = None) -> Forgotten:
    """Of the `limit` oldest accepted before then, delete those of which nothing is open, with all that hangs on them.

    A dead letter on which nobody has decided is open, if it was buried at `undecided_before` or later.
    Only one in the whole installation forgets at a time; the others find nothing to do.
    """
    with transaction.atomic():
        if not statement.run(_TAKE_TURN, {"number": _ONE_AT_A_TIME})[0].mine:
            return Forgotten()
        given = {"before": before, "limit": limit, "behind": behind or _FIRST}
        old: list[UUID] = [row.id for row in statement.run(_LOOK, given)]
        chosen = _choose(old, undecided_before) if old else []
        undecided = _delete(chosen) if chosen else 0
    return Forgotten(len(chosen), undecided, old[-1] if len(old) == limit else None)


def _choose(old: Sequence[UUID], undecided_before: datetime) -> list[UUID]:
    """Lock those that may go with all that hangs on them, and leave out what somebody else holds or has changed."""
    given: dict[str, Any] = {"undecided_before": undecided_before}
    ids = [row.id for row in statement.run(_CHOOSE, {"ids": old, **given})]
    if not ids:
        return []
    given["deliveries"] = [row.id for row in statement.run(_LOCK_DELIVERIES, {"ids": ids})]
    given["letters"] = [row.id for row in statement.run(_LOCK_LETTERS, {"ids": ids})]
    kept = {row.id for row in statement.run(_KEPT, {"ids": ids, **given})}
    return [pk for pk in ids if pk not in kept]


def _delete(ids: Sequence[UUID]) -> int:
    """Children first. Returns how many dead letters among them nobody had decided on."""
    undecided: int = statement.run(_DELETE_LETTERS, {"ids": ids})[0].undecided
    for sql in (_DELETE_ATTEMPTS, _DELETE_DELIVERIES, _DELETE):
        statement.run(sql, {"ids": ids})
    return undecided
