"""d: what waits goes on its way, or goes on waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from notifications.models import statement
from notifications.models.transitions.guard import guard

_PROMOTE = f"""
WITH due AS (
    SELECT id FROM notifications_delivery
    WHERE state IN {guard("d")} AND due_at <= %(until)b AND NOT cancel_requested
    AND (expires_at IS NULL OR expires_at > %(now)b) AND (%(ids)b::int8[] IS NULL OR id = ANY(%(ids)b::int8[]))
    AND reason_code <> ALL(%(but_not)b::text[])
    ORDER BY due_at LIMIT %(limit)b FOR UPDATE SKIP LOCKED
)
UPDATE notifications_delivery d SET state = 'pending'
FROM due WHERE d.id = due.id
RETURNING d.id, d.lane
"""


def promote(
    *, now: datetime, until: datetime, limit: int, ids: Sequence[int] | None = None, but_not: Sequence[str] = ()
) -> list[Any]:
    """d: the time of these has come, or comes by `until`; `due_at` stays. Rows: `id, lane`.

    Those whose reason code is in `but_not` are left to someone who looks closer.
    """
    return statement.run(
        _PROMOTE,
        {
            "now": now,
            "until": until,
            "limit": limit,
            "ids": None if ids is None else list(ids),
            "but_not": list(but_not),
        },
    )


_SOON = "due_at = %(now)b + random() * make_interval(secs => %(spread_s)b::float8)"

_RELEASE = f"""
WITH waiting AS (
    SELECT id FROM notifications_delivery
    WHERE channel_id = %(channel_id)b AND state = 'scheduled' AND reason_code = %(code)b
    ORDER BY id FOR UPDATE
)
UPDATE notifications_delivery d SET {_SOON}
FROM waiting WHERE d.id = waiting.id
RETURNING d.id
"""


def release(channel_id: int, *, code: str, now: datetime, spread_s: float) -> int:
    """Not a move: what waits for a channel with this reason waits no longer, spread over some seconds."""
    return len(
        statement.run(_RELEASE, {"channel_id": channel_id, "code": code, "now": now, "spread_s": float(spread_s)})
    )


_CHANGE_LANE = """
WITH moving AS (
    SELECT id FROM notifications_delivery
    WHERE lane = ANY(%(from_lanes)b::text[]) AND channel_id = ANY(%(channel_ids)b::int8[])
      AND state IN ('pending', 'retrying')
    LIMIT %(limit)b FOR UPDATE SKIP LOCKED
)
UPDATE notifications_delivery d SET lane = %(to)b FROM moving WHERE d.id = moving.id
RETURNING d.id
"""


def change_lane(channel_ids: Sequence[int], *, from_lanes: Sequence[str], to: str, limit: int) -> int:
    """Not a move: what may be sent on these channels travels in another lane from now on."""
    values = {"channel_ids": list(channel_ids), "from_lanes": list(from_lanes), "to": to, "limit": limit}
    return len(statement.run(_CHANGE_LANE, values))


# The channels are locked to wait for whoever is restoring one of them: his transaction may have looked for what
# waits before these did, and is not to be seen before it ends.
_RELEASE_RESTORED = f"""
WITH asked AS MATERIALIZED (
    SELECT id, quarantined_at FROM channels_app_channel
    WHERE id IN (SELECT channel_id FROM notifications_delivery WHERE id = ANY(%(ids)b::int8[]))
    ORDER BY id FOR SHARE
), waiting AS (
    SELECT d.id FROM asked c JOIN notifications_delivery d ON d.channel_id = c.id
    WHERE d.id = ANY(%(ids)b::int8[]) AND d.state = 'scheduled' AND d.reason_code = %(code)b
      AND c.quarantined_at IS NULL
    ORDER BY d.id FOR UPDATE OF d
)
UPDATE notifications_delivery d SET {_SOON}
FROM waiting WHERE d.id = waiting.id
RETURNING d.id
"""


def release_restored(ids: Sequence[int], *, code: str, now: datetime, spread_s: float) -> int:
    """Not a move: of these, what waits for a channel that is in service again waits no longer."""
    parameters = {"ids": list(ids), "code": code, "now": now, "spread_s": float(spread_s)}
    return len(statement.run(_RELEASE_RESTORED, parameters))


#: No turn is told for later: nobody waits for one so long, and at some point calendars end.
_LATEST_TURN_S = 366 * 86400.0

_STRETCH = """
WITH waiting AS (
    SELECT id FROM notifications_delivery
    WHERE channel_id = %(channel_id)b AND state = 'scheduled' AND reason_code = %(code)b AND due_at > %(now)b
    ORDER BY id FOR UPDATE
)
UPDATE notifications_delivery d SET due_at = %(now)b + make_interval(
    secs => least(extract(epoch FROM d.due_at - %(now)b)::float8 * %(by)b::float8, %(latest_s)b::float8))
FROM waiting WHERE d.id = waiting.id
RETURNING d.id
"""


def stretch(channel_id: int, *, code: str, by: float, now: datetime) -> int:
    """Not a move: what waits for a channel with this reason waits `by` times as long; below 1 it is sooner."""
    values = {"channel_id": channel_id, "code": code, "by": by, "now": now, "latest_s": _LATEST_TURN_S}
    return len(statement.run(_STRETCH, values))


_POSTPONE = """
WITH waiting AS (
    SELECT v.* FROM unnest(%(ids)b::int8[], %(due_ats)b::timestamptz[], %(reason_codes)b::text[], %(reasons)b::text[])
        AS v(id, due_at, reason_code, reason)
    JOIN notifications_delivery d ON d.id = v.id
    WHERE d.state = 'scheduled' ORDER BY d.id FOR UPDATE OF d
)
UPDATE notifications_delivery d SET due_at = v.due_at, reason_code = v.reason_code, reason = v.reason
FROM waiting v WHERE d.id = v.id
RETURNING d.id
"""


def postpone(waits: Sequence[tuple[int, datetime, str, str]]) -> int:
    """Not a move: what waits goes on waiting. Each of `waits` is (id, due_at, reason_code, reason)."""
    columns: list[list[Any]] = [list(column) for column in zip(*waits, strict=True)] or [[], [], [], []]
    names = ("ids", "due_ats", "reason_codes", "reasons")
    return len(statement.run(_POSTPONE, dict(zip(names, columns, strict=True))))
