"""Items to write, and the truth about a feed: what its rows say."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from django.db import connection

from channels_app.feed import writing
from channels_app.feed.item import Change, NewItem
from channels_app.models import InboxItem, InboxState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

_numbers = count()


def somebody() -> str:
    """A recipient who has no feed yet."""
    return f"somebody-{next(_numbers)}-{uuid.uuid4().hex[:6]}"


def an_item(recipient: str = "ann", **fields: Any) -> NewItem:
    return NewItem(**{"recipient": recipient, "event_type": "stream.live", "title": "It is on", **fields})


def write(*recipients: str, **fields: Any) -> list[UUID]:
    """An item into each of these feeds; their ids."""
    return [id_of(change) for who in recipients for change in writing.publish([an_item(who, **fields)], now=NOW)]


def id_of(change: Change) -> UUID:
    return UUID(change.item["id"])


def feed(recipient: str = "ann") -> InboxState:
    return InboxState.objects.get(pk=recipient)


def items(recipient: str = "ann") -> list[InboxItem]:
    return list(InboxItem.objects.filter(recipient=recipient).order_by("changed_seq"))


def unread_rows(recipient: str = "ann") -> int:
    """How many items stand there unread: what the dot must say."""
    return InboxItem.objects.filter(recipient=recipient, read_at=None, archived_at=None, deleted_at=None).count()


def assert_right(recipient: str = "ann") -> None:
    """The state says what the rows say, and no number was given twice or lies ahead."""
    stands, rows = feed(recipient), items(recipient)
    assert stands.unread == unread_rows(recipient)
    numbers = [row.changed_seq for row in rows]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < row.seq <= row.changed_seq <= stands.last_seq for row in rows)


def assert_dense(recipient: str, changes: list[Change]) -> None:
    """`changes` are all that ever happened to the feed: each number once, from 1 to the last."""
    assert sorted(change.seq for change in changes if change.recipient == recipient) == list(
        range(1, feed(recipient).last_seq + 1)
    )


@contextmanager
def meanwhile(step: Callable[[], object]) -> Iterator[threading.Thread]:
    """Do `step` in another thread, over a connection of its own. An error of it is raised at the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            step()
        except BaseException as error:  # noqa: BLE001  Raised again in the thread of the test.
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(30)
    assert not thread.is_alive()
    if failures:
        raise failures[0]
