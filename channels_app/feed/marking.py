"""What a recipient does to items: read, unread, seen, archive, delete. Each is idempotent and tells all devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Change


def read(
    recipient: str,
    *,
    now: datetime,
    ids: Sequence[UUID] | None = None,
    upto: Cursor | None = None,
    everything: bool = False,
) -> list[Change]:
    """Mark as read: these, or all up to a cursor, or all. A cursor of another epoch marks nothing."""
    raise NotImplementedError


def unread(recipient: str, ids: Sequence[UUID], *, now: datetime) -> list[Change]:
    raise NotImplementedError


def seen(
    recipient: str, *, now: datetime, ids: Sequence[UUID] | None = None, upto: Cursor | None = None
) -> list[Change]:
    """Mark as seen: it was on a screen, though perhaps not read."""
    raise NotImplementedError


def archive(recipient: str, ids: Sequence[UUID], *, now: datetime) -> list[Change]:
    """Put away: out of the list and out of the unread count, but kept."""
    raise NotImplementedError


def delete(recipient: str, ids: Sequence[UUID], *, now: datetime) -> list[Change]:
    raise NotImplementedError
