"""What has become due: lanes with something to claim, and waits whose time has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from notifications.models import statement

# Two questions, because each has an index of its own, by whose order the first of all is asked for: Postgres, which
# believes that any lane has something, would look for it in the whole table.
_LANES = """
SELECT l.lane FROM unnest(%(lanes)b::text[]) AS l(lane)
WHERE coalesce(
    (SELECT true FROM notifications_delivery d
     WHERE d.lane = l.lane AND d.state = 'pending' AND d.due_at <= %(until)b ORDER BY d.channel_id LIMIT 1),
    (SELECT true FROM notifications_delivery d
     WHERE d.lane = l.lane AND d.state = 'retrying' AND d.due_at <= %(until)b ORDER BY d.due_at LIMIT 1))
"""

_DEFERRED = """
SELECT d.id, d.channel_id, d.due_at, n.event_type, n.priority, n.scheduled_at, n.expires_at,
    coalesce(s.key, '') AS streamer_key, coalesce(s.platform, '') AS platform
FROM notifications_delivery d JOIN notifications_notification n ON n.id = d.notification_id
LEFT JOIN notifications_streamer s ON s.id = n.streamer_id
WHERE d.state = 'scheduled' AND d.due_at <= %(until)b AND d.reason_code = ANY(%(codes)b::text[])
ORDER BY d.due_at LIMIT %(limit)b FOR UPDATE OF d SKIP LOCKED
"""


def lanes(known: Sequence[str], *, until: datetime) -> list[str]:
    """Those of `known` with something to claim now or by `until`."""
    return [row.lane for row in statement.run(_LANES, {"lanes": list(known), "until": until})]


def deferred(codes: Sequence[str], *, until: datetime, limit: int) -> list[Any]:
    """Lock waiting deliveries whose reason is one of `codes`, with what the policy needs to know of them."""
    return statement.run(_DEFERRED, {"codes": list(codes), "until": until, "limit": limit})
