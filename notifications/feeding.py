"""From a notification to feed items: written into the feeds of those who are meant, when its time has come.

Nobody's policy stands between a notification and a feed: whoever it names, and whoever follows its
streamer, finds it there, unless it was withdrawn or had expired. With routing it is one transaction.
What is scheduled, and what is left of an audience that is too large for that, waits in `feed_due_at`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from channels_app.feed import broadcasting, writing
from channels_app.feed.item import EVERYONE, NewItem
from channels_app.payload import Payload
from notifications import catalogue
from notifications.models import audience
from notifications.models.audience import Written
from notifications.priority import Priority
from notifications.rendering import texts_of

#: Items that one transaction writes, and notifications that one takes up again.
MOST_ITEMS, MOST_AT_ONCE = 5_000, 100

#: Characters of an address that an item leads to.
_LONGEST_URL = 2_000

EXPIRED = "It expired before it was written into feeds."

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What came of one step: how many notifications it took up, how many items it wrote, whether some are left."""

    notifications: int = 0
    items: int = 0
    is_whole: bool = True


def is_meant(row: Any, now: datetime) -> bool:
    """Whether an unrouted row is for any feed, now or later."""
    return bool(row.recipients or row.is_followed) and row.withdrawn_at is None and not _is_late(row, now)


def begin(rows: Sequence[Any], now: datetime) -> Fed:
    """Write what was just routed into feeds, or remember when. In the transaction that routes `rows`."""
    meant = [row for row in rows if is_meant(row, now)]
    audience.note([_postponed(row) for row in meant if _is_early(row, now)])
    at_once = [row for row in meant if not _is_early(row, now)]
    # In the order of arrival, but what is urgent waits for no large audience.
    return _write(sorted(at_once, key=lambda row: (row.priority < Priority.HIGH, row.id)), now)


def write_due(now: datetime) -> Fed:
    """Write what has come due into feeds, one transaction's worth of it."""
    with transaction.atomic():
        rows = audience.take_due(now, limit=MOST_AT_ONCE)
        audience.note([_expired(row) for row in rows if _is_late(row, now)])
        fed = _write([row for row in rows if not _is_late(row, now)], now)
    if rows:
        _log.info("fed", notifications=len(rows), items=fed.items)
    return Fed(notifications=len(rows), items=fed.items, is_whole=fed.is_whole and len(rows) < MOST_AT_ONCE)


def _write(rows: Sequence[Any], now: datetime) -> Fed:
    """To as many as one transaction may reach, one notification after the other.

    A row has `id, streamer_id, priority, recipients, feeds, feed_after`.
    """
    if not rows:
        return Fed()
    found = audience.part(rows, limit=MOST_ITEMS + 1)
    reached = found[:MOST_ITEMS]
    is_whole = reached == found
    #: The rows before this one are done; this one, up to the last who was reached.
    last = len(rows) if is_whole else reached[-1][0]
    changes = writing.publish(list(_items(rows[: last + 1], reached)), now=now)
    counted = Counter(UUID(change.item["source"]) for change in changes)
    everybody = broadcasting.count_feeds() if any(_is_public(row) for row in rows[: last + 1]) else 0
    done = [_done(row, everybody if _is_public(row) else (row.feeds or 0) + counted[row.id]) for row in rows[:last]]
    left = [
        _going_on(row, counted[row.id], reached[-1][1] if place == last else row.feed_after, now)
        for place, row in enumerate(rows[last:], last)
    ]
    audience.note([*done, *left])
    return Fed(notifications=len(rows), items=len(changes), is_whole=is_whole)


def _is_early(row: Any, now: datetime) -> bool:
    return row.scheduled_at is not None and row.scheduled_at > now


def _is_late(row: Any, now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at <= now


def _is_public(row: Any) -> bool:
    return EVERYONE in row.recipients


def _items(rows: Sequence[Any], reached: Sequence[tuple[int, str]]) -> Iterator[NewItem]:
    says = {pk: _said(row) for pk, row in audience.contents([row.id for row in rows]).items()}
    for row in rows:
        # Once is enough; whoever follows is named besides.
        if _is_public(row) and row.feeds is None:
            yield NewItem(recipient=EVERYONE, **says[row.id])
    for place, recipient in reached:
        yield NewItem(recipient=recipient, **says[rows[place].id])


def _said(row: Any) -> dict[str, Any]:
    """What a notification says, as fields of an item."""
    data = Payload(row.data)
    try:
        (title, body), url = texts_of(row, data), data.get("url")
    except RecursionError:  # Text of JSON that nests too deeply is only noticed when it is read.
        (title, body), url = (row.title or catalogue.texts(row.event_type, {})[0], row.body), None
    return {
        "source": row.id,
        "event_type": row.event_type,
        "priority": row.priority,
        "title": title,
        "body": body,
        "url": _address(url),
        "payload": row.data.encode(),
        "wants_ack": True,
        "expires_at": row.expires_at,
    }


def _address(url: object) -> str:
    """Where an item leads: a page of the web, or a path of the application's own. Nothing that a browser would run."""
    if not isinstance(url, str) or len(url) > _LONGEST_URL:
        return ""
    is_path = url.startswith("/") and not url.startswith(("//", "/\\"))
    return url if is_path or url.lower().startswith(("https://", "http://")) else ""


def _postponed(row: Any) -> Written:
    text = f"It is written into feeds at {row.scheduled_at:%Y-%m-%d %H:%M:%S %Z}."
    return Written(id=row.id, feeds=None, due_at=row.scheduled_at, after="", note=text)


def _expired(row: Any) -> Written:
    text = EXPIRED if row.feeds is None else f"{_so_far(row.feeds)} It expired before the others."
    return Written(id=row.id, feeds=row.feeds, due_at=None, after=row.feed_after, note=text)


def _done(row: Any, feeds: int) -> Written:
    return Written(id=row.id, feeds=feeds, due_at=None, after="", note=_so_far(feeds))


def _going_on(row: Any, more: int, after: str, now: datetime) -> Written:
    feeds = (row.feeds or 0) + more if after else row.feeds
    return Written(id=row.id, feeds=feeds, due_at=now, after=after, note=f"{_so_far(feeds or 0)} The others follow.")


def _so_far(feeds: int) -> str:
    return "Written into 1 feed." if feeds == 1 else f"Written into {feeds:,} feeds."
