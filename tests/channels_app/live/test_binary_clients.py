"""`belfry.v1.protobuf`: clients that confirm every message by its id."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus

from channels_app.feed import marking
from channels_app.live.network import BUS
from channels_app.models import Device, InboxItem
from tests.channels_app.live.running import Running, Socket, StartsLive, eventually, now, tell
from tests.channels_app.live.test_protobuf import made

PROTOCOL = "belfry.v1.protobuf"


def frame(socket: Socket, within_s: float = 10.0) -> Any:
    """The next message."""
    data = socket.connection.recv(timeout=within_s)
    assert isinstance(data, bytes)
    return made("Frame", data)


def confirm(socket: Socket, message_id: str) -> None:
    confirmation = made("Confirmation")
    confirmation.message_id = message_id
    socket.connection.send(confirmation.SerializeToString())


def there(live: Running, recipient: str = "ada") -> None:
    """Until the server has greeted them: nothing says so to the client."""
    eventually(lambda: any(each.greeted for each in live.process.hub.of(recipient)))


def test_a_new_item_has_all_fields_an_update_one_and_a_deletion_none(live: Running) -> None:
    """S2-PB-01, S2-PB-04, S2-WS-08: a confirmed new one is delivered."""
    source = uuid4()
    with live.socket("ada", protocol=PROTOCOL, device="phone") as socket:
        there(live)
        (first,) = tell("ada", "first", source=source)
        new = frame(socket)
        assert abs((datetime.now(UTC) - new.message_timestamp.ToDatetime(UTC)).total_seconds()) < 60
        assert new.network_status == 0
        told = new.notification
        assert (told.id, told.status, told.created_by, told.seen) == (first.item["id"], 0, str(source), False)
        assert told.content_type == "application/json"
        assert json.loads(told.content)["title"] == "first"
        confirm(socket, new.message_id)
        eventually(lambda: InboxItem.objects.get().delivered_device == "phone")
        marking.read("ada", now=now(), everything=True)
        updated = frame(socket)
        assert (updated.notification.status, updated.notification.seen) == (1, True)
        assert not updated.notification.HasField("content")
        marking.delete("ada", now=now(), ids=[first.item["id"]])
        deleted = frame(socket)
        assert deleted.notification.status == 2
        assert not any(deleted.notification.HasField(name) for name in ("created_by", "seen", "content"))
        assert len({new.message_id, updated.message_id, deleted.message_id}) == 3


@pytest.mark.slow
def test_messages_are_confirmed_in_any_order_and_the_rest_comes_again(start: StartsLive) -> None:
    """S2-WS-05, S2-WS-06, S2-WS-07."""
    live = start(resend_s=2.5, resends=1)
    with live.socket("ada", protocol=PROTOCOL, device="phone") as socket:
        there(live)
        tell("ada", "first", "second", "third")
        first, second, third = (frame(socket) for _ in range(3))
        confirm(socket, third.message_id)
        confirm(socket, first.message_id)
        again = frame(socket)
        assert (again.message_id, again.notification.id) == (second.message_id, second.notification.id)
        eventually(lambda: InboxItem.objects.filter(delivered_at=None).count() == 1)
        assert socket.code() == 4108


def test_a_confirmation_of_nothing_is_passed_over(live: Running) -> None:
    with live.socket("ada", protocol=PROTOCOL, device="phone") as socket:
        there(live)
        confirm(socket, str(uuid4()))
        tell("ada", "first")
        confirm(socket, frame(socket).message_id)
        eventually(lambda: Device.objects.filter(key="phone", acked_seq=1).exists())


@pytest.mark.parametrize("said", ["a text", b"\xff\xff", b""])
def test_what_is_no_confirmation_ends_it(live: Running, said: str | bytes) -> None:
    """S2-WS-04, S2-WS-11, S2-WS-13: and says why."""
    with live.socket("ada", protocol=PROTOCOL) as socket:
        there(live)
        socket.connection.send(said)
        assert socket.code() == 4001


def test_a_pong_that_is_none_ends_it(live: Running) -> None:
    """S2-WS-10."""
    with live.socket("ada", protocol=PROTOCOL) as socket:
        there(live)
        socket.connection.pong(b"12345")
        assert socket.code() == 4001


def test_the_network_is_told_to_all_and_to_who_comes_late(live: Running) -> None:
    """S2-WS-16, S2-WS-17: ERROR while hints are away, then OK, each confirmed as everything is."""
    hub, loop = live.process.hub, live.server._loop
    with live.socket("ada", protocol=PROTOCOL) as early:
        there(live)
        loop.call_soon_threadsafe(lambda: hub.note("somewhere", well=False))
        error = frame(early)
        assert (error.network_status, error.HasField("notification")) == (1, False)
        confirm(early, error.message_id)
        with live.socket("ada", protocol=PROTOCOL) as late:
            assert frame(late).network_status == 1
            loop.call_soon_threadsafe(lambda: hub.note("somewhere", well=True))
            for socket in (early, late):
                assert frame(socket).network_status == 0
    assert not hub.network.is_away(BUS)


def test_who_was_away_is_caught_up_with(live: Running) -> None:
    tell("ada", *[str(number) for number in range(100)])
    with live.socket("ada", protocol=PROTOCOL, last="1-10") as socket:
        titles = []
        for _ in range(90):
            message = frame(socket)
            titles.append(json.loads(message.notification.content)["title"])
            confirm(socket, message.message_id)
    assert titles == [str(number) for number in range(10, 100)]


def test_a_ticket_that_was_used_is_refused_before_the_greeting(live: Running) -> None:
    """S2-WS-01, S2-WS-02."""
    with pytest.raises(InvalidStatus) as refused:
        live.connect("ticket=old", protocol=PROTOCOL)
    assert refused.value.response.status_code == 401
