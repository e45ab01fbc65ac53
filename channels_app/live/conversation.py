"""What becomes of what clients say: acknowledgements, marks, signs of life."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError

from channels_app.feed import marking
from channels_app.feed.cursor import Cursor
from channels_app.live import client_frames, metrics, protobuf
from channels_app.live.acks import Acks
from channels_app.live.client_frames import BadFrame, ClientFrame
from channels_app.live.codes import Code
from channels_app.live.connection import Connection
from channels_app.live.event import Batch, Control, Event, Outgoing, epoch_of, seq_of
from channels_app.live.frames import PROTOBUF
from channels_app.live.hub import Hub
from channels_app.live.threads import Threads

logger = structlog.get_logger(__name__)

#: What a pong carries: the number of its ping.
_PONG_BYTES = 4

Seen = Callable[[Connection], None]


class Conversation:
    """Hears the clients of a hub. `seen` is told when somebody begins or ends to look at a page."""

    def __init__(self, hub: Hub, acks: Acks, threads: Threads, clock: Callable[[], float], *, seen: Seen) -> None:
        self._hub, self._acks, self._threads, self._clock, self._seen = hub, acks, threads, clock, seen

    async def hear_text(self, connection: Connection, text: str) -> None:
        """A frame of `belfry.v1`."""
        connection.alive()
        try:
            frame = client_frames.read(text)
            if frame.t == "ack" and self._hear_ack(connection, frame):
                return
            # Acknowledgements that say something new are bounded by what was sent; all else by this.
            if not connection.counts_frame(int(self._clock())):
                self._hub.close(connection, Code.RATE_LIMITED)
                return
            await self._hear(connection, frame)
        except BadFrame as bad:
            self._answer(connection, "err", code="bad_frame", detail=str(bad))
            if not connection.counts_frame(int(self._clock())):
                self._hub.close(connection, Code.BAD_REQUEST)

    def hear_bytes(self, connection: Connection, data: bytes) -> None:
        """A frame of `belfry.v1.protobuf`: a confirmation, and whatever is not one ends it."""
        connection.alive()
        try:
            number = connection.number_of(protobuf.confirmed(data))
        except protobuf.Malformed:
            self._hub.close(connection, Code.BAD_REQUEST)
            return
        thing = connection.acknowledge(number, self._clock())
        if thing is not None:
            self._note(connection, thing)
        elif not connection.counts_frame(int(self._clock())):
            self._hub.close(connection, Code.RATE_LIMITED)

    def hear_pong(self, connection: Connection, data: bytes) -> None:
        """The answer to a WebSocket's own ping: its number. A late one says nothing.

        Others may send pongs that answer nothing; a client of the binary sub-protocol that does is broken.
        """
        if int.from_bytes(data) == connection.pings:
            connection.alive()
        elif len(data) != _PONG_BYTES and connection.dialect.name == PROTOBUF:
            self._hub.close(connection, Code.BAD_REQUEST)

    async def _hear(self, connection: Connection, frame: ClientFrame) -> None:
        if frame.t in ("read", "seen"):
            await self._mark(connection, frame)
        elif frame.t == "focus":
            connection.focused = frame.on
            self._seen(connection)
        elif frame.t not in ("ack", "pong"):
            raise BadFrame(f"t is ack, read, seen, pong or focus, and not {frame.t[:20]}")

    # --- Acknowledgements ------------------------------------------------------------------------

    def _hear_ack(self, connection: Connection, frame: ClientFrame) -> bool:
        """Whether that said anything new. Raises `BadFrame`."""
        upto, news = frame.place, False
        if upto is not None and upto <= connection.sent:
            arrived = [thing for thing in (connection.unacked or {}).values() if _is_up_to(thing, upto)]
            news = connection.acknowledge_upto(upto, self._clock())
            for thing in arrived:
                _measure(thing)
            if news:
                self._acks.note(connection.recipient, connection.device, upto=connection.acked)
                self._hub.writer.wake(connection)
        return self._hear_items(connection, frame.items) or news

    def _hear_items(self, connection: Connection, items: Sequence[UUID]) -> bool:
        """A client has these items, though perhaps not all before them."""
        # Each message is read once, whatever a client names.
        awaited: dict[str, list[int]] = {}
        for number, thing in (connection.unacked or {}).items() if items else ():
            if isinstance(thing, Event):
                awaited.setdefault(thing.item["id"], []).append(number)
        news = False
        for item in items:
            numbers = awaited.get(str(item))
            arrived = connection.acknowledge(numbers.pop(0), self._clock()) if numbers else None
            if arrived is not None:
                self._note(connection, arrived)
                news = True
            else:
                self._acks.note(connection.recipient, connection.device, item=item)
        return news

    def _note(self, connection: Connection, thing: Outgoing) -> None:
        """One message was confirmed. It may not be the first in line."""
        _measure(thing)
        who = (connection.recipient, connection.device)
        self._acks.note(*who, upto=connection.acked)
        if not isinstance(thing, Control) and thing.place > connection.acked:
            for event in thing.events if isinstance(thing, Batch) else [thing]:
                self._acks.note(*who, item=UUID(event.item["id"]))
        self._hub.writer.wake(connection)

    # --- Marks -----------------------------------------------------------------------------------

    async def _mark(self, connection: Connection, frame: ClientFrame) -> None:
        """Mark items, and say so. What changed comes to all devices as any change does."""
        place, ids, now = frame.place, frame.items, datetime.now(UTC)
        upto = Cursor(epoch_of(place), seq_of(place)) if place is not None else None
        if not (ids or upto or (frame.all and frame.t == "read")):
            raise BadFrame("say ids or upto")
        try:
            if frame.t == "seen":
                await self._threads.run(marking.seen, connection.recipient, now=now, ids=ids, upto=upto)
            else:
                await self._threads.run(
                    marking.read, connection.recipient, now=now, ids=ids, upto=upto, everything=frame.all
                )
        except (DatabaseError, InterfaceError) as error:
            logger.warning("live_mark_failed", error=type(error).__name__)
            self._answer(connection, "err", re=frame.n, code="try_again", detail="The feed cannot be written now.")
        else:
            self._answer(connection, "ok", re=frame.n)

    def _answer(self, connection: Connection, name: str, **said: object) -> None:
        connection.tell(Control(name, said))
        self._hub.writer.wake(connection)


def _is_up_to(thing: Outgoing, place: int) -> bool:
    return not isinstance(thing, Control) and thing.place <= place


def _measure(thing: Outgoing) -> None:
    if isinstance(thing, Event) and thing.is_hint:
        metrics.ACK.observe(max(0.0, time.time() - thing.at))
