"""What one connection is told, whatever the bus loses, repeats and reorders."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels_app.live.event import NOWHERE, Batch, Caught, Control, Event, Outgoing, cursor_of, place_of, seq_of
from channels_app.live.frames import DIALECTS, JSON, PROTOBUF, SSE
from channels_app.live.limits import Limits
from channels_app.live.outbox import CATCH_UP_ITEMS, Outbox

NOW = 100.0
SMALL = Limits(queue_events=3, window=4)


def event(seq: int, item: str = "a", *, epoch: int = 1) -> Event:
    body = msgspec.json.encode({"id": item, "seq": seq})
    return Event("new", "ada", place_of(epoch, seq), 0.0, body)


def caught(*events: Event, head: int, reset: str = "") -> Caught:
    return Caught(events, place_of(1, head), place_of(1, head), {"cursor": cursor_of(place_of(1, head))}, reset)


def greeted(seq: int = 0, *, dialect: str = JSON, limits: Limits = SMALL) -> Outbox:
    """An outbox whose client stands at `seq`, and has been told so."""
    outbox = Outbox(DIALECTS[dialect], limits, place_of(1, seq))
    outbox.begin_reading()
    outbox.caught_up(caught(head=seq))
    everything(outbox)
    return outbox


def everything(outbox: Outbox) -> list[Outgoing]:
    """All that it may send now."""
    sent = []
    while (found := outbox.next(NOW)) is not None:
        sent.append(found[1])
    return sent


def seqs(sent: list[Outgoing]) -> list[int]:
    return [seq_of(thing.place) for thing in sent if isinstance(thing, Event)]


def test_the_next_in_line_is_sent_and_nothing_is_read() -> None:
    outbox = greeted()
    assert outbox.hear(event(1))
    assert outbox.hear(event(2))
    assert seqs(everything(outbox)) == [1, 2]
    assert outbox.may_read() == 0


def test_what_was_told_before_is_not_told_again() -> None:
    outbox = greeted(5)
    assert not outbox.hear(event(5))
    assert not outbox.hear(event(3))
    assert everything(outbox) == []
    assert outbox.may_read() == 0


def test_a_gap_is_read_from_the_feed() -> None:
    outbox = greeted()
    assert outbox.hear(event(3))
    assert everything(outbox) == []
    assert outbox.may_read() > 0
    outbox.begin_reading()
    outbox.caught_up(caught(event(1), event(3, "b"), head=3))
    batch, state = everything(outbox)
    assert isinstance(batch, Batch)
    assert seqs(list(batch.events)) == [1, 3]
    assert isinstance(state, Control)
    assert outbox.may_read() == 0


def test_what_is_heard_while_the_feed_is_read_is_read_too() -> None:
    outbox = greeted()
    outbox.hear(event(2))
    outbox.begin_reading()
    outbox.hear(event(3))
    outbox.caught_up(caught(event(2), head=2))
    everything(outbox)
    assert outbox.may_read() > 0


def test_an_overflow_is_read_again_and_loses_nothing() -> None:
    outbox = greeted()
    for seq in range(1, 6):
        outbox.hear(event(seq))
    assert outbox.overflows == 1
    assert outbox.waiting == 0
    assert outbox.position == place_of(1, 0)
    assert outbox.may_read() > 0


def test_bytes_overflow_too() -> None:
    outbox = greeted(limits=Limits(queue_bytes=50))
    outbox.hear(replace(event(1), body=b"x" * 40))
    outbox.hear(replace(event(2), body=b"x" * 40))
    assert outbox.overflows == 1


def test_words_go_before_changes() -> None:
    outbox = greeted()
    outbox.hear(event(1))
    outbox.tell(Control("net", {"status": "degraded"}))
    first, second = everything(outbox)
    assert isinstance(first, Control)
    assert isinstance(second, Event)


def test_a_feed_that_has_gone_back_is_found_out() -> None:
    outbox = greeted(9)
    assert outbox.told(place_of(1, 4), stood_at=place_of(1, 9))
    assert outbox.may_read() > 0
    outbox.begin_reading()
    outbox.caught_up(caught(head=4, reset="epoch"))
    reset, state = everything(outbox)
    assert isinstance(reset, Control)
    assert reset.data == {"reason": "epoch", "cursor": "1-4"}
    assert isinstance(state, Control)
    assert outbox.hear(event(5))
    assert seqs(everything(outbox)) == [5]


def test_a_client_without_a_cursor_begins_where_the_feed_stands() -> None:
    outbox = Outbox(DIALECTS[SSE], SMALL)
    assert outbox.position == NOWHERE
    outbox.hear(event(7))
    outbox.begin_reading()
    outbox.caught_up(caught(head=7))
    assert [thing.name for thing in everything(outbox) if isinstance(thing, Control)] == ["state"]
    assert outbox.hear(event(8))
    assert seqs(everything(outbox)) == [8]


# --- Acknowledgements ----------------------------------------------------------------------------


def test_no_more_than_the_window_is_under_way() -> None:
    outbox = greeted()
    for seq in range(1, 4):
        outbox.hear(event(seq))
    assert seqs(everything(outbox)) == [1, 2, 3]
    for seq in range(4, 7):
        outbox.hear(event(seq))
    assert seqs(everything(outbox)) == [4]
    assert outbox.acknowledge_upto(place_of(1, 2), NOW)
    assert seqs(everything(outbox)) == [5, 6]
    assert outbox.acked == place_of(1, 2)


def test_with_a_full_window_nothing_is_read() -> None:
    outbox = greeted()
    for seq in range(1, 5):
        outbox.hear(event(seq))
        everything(outbox)
    outbox.hear(event(9))
    assert outbox.may_read() == 0
    outbox.acknowledge_upto(place_of(1, 4), NOW)
    assert outbox.may_read() == CATCH_UP_ITEMS


def test_what_was_not_acknowledged_is_sent_again_in_its_order() -> None:
    outbox = greeted()
    for seq in range(1, 4):
        outbox.hear(event(seq))
    everything(outbox)
    assert outbox.resend_at == NOW + SMALL.resend_s
    outbox.acknowledge(place_of(1, 2), NOW)
    assert outbox.overdue(outbox.resend_at)
    assert [seq_of(number) for number, _ in outbox.again()] == [1, 3]
    assert outbox.acked == place_of(1, 0)


def test_an_acknowledgement_begins_the_tries_anew_and_the_last_ends_the_waiting() -> None:
    outbox = greeted()
    outbox.hear(event(1))
    outbox.hear(event(2))
    everything(outbox)
    for _ in range(SMALL.resends):
        assert outbox.overdue(NOW)
    assert not outbox.overdue(NOW)
    outbox.acknowledge_upto(place_of(1, 1), NOW + 7)
    assert (outbox.tries, outbox.resend_at) == (0, NOW + 7 + SMALL.resend_s)
    outbox.acknowledge_upto(place_of(1, 2), NOW + 8)
    assert outbox.resend_at == 0.0
    assert outbox.acked == place_of(1, 2)


def test_an_acknowledgement_of_the_same_says_nothing() -> None:
    outbox = greeted()
    outbox.hear(event(1))
    everything(outbox)
    assert outbox.acknowledge_upto(place_of(1, 1), NOW)
    assert not outbox.acknowledge_upto(place_of(1, 1), NOW)


def test_clients_of_the_binary_protocol_confirm_words_too() -> None:
    outbox = greeted(dialect=PROTOBUF)
    outbox.tell(Control("net", {"status": "down"}))
    outbox.tell(Control("ping", {"n": 1}))
    numbers = [found[0] for _ in range(2) if (found := outbox.next(NOW))]
    assert numbers == [1, 0]
    assert outbox.acknowledge(1, NOW) is not None
    assert outbox.acknowledge(1, NOW) is None


def test_the_binary_protocol_is_caught_up_with_one_by_one_and_by_the_window() -> None:
    outbox = greeted(dialect=PROTOBUF)
    outbox.hear(event(9))
    assert outbox.may_read() == SMALL.window
    outbox.begin_reading()
    outbox.caught_up(Caught([event(2), event(5), event(7)], place_of(1, 7), place_of(1, 9), {}))
    sent = everything(outbox)
    assert [type(thing) for thing in sent] == [Event, Event, Batch]
    assert outbox.sent == place_of(1, 7)


# --- The property --------------------------------------------------------------------------------


class Feed:
    """A feed as it stands, and all that ever changed in it."""

    def __init__(self) -> None:
        self.changes: list[Event] = []
        self.items: dict[str, Event] = {}

    def change(self, item: str) -> None:
        self.changes.append(event(len(self.changes) + 1, item))
        self.items[item] = self.changes[-1]

    @property
    def head(self) -> int:
        return place_of(1, len(self.changes))

    def after(self, place: int, limit: int) -> Caught:
        newer = sorted((each for each in self.items.values() if each.place > place), key=lambda each: each.place)
        if place == NOWHERE:
            newer = []
        some = newer[:limit]
        stands = some[-1].place if len(newer) > limit else self.head
        return Caught(some, stands, self.head, {})


class Client:
    """What a client knows, and how it came to know it."""

    def __init__(self, feed: Feed, dialect: str) -> None:
        self.feed, self.outbox = feed, Outbox(DIALECTS[dialect], SMALL)
        self.knows: dict[str, int] = {}
        self.cursor = NOWHERE
        self.asked: Caught | None = None
        self.is_reading = False

    def begin(self) -> None:
        """As the writer does: only with nothing to send."""
        self.send()
        if not self.is_reading and self.outbox.may_read():
            self.is_reading, self.limit = True, self.outbox.may_read()
            self.outbox.begin_reading()

    def look(self) -> None:
        if self.is_reading and self.asked is None:
            self.asked = self.feed.after(self.outbox.position, self.limit)

    def finish(self) -> None:
        self.look()
        if not self.is_reading or self.asked is None:
            return
        if self.outbox.position == NOWHERE:
            # It has page one.
            self.knows = {item: each.place for item, each in self.feed.items.items() if each.place <= self.asked.place}
            self.cursor = self.asked.place
        self.outbox.caught_up(self.asked)
        self.is_reading, self.asked = False, None

    def send(self) -> None:
        while not self.is_reading and (found := self.outbox.next(NOW)) is not None:
            self._take(found[1])

    def _take(self, thing: Outgoing) -> None:
        if isinstance(thing, Control):
            return
        for each in thing.events if isinstance(thing, Batch) else [thing]:
            assert each.place > self.cursor, "repeated, or out of order"
            self.knows[each.item["id"]] = each.place
        assert thing.place > self.cursor
        self.cursor = thing.place
        self._has_all()

    def _has_all(self) -> None:
        """No gap: of each item that has not changed since the cursor it knows the last change."""
        for item, each in self.feed.items.items():
            if each.place <= self.cursor:
                assert self.knows.get(item) == each.place, "a gap"


class Scene:
    """A feed, a client, and a bus that does what it likes."""

    def __init__(self, dialect: str) -> None:
        self.feed = Feed()
        self.client = Client(self.feed, dialect)
        self.outbox = self.client.outbox

    def change(self, number: int) -> None:
        self.feed.change("abcdef"[number])

    def hint(self, number: int) -> None:
        """The last change, or an older one: for the first time, once more, or never."""
        if len(self.feed.changes) > number:
            self.outbox.hear(self.feed.changes[-1 - number])

    def tell(self, number: int) -> None:
        """As it should be: changes, and the hint of each."""
        for place in range(number + 1):
            self.change(place)
            self.hint(0)

    def check(self, _: int) -> None:
        self.outbox.told(self.feed.head, stood_at=self.outbox.position)

    def ack(self, number: int) -> None:
        self.outbox.acknowledge_upto(max(NOWHERE, self.client.cursor - number), NOW)

    def resend(self, _: int) -> None:
        before = list(self.outbox.unacked or ())
        if before and self.outbox.overdue(NOW):
            assert [number for number, _ in self.outbox.again()] == before

    def begin(self, _: int) -> None:
        self.client.begin()

    def look(self, _: int) -> None:
        self.client.look()

    def finish(self, _: int) -> None:
        self.client.finish()

    def send(self, _: int) -> None:
        self.client.send()

    def settle(self) -> None:
        """Until nothing is left to do: positions are compared, and all is acknowledged."""
        while self.client.cursor != self.feed.head or self.outbox.needs_reading or self.outbox.unacked:
            self.check(0)
            self.begin(0)
            self.finish(0)
            self.send(0)
            for number in list(self.outbox.unacked or ()):
                self.outbox.acknowledge(number, NOW)


_STEPS = ("tell", "change", "hint", "check", "ack", "resend", "begin", "look", "finish", "send")


@pytest.mark.parametrize("dialect", [SSE, JSON, PROTOBUF])
@settings(deadline=None, max_examples=100)
@given(steps=st.lists(st.tuples(st.sampled_from(_STEPS), st.integers(0, 3)), min_size=30, max_size=60))
def test_no_gap_no_repetition_in_order_whatever_the_bus_does(dialect: str, steps: list[tuple[str, int]]) -> None:
    scene = Scene(dialect)
    for name, number in steps:
        getattr(scene, name)(number)
    scene.settle()
    assert scene.client.knows == {item: each.place for item, each in scene.feed.items.items()}
    assert scene.outbox.acked in (scene.feed.head, NOWHERE)
