"""e: a worker takes deliveries under a lease, with a new fencing token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notifications.models import statement
from notifications.models.transitions.guard import guard

#: What a claimed row brings with it: all that is needed to tell it, so that nothing is read twice.
_CLAIMED_COLUMNS = """
    d.id, d.notification_id::text AS notification_id, d.channel_id, d.address, d.token, d.attempts,
    d.first_attempt_at, d.expires_at, d.lane, d.reason_code,
    n.event_type, n.priority, n.title, n.body, n.data::text AS data, n.accepted_at,
    coalesce(s.key, '') AS streamer_key, coalesce(s.name, '') AS streamer_name, coalesce(s.platform, '') AS platform,
    (SELECT sum(number)::int8 FROM notifications_rulesversion) AS rules
"""

#: Retries that are due and looked at one by one. Where there are more, channels are visited as for first tries.
_FEW = 200

# Which channels have something in the lane is found by jumping from one to the next in the index, so
# that a channel with a long backlog costs as much as one with a single row; Postgres jumps no
# further than the limit needs. Each gives as many as it has room for. First tries come before later
# ones, so that a backlog of retries never delays what is new; a quarter of the room is kept for the
# later ones, so that they get on too.
#
# Retries that are not due cost nothing, however many channels have them: where few are due, their
# channels are known beforehand (`again`), and no other is visited for its retries' sake. `place` is
# the next of those. `OFFSET 0` keeps Postgres from jumping anew for each use of what it found.
_CLAIM = f"""
WITH RECURSIVE again AS MATERIALIZED (
    SELECT count(*) = %(few)b AS many,
        array_agg(DISTINCT channel_id ORDER BY channel_id) FILTER (WHERE channel_id > %(after)b::int8) AS channels
    FROM (SELECT channel_id FROM notifications_delivery
          WHERE lane = %(lane)b AND state = 'retrying' AND due_at <= %(now)b
          ORDER BY due_at LIMIT %(few)b) AS due_again
), active(channel_id, place) AS (
    SELECT %(after)b::int8, 1
    UNION ALL
    SELECT least(next.first_try, next.later_try),
        active.place + (next.later_try <= coalesce(next.first_try, next.later_try))::int4
    FROM active, LATERAL (
        SELECT (SELECT d.channel_id FROM notifications_delivery d
                WHERE d.lane = %(lane)b AND d.state = 'pending' AND d.channel_id > active.channel_id
                ORDER BY d.channel_id LIMIT 1) AS first_try,
            CASE WHEN again.many
                THEN (SELECT d.channel_id FROM notifications_delivery d
                      WHERE d.lane = %(lane)b AND d.state = 'retrying' AND d.channel_id > active.channel_id
                      ORDER BY d.channel_id LIMIT 1)
                ELSE again.channels[active.place] END AS later_try
        FROM again OFFSET 0
    ) AS next
    WHERE active.channel_id IS NOT NULL
), due AS MATERIALIZED (
    SELECT picked.id
    FROM (
        SELECT a.channel_id, coalesce(r.size, %(room)b::int4) AS size
        FROM active a LEFT JOIN unnest(%(channel_ids)b::int8[], %(rooms)b::int4[]) AS r(channel_id, size)
            ON r.channel_id = a.channel_id
        WHERE a.channel_id > %(after)b::int8 AND coalesce(r.size, %(room)b::int4) > 0
    ) AS served, LATERAL (
        SELECT id FROM (SELECT id FROM notifications_delivery
         WHERE lane = %(lane)b AND channel_id = served.channel_id AND state = 'pending' AND due_at <= %(now)b
           AND NOT cancel_requested AND (expires_at IS NULL OR expires_at > %(now)b)
         ORDER BY due_at LIMIT served.size FOR UPDATE SKIP LOCKED) AS first_tries
        UNION ALL
        SELECT id FROM (SELECT id FROM notifications_delivery
         WHERE lane = %(lane)b AND channel_id = served.channel_id AND state = 'retrying' AND due_at <= %(now)b
           AND NOT cancel_requested AND (expires_at IS NULL OR expires_at > %(now)b)
         ORDER BY due_at LIMIT (served.size + 3) / 4 FOR UPDATE SKIP LOCKED) AS later_tries
    ) AS picked
    LIMIT %(limit)b
)
UPDATE notifications_delivery d
SET state = 'sending', token = d.token + 1, lease_until = %(lease_until)b,
    first_attempt_at = coalesce(d.first_attempt_at, %(now)b)
FROM notifications_notification n LEFT JOIN notifications_streamer s ON s.id = n.streamer_id
WHERE d.id = ANY (ARRAY(SELECT id FROM due)) AND d.state IN {guard("e")} AND n.id = d.notification_id
RETURNING {_CLAIMED_COLUMNS}
"""

_CLAIM_ONE = f"""
UPDATE notifications_delivery d
SET state = 'sending', token = d.token + 1, lease_until = %(lease_until)b,
    first_attempt_at = coalesce(d.first_attempt_at, %(now)b)
FROM notifications_notification n LEFT JOIN notifications_streamer s ON s.id = n.streamer_id
WHERE d.id = %(id)b AND d.state IN {guard("e")} AND d.due_at <= %(now)b AND n.id = d.notification_id
  AND NOT d.cancel_requested AND (d.expires_at IS NULL OR d.expires_at > %(now)b)
RETURNING {_CLAIMED_COLUMNS}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many deliveries a claim may take: in all, of any channel, and of those (by id) that differ.

    Only channels behind `after_channel` are served, in the order of their ids: whoever claims goes
    round them, so that none is starved.
    """

    in_all: int
    of_a_channel: int
    of_channel: Mapping[int, int] = field(default_factory=dict)
    after_channel: int = 0


def claim(lane: str, room: Room, *, now: datetime, lease_s: float) -> list[Any]:
    """e: lease what is due in a lane, as far as there is room."""
    return statement.run(
        _CLAIM,
        {
            "lane": lane,
            "limit": room.in_all,
            "room": room.of_a_channel,
            "channel_ids": list(room.of_channel),
            "rooms": list(room.of_channel.values()),
            "after": room.after_channel,
            "few": _FEW,
            "now": now,
            "lease_until": now + timedelta(seconds=lease_s),
        },
    )


def claim_one(delivery_id: int, *, now: datetime, lease_s: float) -> Any | None:
    """e: lease this one if it is due, else None: someone was faster, or it waits."""
    rows = statement.run(_CLAIM_ONE, {"id": delivery_id, "now": now, "lease_until": now + timedelta(seconds=lease_s)})
    return rows[0] if rows else None
