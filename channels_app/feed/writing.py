"""Writing into feeds: to some, to everybody, and changing or withdrawing what was written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from channels_app.feed.item import Change, NewItem


def publish(items: Sequence[NewItem], *, now: datetime) -> list[Change]:
    """Write `items` into their recipients' feeds, in the caller's transaction where there is one.

    One statement for 1,000 of them. An item whose source the feed has already is left out. An item for
    `EVERYONE` is written into all feeds, or, where those are many, when they are next looked at.
    Call it once a transaction, with all there is: two that lock feeds in turns can wait for each other.
    """
    raise NotImplementedError


def publish_to_everyone(item: NewItem, *, now: datetime) -> int:
    """Write `item` into every feed there is; `item.recipient` does not matter. Returns how many feeds that is."""
    raise NotImplementedError


def edit(
    source: UUID, *, now: datetime, title: str | None = None, body: str | None = None, url: str | None = None
) -> list[Change]:
    """Change the texts of what was written about `source`, wherever it is; None leaves one as it is."""
    raise NotImplementedError


def withdraw(source: UUID, *, now: datetime) -> list[Change]:
    """Delete what was written about `source` out of all feeds."""
    raise NotImplementedError
