"""Acks: a device says what it has. The first ack of an item by any device is its delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.dispatch import Signal

from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Delivered

#: Sent after COMMIT with `delivered`, a list of `Delivered`.
feed_item_delivered = Signal()


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
    """Note what many devices have, in one transaction."""
    raise NotImplementedError
