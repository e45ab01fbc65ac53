"""The values that go into feeds and come out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from channels_app.feed.cursor import Cursor

#: In the place of a recipient: everybody who has a feed.
EVERYONE = "*"

#: Bounds of what a feed takes, in characters.
MAX_RECIPIENT, MAX_DEVICE = 200, 100


class Kind(StrEnum):
    """What happened to an item."""

    NEW = "new"
    UPDATED = "updated"
    DELETED = "deleted"


class Reset(StrEnum):
    """Why a client has to load the first page again."""

    NO = ""
    #: The feed was wiped or restored, or the cursor lies ahead of the feed.
    EPOCH = "epoch"
    #: What happened since the cursor has been forgotten.
    RETENTION = "retention"
    #: More happened since than is worth sending.
    TOO_FAR = "too_far"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """An item to be. `payload` is opaque: it is stored as it is, and decoded for readers by `content_type`.

    `source` names what it is about: a second item of the same source is not written into a feed.
    """

    recipient: str
    event_type: str
    source: UUID | None = None
    priority: int = 5
    title: str = ""
    body: str = ""
    url: str = ""
    content_type: str = "application/json"
    payload: bytes | None = None
    wants_ack: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a feed, under its number `seq`.

    `item` is what clients see, absolute and JSON-able: of a new one everything, of an updated one the
    fields that changed (everything, when caught up), of a deleted one its id; with `type`, `seq` and `unread`.
    """

    kind: Kind
    recipient: str
    epoch: int
    seq: int
    version: int
    unread: int
    at: datetime
    item: dict[str, Any]

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.seq)


@dataclass(frozen=True, slots=True)
class State:
    """How a feed stands. `read_upto`: the highest number up to which all was marked as read at once."""

    cursor: Cursor
    unread: int
    read_upto: int
    version: int

    @property
    def etag(self) -> str:
        """Changes with every change of the feed."""
        return f"{self.cursor.epoch}-{self.version}"

    def shown(self) -> dict[str, Any]:
        """As clients see it: `cursor, unread, read_upto`."""
        return {"cursor": str(self.cursor), "unread": self.unread, "read_upto": self.read_upto}


@dataclass(frozen=True, slots=True)
class Page:
    """Items of a feed, the newest first, as clients see them. `next`: the `before` of the page behind it, or None."""

    items: Sequence[dict[str, Any]]
    cursor: Cursor
    state: State
    next: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened after a cursor, each item once, in its newest state, in the order of `seq`.

    `cursor` is where to go on from. With a `reset` there are no items: load the first page.
    """

    items: Sequence[Change]
    cursor: Cursor
    state: State
    reset: Reset
    more: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """The first ack of an item by a device of its recipient."""

    item_id: UUID
    source: UUID | None
    recipient: str
    device: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a source in the feeds: how many have it, and how far it got.

    `first_device` acked first, at `first_delivered_at`.
    """

    feeds: int = 0
    delivered: int = 0
    seen: int = 0
    read: int = 0
    first_delivered_at: datetime | None = None
    first_device: str = ""
