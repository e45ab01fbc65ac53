"""What one connection has been told, is to be told, and has confirmed. Pure: no socket, no clock.

    hear ──next in line──▶ queue ──▶ next ──▶ (window) ──acknowledge──▶ done
      └──anything else──▶ heard, and the feed is read from where it stands

Hints may be lost, come twice or in any order. What follows on the last one is queued; of everything else only the
highest place is remembered. As long as that lies ahead, the feed is read after `position`: so nothing is lost, nothing
comes twice, and the order is the feed's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from channels_app.live.event import NOWHERE, Batch, Caught, Control, Event, Outgoing, cursor_of, epoch_of, size_of
from channels_app.live.frames import Dialect
from channels_app.live.limits import Limits

#: What a reading brings at most.
CATCH_UP_ITEMS = 200


class Outbox:
    """Places are those of `event`. Times are seconds of any steady clock; 0 means never."""

    __slots__ = (
        "_heard_before",
        "_queue",
        "_queued_bytes",
        "_urgent",
        "acked",
        "dialect",
        "doubted",
        "greeted",
        "heard",
        "limits",
        "numbered",
        "overflows",
        "position",
        "resend_at",
        "resending",
        "sent",
        "tries",
        "unacked",
    )

    def __init__(self, dialect: Dialect, limits: Limits, place: int = NOWHERE) -> None:
        self.dialect, self.limits = dialect, limits
        #: Up to where everything is queued; handed to the socket; confirmed by the client.
        self.position = self.sent = self.acked = place
        #: The highest place that anybody spoke of.
        self.heard = self._heard_before = place
        #: Whether the first reading has been; whether the feed may have gone back, by a restored backup.
        self.greeted = self.doubted = False
        #: How often too much waited.
        self.overflows = 0
        # Most connections have nothing under way most of the time, and then have no lists either.
        self._urgent: list[Control] | None = None
        self._queue: list[Outgoing] | None = None
        self._queued_bytes = 0
        #: What waits for a confirmation, by number, in the order in which it was sent.
        self.unacked: dict[int, Outgoing] | None = None
        self.numbered = 0
        self.tries, self.resend_at, self.resending = 0, 0.0, False

    # --- What comes in ---------------------------------------------------------------------------

    def hear(self, event: Event) -> bool:
        """Take a hint from the bus. Whether there is something to do now."""
        place = event.place
        if place != self.position + 1 or self.needs_reading:
            ahead = place > self.heard
            self.heard = max(self.heard, place)
            return ahead
        self.heard = place
        if self._is_full(len(event.body)):
            self._give_up_queue()
        else:
            self.position = place
            self._enqueue(event)
        return True

    def told(self, head: int, *, stood_at: int) -> bool:
        """Compare with the feed's own place `head`, asked for when this stood at `stood_at`. Whether they differ."""
        if head < stood_at:
            self.doubted = True
        self.heard = max(self.heard, head)
        return self.needs_reading

    def tell(self, word: Control) -> None:
        """Send `word` before everything that waits."""
        self._urgent = [*(self._urgent or ()), word]

    # --- Reading the feed ------------------------------------------------------------------------

    @property
    def needs_reading(self) -> bool:
        return self.heard > self.position or not self.greeted or self.doubted

    def may_read(self) -> int:
        """How many changes to read now. None are while something waits: the reading goes on from where that ends."""
        if self._queue or not self.needs_reading:
            return 0
        if not self.dialect.acks:
            return CATCH_UP_ITEMS
        room = self.limits.window - len(self.unacked or ())
        return min(CATCH_UP_ITEMS, room) if not self.dialect.batches else CATCH_UP_ITEMS * (room > 0)

    def begin_reading(self) -> None:
        """The feed is asked now: what was heard before, the answer knows."""
        self._heard_before = self.heard

    def caught_up(self, caught: Caught) -> None:
        """Take over what was read after `position`, since `begin_reading`."""
        if self.heard == self._heard_before or epoch_of(self.heard) != epoch_of(caught.head):
            # Whatever hints said: the feed is right.
            self.heard = caught.head
        if caught.reset:
            self.sent = caught.place
            self.tell(Control("reset", {"reason": caught.reset, "cursor": cursor_of(caught.place)}))
        elif self.position == NOWHERE:
            self.sent = caught.place
        elif caught.place > self.position:
            self._enqueue_all(caught)
        self.position, self.heard = caught.place, max(self.heard, caught.head)
        self.greeted, self.doubted = True, False
        if self.position >= caught.head:
            self._enqueue(Control("state", caught.state))

    def _enqueue_all(self, caught: Caught) -> None:
        events = caught.events
        if len(events) == 1 and events[0].place == caught.place:
            self._enqueue(events[0])
        elif self.dialect.batches:
            self._enqueue(Batch(caught.place, events))
        elif events:
            for event in events[:-1]:
                self._enqueue(event)
            # Whoever has the last one stands where the reading ended.
            self._enqueue(Batch(caught.place, events[-1:]))
        else:
            self.sent = caught.place

    # --- What goes out ---------------------------------------------------------------------------

    def next(self, now: float) -> tuple[int, Outgoing] | None:
        """What is to be sent now, and the number by which it is confirmed: its place, or one that counts up."""
        if self._urgent:
            word = self._urgent.pop(0)
            self._urgent = self._urgent or None
            return self._numbered(word, now)
        if not self._queue or (self.dialect.acks and len(self.unacked or ()) >= self.limits.window):
            return None
        thing = self._queue.pop(0)
        self._queue = self._queue or None
        self._queued_bytes -= size_of(thing)
        if not isinstance(thing, Control):
            self.sent = thing.place
        return self._numbered(thing, now)

    def again(self) -> Iterator[tuple[int, Outgoing]]:
        """What was sent and not confirmed, to be sent once more, in its order."""
        self.resending = False
        yield from list((self.unacked or {}).items())

    def overdue(self, now: float) -> bool:
        """Begin to send again what was not confirmed in time. False when that was done often enough."""
        if self.tries >= self.limits.resends:
            return False
        self.tries += 1
        self.resending, self.resend_at = True, now + self.limits.resend_s
        return True

    @property
    def waiting(self) -> int:
        """How much is queued."""
        return len(self._queue or ())

    # --- What is confirmed -----------------------------------------------------------------------

    def acknowledge_upto(self, place: int, now: float) -> bool:
        """Everything up to `place` has arrived. Whether that says anything new."""
        return self._done([n for n, thing in (self.unacked or {}).items() if _place(thing) <= place], now)

    def acknowledge(self, number: int, now: float) -> Outgoing | None:
        """The message of this number has arrived. Returns it, unless it was none that was waited for."""
        thing = (self.unacked or {}).get(number)
        self._done([number] if thing is not None else [], now)
        return thing

    def _done(self, numbers: Sequence[int], now: float) -> bool:
        if not numbers or self.unacked is None:
            return False
        for number in numbers:
            del self.unacked[number]
        self.unacked = self.unacked or None
        self.tries = 0
        self.resend_at = now + self.limits.resend_s if self.unacked else 0.0
        self.acked = max(self.acked, self._confirmed_upto())
        return True

    def _confirmed_upto(self) -> int:
        for thing in (self.unacked or {}).values():
            if isinstance(thing, Event):
                return thing.place - 1
            if isinstance(thing, Batch):
                return (thing.events[0].place if thing.events else thing.place) - 1
        return self.sent

    # --- Inside ----------------------------------------------------------------------------------

    def _is_full(self, more_bytes: int) -> bool:
        return (
            len(self._queue or ()) >= self.limits.queue_events
            or self._queued_bytes + more_bytes > self.limits.queue_bytes
        )

    def _give_up_queue(self) -> None:
        """Too much waits: forget it, and read it again, each item once, when there is room."""
        self._queue, self._queued_bytes = None, 0
        self.position = self.sent
        self.overflows += 1

    def _enqueue(self, thing: Outgoing) -> None:
        if self._queue is None:
            self._queue = []
        self._queue.append(thing)
        self._queued_bytes += size_of(thing)

    def _numbered(self, thing: Outgoing, now: float) -> tuple[int, Outgoing]:
        """Give it its number, and wait for its confirmation where there is to be one."""
        if not self.dialect.acks or (isinstance(thing, Control) and not self.dialect.confirms(thing)):
            return 0, thing
        self.numbered += 1
        number = self.numbered if isinstance(thing, Control) or not self.dialect.batches else thing.place
        if self.unacked is None:
            self.unacked = {}
        self.unacked[number] = thing
        self.resend_at = self.resend_at or now + self.limits.resend_s
        return number, thing


def _place(thing: Outgoing) -> float:
    return inf if isinstance(thing, Control) else thing.place
