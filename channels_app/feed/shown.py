"""From rows to what clients see, and to the values that others work with. No I/O but the log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from channels_app.feed import content
from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Change, Kind, State
from channels_app.feed.unread import Standing

#: What a statement over items has to return for `item_of`, from the table `i`.
ITEM = """i.id, i.source, i.event_type, i.priority, i.title, i.body, i.url, i.content_type, i.payload, i.wants_ack,
    i.created_at, i.expires_at, i.seq, i.changed_seq, i.seen_at, i.read_at, i.archived_at, i.deleted_at"""

#: What a statement over states has to return for `state_of` and `standing_of`, from the table `s`.
STATE = """s.recipient, s.epoch, s.last_seq, s.floor_seq, s.unread, s.read_upto, s.version,
    s.broadcast_upto >= coalesce((SELECT max(b.id) FROM channels_app_broadcast b), 0) AS is_whole"""

_log = structlog.get_logger(__name__)


def state_of(row: Any) -> State:
    return State(Cursor(row.epoch, row.last_seq), row.unread, row.read_upto, row.version)


def standing_of(row: Any) -> Standing:
    return Standing(row.recipient, state_of(row), row.is_whole)


def item_of(row: Any) -> dict[str, Any]:
    """An item as clients see it, whole. `position` is its place in the list; `seq` the number of its latest change."""
    return {
        "id": str(row.id),
        "seq": row.changed_seq,
        "position": row.seq,
        **contents(row, row.created_at),
        "seen": row.seen_at is not None,
        "read": row.read_at is not None,
        "archived": row.archived_at is not None,
    }


def contents(of: Any, created_at: datetime) -> dict[str, Any]:
    """What a row or a `NewItem` says, as clients see it."""
    return {
        "source": str(of.source) if of.source else None,
        "category": of.event_type,
        "priority": of.priority,
        "title": of.title,
        "body": of.body,
        "url": of.url,
        "content_type": of.content_type,
        "data": _data(of),
        "ack": of.wants_ack,
        "created": time_of(created_at),
        "expires": time_of(of.expires_at) if of.expires_at else None,
    }


def newest(row: Any, after: int) -> Change:
    """The newest state of an item (with the columns of its feed's state beside), for who knows all up to `after`."""
    if row.deleted_at is not None:
        return change_of(Kind.DELETED, row, {"id": str(row.id)}, at=row.deleted_at)
    kind = Kind.NEW if row.seq > after else Kind.UPDATED
    return change_of(kind, row, item_of(row), at=row.created_at)


def change_of(kind: Kind, row: Any, item: Mapping[str, Any], *, at: datetime) -> Change:
    """A change out of a row with `changed_seq` and the columns of the feed's state."""
    return Change(
        kind=kind,
        recipient=row.recipient,
        epoch=row.epoch,
        seq=row.changed_seq,
        version=row.version,
        unread=row.unread,
        at=at,
        item={**item, "type": kind.value, "seq": row.changed_seq, "unread": row.unread},
    )


def _data(of: Any) -> Any:
    try:
        return content.decode(of.content_type, of.payload)
    except content.Undecodable as error:
        _log.error(
            "feed_payload_undecodable",
            item=str(getattr(of, "id", "")),
            source=str(of.source),
            content_type=of.content_type,
            error=str(error),
        )
        return None


def time_of(moment: datetime) -> str:
    """A time as clients see it: UTC, ISO 8601."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
