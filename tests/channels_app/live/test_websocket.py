"""`belfry.v1`: JSON over WebSocket, with acknowledgements, resends, marks and close codes."""

from __future__ import annotations

import contextlib
import json
import socket as sockets
import threading
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from channels_app.feed import marking
from channels_app.live import tickets
from channels_app.live.codes import Code
from channels_app.live.metrics import RESENDS
from channels_app.models import Device, InboxItem
from tests.channels_app.live.running import WITHIN_S, Running, Socket, StartsLive, eventually, now, tell


def test_it_begins_with_hello_and_how_the_feed_stands(live: Running) -> None:
    tell("ada", "before")
    with live.socket("ada", device="phone") as socket:
        hello = socket.next()
        assert (hello["t"], hello["v"], hello["cursor"], hello["device"]) == ("hello", 1, "1-1", "phone")
        assert hello["ack"] == {"window": 64, "after_ms": 10_000, "tries": 5}
        assert socket.next() == {"t": "state", "d": {"cursor": "1-1", "unread": 1, "read_upto": 0}}
        tell("ada", "now")
        new = socket.next()
        assert (new["t"], new["id"], new["d"]["title"]) == ("new", "1-2", "now")


def test_what_was_missed_comes_as_a_batch(live: Running) -> None:
    tell("ada", "first", "second", "third")
    with live.socket("ada", last="1-1") as socket:
        batch = socket.until("batch")
        assert (batch["id"], [each["title"] for each in batch["d"]]) == ("1-3", ["second", "third"])


def test_a_ticket_may_be_the_first_frame_and_is_good_once(live: Running) -> None:
    ticket = tickets.issue("ada", now=now())
    tell("ada", "first")
    with Socket(live.connect()) as socket:
        socket.say(t="auth", ticket=ticket, last="1-0", device="phone")
        assert socket.until("hello")["device"] == "phone"
        assert socket.until("new", "batch")["id"] == "1-1"
    with Socket(live.connect()) as socket:
        socket.say(t="auth", ticket=ticket)
        assert socket.code() == 4101


def test_who_does_not_say_who_they_are_is_sent_away(start: StartsLive) -> None:
    live = start(auth_s=0.3)
    with Socket(live.connect()) as socket:
        assert socket.code() == 4003
    with Socket(live.connect()) as socket:
        socket.say(t="ack", upto="1-1")
        assert socket.code() == 4003


def test_a_sub_protocol_that_nobody_speaks_is_refused(live: Running, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as refused:
        live.connect(f"ticket={tickets.issue('ada', now=now())}", protocol="graphql-ws")
    assert refused.value.response.status_code == 400
    assert b"Offer the sub-protocol belfry.v1" in (refused.value.response.body or b"")
    live.end()
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


# --- Acknowledgements ----------------------------------------------------------------------------


def test_the_first_acknowledgement_delivers_and_each_device_has_its_own(live: Running) -> None:
    """S2-WS-15: every device gets its own copy, and confirms it."""
    with live.socket("ada", device="phone") as phone, live.socket("ada", device="desk") as desk:
        for socket in (phone, desk):
            socket.until("state")
        tell("ada", "first", "second")
        phone.until("new")
        phone.until("new")
        phone.say(t="ack", upto="1-2")
        eventually(lambda: InboxItem.objects.filter(delivered_at=None).count() == 0)
        assert set(InboxItem.objects.values_list("delivered_device", flat=True)) == {"phone"}
        assert desk.until("new")["id"] == "1-1"
        desk.say(t="ack", upto="1-1")
        eventually(lambda: dict(Device.objects.values_list("key", "acked_seq")) == {"phone": 2, "desk": 1})


def test_items_can_be_acknowledged_one_by_one(live: Running) -> None:
    with live.socket("ada", device="phone") as socket:
        socket.until("state")
        first, second = tell("ada", "first", "second")
        socket.until("new")
        socket.until("new")
        socket.say(t="ack", ids=[second.item["id"]])
        eventually(lambda: InboxItem.objects.get(title="second").delivered_at is not None)
        assert InboxItem.objects.get(title="first").delivered_at is None
        socket.say(t="ack", ids=[first.item["id"]])
        eventually(lambda: InboxItem.objects.get(title="first").delivered_at is not None)


def test_acknowledging_what_was_never_sent_does_nothing(live: Running) -> None:
    with live.socket("ada", device="phone") as socket:
        socket.until("state")
        socket.say(t="ack", upto="1-500")
        tell("ada", "first")
        assert socket.until("new")["id"] == "1-1"
        socket.say(t="ack", upto="1-1")
        eventually(lambda: Device.objects.filter(key="phone", acked_seq=1).exists())


def test_what_is_not_acknowledged_comes_again_and_then_it_ends(start: StartsLive) -> None:
    """S2-WS-06: sent again so often, with the same ids; then the connection ends."""
    live = start(resend_s=0.5, resends=2)
    before = RESENDS._value.get()
    with live.socket("ada") as socket:
        socket.until("state")
        tell("ada", "first", "second")
        seen = [(frame["id"], frame.get("re", 0)) for frame in (socket.until("new") for _ in range(6))]
        assert seen == [("1-1", 0), ("1-2", 0), ("1-1", 1), ("1-2", 1), ("1-1", 2), ("1-2", 2)]
        bye = socket.until("bye")["d"]
        assert (bye["code"], bye["reason"], bye["final"]) == (4108, "unresponsive", False)
        assert socket.code() == 4108
    assert RESENDS._value.get() == before + 2


def test_an_acknowledgement_ends_the_resends(start: StartsLive) -> None:
    live = start(resend_s=1.5)
    with live.socket("ada") as socket:
        socket.until("state")
        tell("ada", "first", "second")
        assert [socket.until("new")["id"] for _ in range(2)] == ["1-1", "1-2"]
        socket.say(t="ack", upto="1-1")
        again = socket.until("new")
        assert (again["id"], again["re"]) == ("1-2", 1)
        socket.say(t="ack", upto="1-2")
        tell("ada", "third")
        frame = socket.until("new")
        assert (frame["id"], frame.get("re")) in [("1-3", None), ("1-2", 2)]


def test_no_more_than_the_window_is_sent_without_an_acknowledgement(start: StartsLive) -> None:
    live = start(window=2, queue_events=3)
    with live.socket("ada") as socket:
        socket.until("state")
        tell("ada", "0", "1")
        assert [socket.until("new")["id"] for _ in range(2)] == ["1-1", "1-2"]
        tell("ada", *[str(number) for number in range(2, 10)])
        with pytest.raises(TimeoutError):
            socket.next(0.5)
        got, last = ["0", "1"], "1-2"
        while len(got) < 10:
            socket.say(t="ack", upto=last)
            frame = socket.until("new", "batch")
            last = frame["id"]
            got += [each["title"] for each in (frame["d"] if frame["t"] == "batch" else [frame["d"]])]
        assert got == [str(number) for number in range(10)]


# --- Marks, words and limits ---------------------------------------------------------------------


def test_marks_are_answered_and_come_to_all_devices(live: Running) -> None:
    (first,) = tell("ada", "first")
    with live.socket("ada") as phone, live.socket("ada") as desk:
        for socket in (phone, desk):
            socket.until("state")
        phone.say(t="seen", n=1, ids=[first.item["id"]])
        phone.say(t="read", n=2, upto="1-1")
        # The answers and the changes come in any order.
        frames = [phone.until("ok", "updated") for _ in range(4)]
        assert [frame["re"] for frame in frames if frame["t"] == "ok"] == [1, 2]
        assert [frame["id"] for frame in frames if frame["t"] == "updated"] == ["1-2", "1-3"]
        assert [desk.until("updated")["d"]["unread"] for _ in range(2)] == [1, 0]
    assert InboxItem.objects.get().read_at is not None


def test_what_is_no_frame_is_answered_and_the_connection_goes_on(live: Running) -> None:
    with live.socket("ada") as socket:
        socket.until("state")
        socket.connection.send("hello")
        assert socket.until("err")["d"]["code"] == "bad_frame"
        socket.connection.send('{"t":"ack","more":' + "[" * 4_000)
        assert socket.until("err")["d"]["code"] == "bad_frame"
        socket.say(t="dance", n=4)
        assert "dance" in socket.until("err")["d"]["detail"]
        socket.say(t="read", n=5)
        assert socket.until("err")["d"]["code"] == "bad_frame"
        socket.say(t="focus", on=True)
        tell("ada", "first")
        assert socket.until("new")["id"] == "1-1"


def test_binary_frames_are_not_json(live: Running) -> None:
    with live.socket("ada") as socket:
        socket.until("state")
        socket.connection.send(b"\x00")
        assert socket.code() == 4001


def test_frames_are_bounded_in_size_and_number(start: StartsLive) -> None:
    live = start(frame_bytes=500, frames_per_s=3)
    with live.socket("ada") as socket:
        socket.until("state")
        socket.connection.send(json.dumps({"t": "pong", "ticket": "x" * 600}))
        assert socket.code() == 1009
    with live.socket("ada") as socket:
        socket.until("state")
        # It may be closed before all of them are sent.
        with contextlib.suppress(ConnectionClosed):
            for number in range(30):
                socket.say(t="pong", n=number)
        assert socket.code() == 4102


def test_who_gives_no_sign_of_life_is_cut_off(start: StartsLive) -> None:
    """S2-WS-09. The library answers pings by itself, also of those who say nothing."""
    live = start(ping_s=0.5, pong_s=2.0)
    with live.socket("ada") as alive, live.mute("grace"):
        alive.until("state")
        eventually(lambda: live.process.hub.of("grace") != [])
        eventually(lambda: live.process.hub.of("grace") == [])
        assert alive.until("ping")["n"] == 1
        assert alive.until("ping")["n"] == 2
        assert len(live.process.hub.of("ada")) == 1


def test_a_recipients_oldest_connection_makes_room(start: StartsLive) -> None:
    live = start(connections_per_recipient=2)
    with live.socket("ada") as first, live.socket("ada") as second, live.socket("ada") as third:
        assert first.code() == 4005
        third.until("state")
        second.until("state")
        tell("ada", "first")
        assert second.until("new")["id"] == third.until("new")["id"] == "1-1"


def test_where_all_are_looked_at_the_newest_is_refused(start: StartsLive) -> None:
    live = start(connections_per_recipient=1)
    with live.socket("ada") as first:
        first.until("state")
        first.say(t="focus", on=True)
        eventually(lambda: all(each.focused for each in live.process.hub.of("ada")))
        with pytest.raises(InvalidStatus) as refused:
            live.socket("ada")
        assert refused.value.response.status_code == 429


def test_a_full_process_says_when_to_come_back(start: StartsLive) -> None:
    live = start(connections=1)
    with live.socket("ada") as first:
        first.until("state")
        with live.socket("grace") as second:
            bye = second.until("bye")["d"]
            assert (bye["code"], bye["final"]) == (4103, False)
            assert bye["retry_ms"] > 0
            assert second.code() == 4103


def test_a_connection_does_not_last_for_ever(start: StartsLive) -> None:
    live = start(life_s=0.5)
    with live.socket("ada") as socket:
        assert socket.code() == 4200
    with live.stream("ada") as stream:
        assert json.loads(stream.until("bye").data)["code"] == 4200


def test_who_leaves_before_it_is_known_who_they_are_is_not_kept(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()
    spend = tickets.spend

    def slowly(some: Any) -> list[bool]:
        asked.set()
        assert go_on.wait(WITHIN_S)
        return spend(some)

    monkeypatch.setattr(tickets, "spend", slowly)
    attached: list[Any] = []
    monkeypatch.setattr(live.process.hub, "on_change", lambda connection, _is_there: attached.append(connection))
    with live.mute("ada"):
        assert asked.wait(WITHIN_S)
    # Until the server has seen that, too.
    eventually(lambda: not live.server.server_state.connections)
    go_on.set()
    eventually(lambda: bool(attached))
    eventually(lambda: live.process.hub.count == 0)
    eventually(lambda: attached[0].turn == 0)


def test_who_has_left_already_is_not_closed_once_more(live: Running) -> None:
    """A credential may be found to have ended just after its connection did."""
    with live.socket("ada") as socket:
        socket.until("state")
        (connection,) = live.process.hub.of("ada")
    eventually(lambda: live.process.hub.count == 0 and connection.turn == 0)
    live.server._loop.call_soon_threadsafe(live.process.hub.close, connection, Code.TOKEN_EXPIRED)
    with live.socket("ada") as socket:
        socket.until("state")
    assert connection.turn == 0


@pytest.mark.parametrize("query", ["", "ticket"])
def test_answers_to_pings_do_not_pile_up_for_who_reads_nothing(live: Running, query: str) -> None:
    ticket = f"?ticket={tickets.issue('ada', now=now())}" if query else ""
    ping = b"\x89\xfd" + bytes(4 + 125)
    with sockets.create_connection(("127.0.0.1", live.port), WITHIN_S) as raw:
        raw.sendall(
            f"GET /rt/ws{ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert raw.recv(12) == b"HTTP/1.1 101"
        protocol: Any = next(iter(live.server.server_state.connections))
        give_up_at, most = time.monotonic() + 2, 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while time.monotonic() < give_up_at:
                raw.sendall(ping * 500)
                most = max(most, protocol.transport.get_write_buffer_size())
    assert most < 1_000_000


def test_pongs_that_nobody_asked_for_wait_in_the_network(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the feed is slow to be written, nothing else is heard."""
    asked, go_on = threading.Event(), threading.Event()

    def slowly(*_: object, **__: object) -> None:
        asked.set()
        assert go_on.wait(WITHIN_S)

    monkeypatch.setattr(marking, "read", slowly)
    text, mask = b'{"t":"read","all":true}', bytes(4)
    with live.mute("ada") as raw:
        eventually(lambda: bool(live.process.hub.of("ada")) and live.process.hub.of("ada")[0].greeted)
        protocol: Any = next(iter(live.server.server_state.connections))
        raw.sendall(b"\x81" + bytes([0x80 | len(text)]) + mask + text)
        assert asked.wait(WITHIN_S)
        raw.settimeout(0.5)
        give_up_at = time.monotonic() + 2
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < give_up_at:
                raw.sendall(b"\x8a\x80\x00\x00\x00\x00" * 5_000)
        waiting = protocol.queue.qsize()
        go_on.set()
    eventually(lambda: live.process.hub.count == 0)
    # What the network brought at once.
    assert waiting < 100_000
