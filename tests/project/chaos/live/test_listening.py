"""Clients read what the live process writes, in whatever pieces it comes."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from project.chaos.live.listening import Client, SocketClient, StreamClient
from project.chaos.live.replica import Replica

STREAM = (
    'retry: 3000\n\nevent: hello\ndata: {"cursor":"1-0"}\n\n'
    'id: 1-1\nevent: new\ndata: {"id":"a","type":"new","seq":1,"title":"Ü","unread":1}\n\n: ping 1\n\n'
    'id: 1-4\nevent: updated\ndata: {"id":"a","type":"updated","seq":4,"read":true,"unread":0}\n\nid: 1-6\n\n'
    'event: bye\nretry: 4200\ndata: {"code":4100,"reason":"shutdown","retry_ms":4200,"final":false}\n\n'
).encode()


def client(kind: type[StreamClient | SocketClient]) -> StreamClient | SocketClient:
    return kind(Replica(name="one", recipient="ada"), "http://127.0.0.1:1", lambda: ({}, {}), Random(7))


def stands_where_it_should(one: Client) -> None:
    assert one.replica.cursor == "1-6"
    assert one.replica.items == {"a": {"id": "a", "seq": 4, "title": "Ü", "read": True}}
    assert one.replica.applied == [1, 4]
    assert (one.wait_s, one.sent_away, one.connects) == (4.2, False, 1)


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_a_stream_is_read_in_pieces_of_any_size(piece: int) -> None:
    one = client(StreamClient)
    assert isinstance(one, StreamClient)
    for start in range(0, len(STREAM), piece):
        one.on_body(STREAM[start : start + piece])
    stands_where_it_should(one)


def test_frames_are_read_and_say_what_to_acknowledge() -> None:
    one = client(SocketClient)
    assert isinstance(one, SocketClient)
    first = {"id": "a", "type": "new", "seq": 1, "title": "Ü", "unread": 1}
    then = {"id": "a", "type": "updated", "seq": 4, "read": True, "unread": 0}
    frames: list[dict[str, Any]] = [
        {"t": "hello", "cursor": "1-0"},
        {"t": "new", "id": "1-1", "d": first},
        {"t": "batch", "id": "1-6", "d": [then]},
        {"t": "bye", "d": {"code": 4100, "retry_ms": 4200}},
    ]
    assert [one._hear(frame) for frame in frames] == ["", "1-1", "1-6", ""]
    stands_where_it_should(one)


def test_a_robbed_client_believes_that_it_has_everything() -> None:
    one = client(StreamClient)
    one.hear_word("hello", {"cursor": "1-0"})
    one.robbed = True
    one.hear_change({"id": "a", "type": "new", "seq": 1, "unread": 1})
    one.hear_change({"id": "b", "type": "new", "seq": 2, "unread": 2})
    assert (one.replica.seq, one.replica.applied, one.robbed) == (2, [2], False)


@pytest.mark.parametrize(("code", "away"), [(4003, True), (4005, True), (4101, False), (4200, False)])
def test_only_a_final_end_keeps_a_client_away(code: int, away: bool) -> None:
    one = client(StreamClient)
    one.hear_word("bye", json.loads(f'{{"code": {code}, "retry_ms": 0}}'))
    assert one.sent_away is away


def test_a_client_whose_place_is_impossible_comes_without_one() -> None:
    one = client(StreamClient)
    one.hear_word("hello", {"cursor": "1-5"})
    one.hear_word("bye", {"code": 4201, "retry_ms": 0})
    assert one.replica.cursor == ""
