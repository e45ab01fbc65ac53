"""k and l: people and times decide: replayed, withdrawn, expired, superseded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.models import statement
from notifications.models.transitions.guard import guard

# The letters are locked first: where somebody discards one at the same moment, one of the two decides. So it is
# with the notifications and their producers, who may be withdrawing them.
_REPLAY = f"""
WITH letters AS (
    SELECT id, delivery_id FROM notifications_deadletter
    WHERE delivery_id = ANY(%(ids)b::int8[]) AND replayed_at IS NULL AND discarded_at IS NULL
    ORDER BY id FOR UPDATE
), wanted AS (
    SELECT d.id FROM letters
    JOIN notifications_delivery d ON d.id = letters.delivery_id
    JOIN notifications_notification n ON n.id = d.notification_id
    WHERE n.withdrawn_at IS NULL ORDER BY d.id FOR UPDATE OF d FOR SHARE OF n
), moved AS (
    UPDATE notifications_delivery d
    SET state = 'pending', attempts = 0, lost_leases = 0, first_attempt_at = NULL, due_at = %(now)b,
        settled_at = NULL, expires_at = NULL, cancel_requested = false, reason_code = 'replayed',
        reason = 'Replayed by ' || %(by)b::text || '.'
    WHERE d.id IN (SELECT id FROM wanted) AND d.state IN {guard("k")}
    RETURNING d.id, d.lane
), decided AS (
    UPDATE notifications_deadletter l SET replayed_at = %(now)b, decided_by = %(by)b::text
    FROM letters, moved WHERE l.id = letters.id AND letters.delivery_id = moved.id
)
SELECT id, lane FROM moved
"""


def replay(delivery_ids: Sequence[int], *, by: str, now: datetime) -> list[Any]:
    """k: begin again with all attempts, for `by`; a person's word stands above an expiry. Rows: `id, lane`.

    Only where the dead letter still waits and nobody withdrew the notification: what was discarded, or taken
    back, stays so.
    """
    return statement.run(_REPLAY, {"ids": list(delivery_ids), "by": by, "now": now})


# What a worker holds right now is marked, and ended when it comes back undelivered.
_END = f"""
UPDATE notifications_delivery d
SET state = CASE WHEN doomed.state IN {guard("l")} THEN 'cancelled' ELSE d.state END,
    reason_code = CASE WHEN doomed.state IN {guard("l")} THEN %(code)b ELSE d.reason_code END,
    reason = CASE WHEN doomed.state IN {guard("l")} THEN %(reason)b ELSE d.reason END,
    settled_at = CASE WHEN doomed.state IN {guard("l")} THEN %(now)b::timestamptz END,
    cancel_requested = true
FROM doomed WHERE d.id = doomed.id
RETURNING d.id, d.state
"""

_CANCEL = f"""
WITH doomed AS (
    SELECT id, state FROM notifications_delivery
    WHERE (%(notification_id)b::uuid IS NULL OR notification_id = %(notification_id)b)
      AND (%(ids)b::int8[] IS NULL OR id = ANY(%(ids)b::int8[]))
      AND state IN ('scheduled', 'pending', 'retrying', 'sending')
    ORDER BY id FOR UPDATE
)
{_END}
"""

_CANCEL_OF_CHANNEL = f"""
WITH doomed AS (
    SELECT id, state FROM notifications_delivery
    WHERE channel_id = %(channel_id)b AND id > %(behind)b::int8
      AND state IN ('scheduled', 'pending', 'retrying', 'sending')
    ORDER BY id LIMIT %(limit)b FOR UPDATE
)
{_END}
"""


def cancel(
    *, code: str, reason: str, now: datetime, notification_id: UUID | None = None, ids: Sequence[int] | None = None
) -> list[Any]:
    """l: end what is open of a notification, or of these ids. Name at least one of the two.

    What a worker holds right now is marked, and ended when it comes back undelivered. Rows: `id, state`.
    """
    if notification_id is None and ids is None:
        raise ValueError("name a notification or ids: cancelling everything is never meant")
    return statement.run(
        _CANCEL,
        {
            "code": code,
            "reason": reason,
            "now": now,
            "notification_id": notification_id,
            "ids": None if ids is None else list(ids),
        },
    )


def cancel_of_channel(channel_id: int, *, reason: str, now: datetime, behind: int, limit: int) -> list[Any]:
    """l: the same for up to `limit` deliveries of a deleted channel, the first ones whose ids are above `behind`."""
    values = {"channel_id": channel_id, "behind": behind, "limit": limit}
    return statement.run(_CANCEL_OF_CHANNEL, {"code": "channel_deleted", "reason": reason, "now": now, **values})


_CANCEL_OVERDUE = f"""
WITH doomed AS (
    SELECT id FROM (
        SELECT id FROM notifications_delivery
        WHERE state IN {guard("l")} AND expires_at <= %(now)b LIMIT %(limit)b FOR UPDATE SKIP LOCKED
    ) AS expired
    UNION
    SELECT id FROM (
        SELECT id FROM notifications_delivery
        WHERE state IN {guard("l")} AND cancel_requested LIMIT %(limit)b FOR UPDATE SKIP LOCKED
    ) AS withdrawn
)
UPDATE notifications_delivery d
SET state = 'cancelled', settled_at = %(now)b,
    reason_code = CASE WHEN NOT d.cancel_requested THEN 'expired'
        WHEN n.withdrawn_at IS NOT NULL THEN 'withdrawn' ELSE 'channel_deleted' END,
    reason = CASE WHEN NOT d.cancel_requested THEN 'It expired.'
        WHEN n.withdrawn_at IS NOT NULL THEN 'It was withdrawn while a worker held it.'
        ELSE 'The channel was deleted while a worker held it.' END
FROM doomed, notifications_notification n WHERE d.id = doomed.id AND n.id = d.notification_id
RETURNING d.id
"""


def cancel_overdue(*, now: datetime, limit: int) -> int:
    """l: end what has expired, and what was withdrawn, or lost its channel, while a worker held it."""
    return len(statement.run(_CANCEL_OVERDUE, {"now": now, "limit": limit}))
