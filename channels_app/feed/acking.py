"""Acks: a device says what it has. The first ack of an item by any device is its delivery.

Delivered, seen and read are three things: it reached a device, it was on a screen, somebody read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import Signal

from channels_app import statement
from channels_app.feed.changing import in_turn, lock
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Delivered

#: Sent after COMMIT with `delivered`, a list of `Delivered`.
feed_item_delivered = Signal()

# Whoever names an item has it, also if it was deleted meanwhile; up to a number, a device may have heard of the
# deletion alone. What says nothing of the feed as it is writes no device down: it may have been erased meanwhile. What
# lies behind the furthest ack of any device has been delivered, and is not looked at again.
_ACK = """
WITH said AS (
    SELECT * FROM unnest(%(recipients)b::text[], %(devices)b::text[], %(uptos)b::int8[]) WITH ORDINALITY
    AS v(recipient, device, upto, place)
), named AS (
    SELECT * FROM unnest(%(named_by)b::int8[], %(ids)b::uuid[]) AS v(place, id)
), known AS (
    INSERT INTO channels_app_device AS d (recipient, key, acked_seq, last_seen_at)
    SELECT a.recipient, a.device, a.upto, %(now)b FROM said a
    WHERE a.upto > 0 OR EXISTS (
        SELECT FROM named n JOIN channels_app_inbox_item i ON i.id = n.id AND i.recipient = a.recipient
        WHERE n.place = a.place)
    ORDER BY a.place
    ON CONFLICT (recipient, key) DO UPDATE
    SET acked_seq = greatest(d.acked_seq, excluded.acked_seq), last_seen_at = excluded.last_seen_at
), meant AS (
    SELECT i.id, a.device, a.place
    FROM said a
    CROSS JOIN LATERAL (
        SELECT coalesce(max(d.acked_seq), 0) AS seq FROM channels_app_device d WHERE d.recipient = a.recipient) done
    JOIN channels_app_inbox_item i ON i.recipient = a.recipient AND i.seq > done.seq AND i.seq <= a.upto
    WHERE i.deleted_at IS NULL
    UNION ALL
    SELECT i.id, a.device, a.place
    FROM named n JOIN said a ON a.place = n.place
    JOIN channels_app_inbox_item i ON i.id = n.id AND i.recipient = a.recipient
), firsts AS (
    SELECT DISTINCT ON (id) id, device FROM meant ORDER BY id, place
)
UPDATE channels_app_inbox_item i SET delivered_at = %(now)b, delivered_device = f.device
FROM firsts f WHERE i.id = f.id AND i.delivered_at IS NULL
RETURNING i.id, i.source, i.recipient, i.delivered_device
"""


@dataclass(frozen=True, slots=True)
class Ack:
    """`device` has everything up to `upto`, and the items `ids` besides."""

    recipient: str
    device: str
    upto: Cursor | None = None
    ids: Sequence[UUID] = ()


def ack(
    recipient: str, device: str, *, now: datetime, upto: Cursor | None = None, ids: Sequence[UUID] = ()
) -> list[Delivered]:
    """Note what `device` has. Idempotent; never goes back; a cursor of another epoch says nothing."""
    return ack_many([Ack(recipient, device, upto, ids)], now=now)


def ack_many(acks: Sequence[Ack], *, now: datetime) -> list[Delivered]:
    """Note what many devices have, in one transaction. Returns what was delivered by that."""
    delivered: list[Delivered] = []
    with transaction.atomic():
        for some in in_turn([ack.recipient for ack in acks]):
            feeds, chosen = lock(some), set(some)
            given = _parameters([ack for ack in acks if ack.recipient in chosen], feeds)
            rows = statement.run(_ACK, {**given, "now": now}) if given["devices"] else []
            delivered += [Delivered(row.id, row.source, row.recipient, row.delivered_device, now) for row in rows]
        if delivered:
            transaction.on_commit(lambda: _tell(delivered), robust=True)
    return delivered


def _tell(delivered: list[Delivered]) -> None:
    feed_item_delivered.send_robust(sender=Delivered, delivered=delivered)


def _parameters(acks: Sequence[Ack], feeds: dict[str, Any]) -> dict[str, list[Any]]:
    """One row a device. What lies ahead of its feed, or in another epoch, is not believed."""
    uptos: dict[tuple[str, str], int] = {}
    ids: dict[tuple[str, str], list[UUID]] = {}
    for ack in acks:
        feed = feeds.get(ack.recipient)
        if feed is None:
            continue
        who = (ack.recipient, ack.device)
        is_ours = ack.upto is not None and ack.upto.epoch == feed.epoch
        upto = min(ack.upto.seq, feed.last_seq) if ack.upto is not None and is_ours else 0
        uptos[who] = max(uptos.get(who, 0), upto)
        ids.setdefault(who, []).extend(ack.ids)
    named = [(place, item_id) for place, who in enumerate(uptos, 1) for item_id in ids[who]]
    return {
        "recipients": [recipient for recipient, _ in uptos],
        "devices": [device for _, device in uptos],
        "uptos": list(uptos.values()),
        "named_by": [place for place, _ in named],
        "ids": [item_id for _, item_id in named],
    }
