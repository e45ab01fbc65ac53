"""a, b, c: a delivery comes into being, as routing decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.models import statement
from notifications.states import NEW, State, letter_for


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """What routing decided for one notification and channel."""

    notification_id: UUID
    channel_id: int
    address: str = ""
    state: State
    lane: str
    priority: int
    reason_code: str
    reason: str
    due_at: datetime
    expires_at: datetime | None


_CREATE = """
INSERT INTO notifications_delivery (
    notification_id, channel_id, address, state, lane, priority, reason_code, reason, due_at, expires_at,
    created_at, settled_at, cancel_requested, attempts, token, lost_leases)
SELECT v.notification_id, v.channel_id, v.address, v.state, v.lane, v.priority, v.reason_code, v.reason, v.due_at,
    v.expires_at, %(now)b, CASE WHEN v.state = 'suppressed' THEN %(now)b::timestamptz END, false, 0, 0, 0
FROM unnest(
    %(notification_ids)b::uuid[], %(channel_ids)b::int8[], %(addresses)b::text[], %(states)b::text[],
    %(lanes)b::text[], %(priorities)b::int2[], %(reason_codes)b::text[], %(reasons)b::text[],
    %(due_ats)b::timestamptz[], %(expires_ats)b::timestamptz[]
) AS v(notification_id, channel_id, address, state, lane, priority, reason_code, reason, due_at, expires_at)
ON CONFLICT (notification_id, channel_id, address) DO NOTHING
RETURNING id
"""


def create(deliveries: Sequence[NewDelivery], *, now: datetime) -> int:
    """a, b, c: write what routing decided. Those that exist already are left alone. Returns how many are new."""
    if not deliveries:
        return 0
    for state in {delivery.state for delivery in deliveries}:
        letter_for(NEW, state)
    rows = statement.run(
        _CREATE,
        {
            "now": now,
            "notification_ids": [d.notification_id for d in deliveries],
            "channel_ids": [d.channel_id for d in deliveries],
            "addresses": [d.address for d in deliveries],
            "states": [d.state.value for d in deliveries],
            "lanes": [d.lane for d in deliveries],
            "priorities": [d.priority for d in deliveries],
            "reason_codes": [d.reason_code for d in deliveries],
            "reasons": [d.reason for d in deliveries],
            "due_ats": [d.due_at for d in deliveries],
            "expires_ats": [d.expires_at for d in deliveries],
        },
    )
    return len(rows)
