"""What a recipient does to items: read, unread, seen, archive, delete. Each is idempotent and tells all devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from channels_app import statement
from channels_app.feed.announcing import announce, generation
from channels_app.feed.changing import DELETION, UNREAD, Mark, change, lock
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Change
from channels_app.feed.shown import STATE, standing_of

_READ = Mark(
    where="i.read_at IS NULL",
    sets="read_at = %(now)b, seen_at = coalesce(i.seen_at, %(now)b)",
    counts=f"-{UNREAD}",
    shows={"seen": True, "read": True},
)
_UNREAD = Mark(
    where="i.read_at IS NOT NULL",
    sets="read_at = NULL",
    counts="(i.archived_at IS NULL)::int",
    shows={"read": False},
)
_SEEN = Mark(where="i.seen_at IS NULL", sets="seen_at = %(now)b", counts="0", shows={"seen": True})
_ARCHIVED = Mark(
    where="i.archived_at IS NULL", sets="archived_at = %(now)b", counts=f"-{UNREAD}", shows={"archived": True}
)

_THESE = "i.id = ANY(%(ids)b::uuid[])"
_UP_TO = "i.seq <= %(upto)b::int8"

_RAISE = f"""
UPDATE channels_app_inbox_state s SET read_upto = %(upto)b, version = s.version + 1
WHERE s.recipient = %(recipient)b AND s.read_upto < %(upto)b
RETURNING {STATE}
"""


def read(
    recipient: str,
    *,
    now: datetime,
    ids: Sequence[UUID] | None = None,
    upto: Cursor | None = None,
    everything: bool = False,
) -> list[Change]:
    """Mark as read: these, or all up to a cursor, or all. A cursor of another epoch marks nothing."""
    changes = _mark_these(_READ, recipient, ids, now) if ids else []
    if upto is not None or everything:
        changes += _read_up_to(recipient, None if everything else upto, now)
    return changes


def unread(recipient: str, ids: Sequence[UUID], *, now: datetime) -> list[Change]:
    """Mark as not read again."""
    return _mark_these(_UNREAD, recipient, ids, now)


def seen(
    recipient: str, *, now: datetime, ids: Sequence[UUID] | None = None, upto: Cursor | None = None
) -> list[Change]:
    """Mark as seen: it was on a screen, though perhaps not read."""
    changes = _mark_these(_SEEN, recipient, ids, now) if ids else []
    if upto is not None:
        with transaction.atomic():
            end = _number_of(recipient, upto)
            changes += _mark_up_to(_SEEN, recipient, end, now) if end else []
    return changes


def archive(recipient: str, ids: Sequence[UUID], *, now: datetime) -> list[Change]:
    """Put away: out of the list and out of the unread count, but kept."""
    return _mark_these(_ARCHIVED, recipient, ids, now)


def delete(recipient: str, ids: Sequence[UUID], *, now: datetime) -> list[Change]:
    """Delete; for a while it is remembered that they were there, so that other devices hear of it."""
    return _mark_these(DELETION, recipient, ids, now)


def _mark_these(mark: Mark, recipient: str, ids: Sequence[UUID], now: datetime) -> list[Change]:
    return change(mark, [recipient], scope=_THESE, parameters={"ids": list(ids)}, now=now)


def _mark_up_to(mark: Mark, recipient: str, upto: int, now: datetime) -> list[Change]:
    return change(mark, [recipient], scope=_UP_TO, parameters={"upto": upto}, now=now)


def _read_up_to(recipient: str, upto: Cursor | None, now: datetime) -> list[Change]:
    known = generation()
    with transaction.atomic():
        end = _number_of(recipient, upto)
        if not end:
            return []
        given: dict[str, Any] = {"recipient": recipient, "upto": end}
        announce([], [standing_of(row) for row in statement.run(_RAISE, given)], known)
        return _mark_up_to(_READ, recipient, end, now)


def _number_of(recipient: str, upto: Cursor | None) -> int:
    """The number up to which to mark, of the feed as it stands under the lock; 0 for nothing. None: up to its end."""
    feed = lock([recipient]).get(recipient)
    if feed is None or (upto is not None and upto.epoch != feed.epoch):
        return 0
    end: int = feed.last_seq if upto is None else min(upto.seq, feed.last_seq)
    return end
