"""Leases: kept while a request is in flight, given back unused (j), taken back when they ran out (j, or i)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from notifications.models import statement
from notifications.models.transitions.guard import guard

# By id, one after the other: see `settling`.
_HELD = """
WITH held AS (
    SELECT v.id FROM (
        SELECT * FROM unnest(%(ids)b::int8[], %(tokens)b::int8[]) AS v(id, token) ORDER BY id
    ) AS v, LATERAL (
        SELECT FROM notifications_delivery d WHERE d.id = v.id AND d.token = v.token AND d.state = 'sending' FOR UPDATE
    ) AS locked
)"""

_RENEW = f"""
{_HELD}
UPDATE notifications_delivery d SET lease_until = %(lease_until)b
WHERE d.id = ANY(ARRAY(SELECT id FROM held))
RETURNING d.id, d.token
"""


def renew(held: Iterable[tuple[int, int]], *, now: datetime, lease_s: float) -> frozenset[tuple[int, int]]:
    """Not a move: keep the leases of (id, token) that are still held. Returns those that are still ours."""
    pairs = list(held)
    rows = statement.run(
        _RENEW,
        {
            "ids": [delivery_id for delivery_id, _ in pairs],
            "tokens": [token for _, token in pairs],
            "lease_until": now + timedelta(seconds=lease_s),
        },
    )
    return frozenset((row.id, row.token) for row in rows)


_TAKE_BACK = f"""
WITH lost AS (
    SELECT id, lease_until, channel_id = ANY(%(once)b::int8[]) AS once FROM notifications_delivery
    WHERE state IN {guard("j")} AND lease_until < %(now)b AND pg_postmaster_start_time() <= %(up_since)b
    ORDER BY lease_until LIMIT %(limit)b FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE notifications_delivery d
    SET state = CASE WHEN lost.once OR d.lost_leases + 1 >= %(most)b THEN 'dead' ELSE 'pending' END,
        lost_leases = d.lost_leases + 1, lease_until = NULL,
        reason_code = CASE WHEN lost.once THEN 'unknown' ELSE 'lease_lost' END,
        reason = 'The worker that held it died or was cut off.'
            || CASE WHEN lost.once THEN ' Nobody knows whether it arrived; it is not sent twice.' ELSE '' END,
        settled_at = CASE WHEN lost.once OR d.lost_leases + 1 >= %(most)b THEN %(now)b::timestamptz END
    FROM lost WHERE d.id = lost.id
    RETURNING d.id, d.lane, d.state, d.channel_id, d.attempts, lost.once
), logged AS (
    INSERT INTO notifications_attempt (delivery_id, started_at, duration_ms, outcome, code, detail)
    SELECT id, %(now)b, 0, 'unknown', 0, 'The worker that held it died or was cut off.' FROM moved
), buried AS (
    INSERT INTO notifications_deadletter
        (delivery_id, channel_id, outcome, code, detail, fingerprint, attempts, buried_at, discard_reason, decided_by)
    SELECT id, channel_id, 'unknown', 0,
        CASE WHEN once THEN 'The worker that held it died.' ELSE 'Every worker that held it died.' END, 'lease_lost',
        attempts, %(now)b, '', ''
    FROM moved WHERE state = 'dead'
)
SELECT id, lane, state FROM moved
"""


def take_back(
    *,
    now: datetime,
    limit: int,
    most_lost_leases: int,
    at_most_once: Sequence[int] = (),
    up_since: datetime | None = None,
) -> list[Any]:
    """j: the lease ran out; i when that happened too often, or on a channel (by id) to which nothing is sent twice.

    Rows: `id, lane, state`; none where Postgres was started after `up_since`.
    """
    values = {"now": now, "limit": limit, "most": most_lost_leases, "once": list(at_most_once)}
    return statement.run(_TAKE_BACK, {**values, "up_since": up_since or now})


_GIVE_BACK = f"""
{_HELD}
UPDATE notifications_delivery d
SET state = 'pending', lease_until = NULL, due_at = %(now)b,
    first_attempt_at = CASE WHEN d.attempts > 0 THEN d.first_attempt_at END
WHERE d.id = ANY(ARRAY(SELECT id FROM held)) AND d.state IN {guard("j")}
RETURNING d.id
"""


def give_back(held: Iterable[tuple[int, int]], *, now: datetime) -> int:
    """j, by the worker itself: it stops before it began to send these (id, token)."""
    pairs = list(held)
    return len(
        statement.run(
            _GIVE_BACK,
            {"ids": [delivery_id for delivery_id, _ in pairs], "tokens": [token for _, token in pairs], "now": now},
        )
    )
