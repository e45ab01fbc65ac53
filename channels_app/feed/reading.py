"""Reading feeds: the state, a page, what changed. Always from one statement, so that it fits together.

A feed begins when somebody first writes to it or its recipient first looks at it. What is told to
everybody is written into a feed here, when it is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from channels_app.feed.cursor import Cursor
from channels_app.feed.item import Changes, Page, State, Told

#: Items of a page: usual and most.
PAGE, LONGEST_PAGE = 50, 200
#: Changes of one catch-up at most.
CATCH_UP = 200
#: A client that is further behind than this loads the first page instead.
TOO_FAR = 1000


def state(recipient: str, *, now: datetime) -> State:
    """How the feed stands: from Redis where it can, else from Postgres."""
    raise NotImplementedError


def page(
    recipient: str,
    *,
    now: datetime,
    before: int | None = None,
    limit: int = PAGE,
    unread: bool = False,
    category: str = "",
) -> Page:
    """The newest items first, those numbered below `before`. Items have what `Change.item` has of a new one.

    `category`: an event type, or the beginning of some up to a dot.
    """
    raise NotImplementedError


def changes(recipient: str, after: Cursor | None, *, now: datetime, limit: int = CATCH_UP) -> Changes:
    """What happened after a cursor. Without one: nothing yet, and the cursor to begin with."""
    raise NotImplementedError


def told(source: UUID) -> Told:
    """What became of `source` in the feeds."""
    raise NotImplementedError


def positions(recipients: Sequence[str]) -> dict[str, State]:
    """How many feeds stand, by one statement. Those that do not exist are left out."""
    raise NotImplementedError
