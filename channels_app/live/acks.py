"""Acknowledgements on their way into the feed: gathered, and written down about once a second."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError

from channels_app.feed import acking
from channels_app.feed.cursor import Cursor
from channels_app.live.event import NOWHERE, epoch_of, seq_of
from channels_app.live.threads import Threads

logger = structlog.get_logger(__name__)

#: Acknowledgements of one transaction.
_AT_ONCE = 1_000
#: Items named one by one that are kept for a device while nothing can be written.
_MOST_IDS = 1_000


class Acks:
    """What devices have said since it was last written."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._upto: dict[tuple[str, str], int] = {}
        self._ids: dict[tuple[str, str], set[UUID]] = {}
        self._is_writing = False

    def note(self, recipient: str, device: str, *, upto: int = NOWHERE, item: UUID | None = None) -> None:
        """`device` has everything up to the place `upto`, or this item."""
        who = (recipient, device)
        self._upto[who] = max(self._upto.get(who, NOWHERE), upto)
        if item is not None and len(self._ids.setdefault(who, set())) < _MOST_IDS:
            self._ids[who].add(item)

    async def write(self) -> None:
        """Write down what has come. What cannot be written now is kept for the next time."""
        while self._upto and not self._is_writing:
            some = dict(list(self._upto.items())[:_AT_ONCE])
            acks = [self._take(who, place) for who, place in some.items()]
            self._is_writing = True
            try:
                await self._threads.run(acking.ack_many, acks, now=datetime.now(UTC))
            except (DatabaseError, InterfaceError) as error:
                logger.warning("live_acks_not_written", error=type(error).__name__, acks=len(acks))
                for (recipient, device), ack in zip(some, acks, strict=True):
                    self.note(recipient, device, upto=some[recipient, device])
                    for item in ack.ids:
                        self.note(recipient, device, item=item)
                return
            finally:
                self._is_writing = False

    def _take(self, who: tuple[str, str], place: int) -> acking.Ack:
        del self._upto[who]
        upto = Cursor(epoch_of(place), seq_of(place)) if place != NOWHERE else None
        return acking.Ack(*who, upto=upto, ids=sorted(self._ids.pop(who, ())))
