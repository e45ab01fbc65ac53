from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from channels_app.live import client_frames
from channels_app.live.client_frames import BadFrame
from channels_app.live.event import Batch, Control, Event, Outgoing, place_of
from channels_app.live.frames import DIALECTS, JSON, PROTOBUF, SSE, SSE_WITH_PINGS

AT = datetime(2026, 5, 1, tzinfo=UTC)
ITEM = str(uuid4())


def event(seq: int, kind: str = "new") -> Event:
    body = json.dumps({"id": ITEM, "type": kind, "seq": seq}).encode()
    return Event(kind, "ada", place_of(7, seq), AT.timestamp(), body)


def written(dialect: str, thing: Outgoing, *, again: int = 0, message_id: UUID | None = None) -> str:
    return DIALECTS[dialect].write(thing, again=again, message_id=message_id, at=AT).decode()


def test_a_change_bears_its_cursor_in_a_stream() -> None:
    assert written(SSE, event(3)) == f"id: 7-3\nevent: new\ndata: {event(3).body.decode()}\n\n"


@pytest.mark.parametrize("name", ["hello", "state", "reset", "net", "bye"])
def test_words_about_the_stream_have_no_id(name: str) -> None:
    assert written(SSE, Control(name, {"a": 1})) == f'event: {name}\ndata: {{"a":1}}\n\n'


def test_a_bye_tells_the_browser_when_to_come_back() -> None:
    assert written(SSE, Control("bye", {"retry_ms": 4200})).startswith("retry: 4200\n")


def test_signs_of_life_are_comments_or_events() -> None:
    assert written(SSE, Control("ping", {"n": 5})) == ": ping 5\n\n"
    assert written(SSE_WITH_PINGS, Control("ping", {"n": 5})) == 'event: ping\ndata: {"n":5}\n\n'


def test_a_batch_ends_where_the_feed_stands() -> None:
    both = written(SSE, Batch(place_of(7, 9), [event(3), event(5)]))
    assert both == written(SSE, event(3)) + written(SSE, event(5)) + "id: 7-9\n\n"
    assert written(SSE, Batch(place_of(7, 5), [event(5)])) == written(SSE, event(5))
    assert written(SSE, Batch(place_of(7, 5), [])) == "id: 7-5\n\n"


def test_json_says_how_often_it_was_sent_before() -> None:
    assert json.loads(written(JSON, event(3), again=2)) == {
        "t": "new",
        "id": "7-3",
        "re": 2,
        "d": {"id": ITEM, "type": "new", "seq": 3},
    }


def test_json_batches_carry_all_changes() -> None:
    batch = json.loads(written(JSON, Batch(place_of(7, 9), [event(3), event(5)])))
    assert (batch["t"], batch["id"], [each["seq"] for each in batch["d"]]) == ("batch", "7-9", [3, 5])


def test_json_words_are_flat_or_not() -> None:
    assert json.loads(written(JSON, Control("ping", {"n": 1}))) == {"t": "ping", "n": 1}
    assert json.loads(written(JSON, Control("ok", {"re": 3}))) == {"t": "ok", "re": 3}
    assert json.loads(written(JSON, Control("net", {"status": "ok"}))) == {"t": "net", "d": {"status": "ok"}}
    assert json.loads(written(JSON, Control("err", {"re": 3, "code": "x"}))) == {
        "t": "err",
        "re": 3,
        "d": {"code": "x"},
    }


@pytest.mark.parametrize("name", ["hello", "state", "ping", "bye", "ok", "err"])
def test_the_binary_protocol_has_no_word_for_most(name: str) -> None:
    assert written(PROTOBUF, Control(name, {})) == ""


# --- What clients say ----------------------------------------------------------------------------


def test_a_frame_of_a_client_is_read() -> None:
    frame = client_frames.read(f'{{"t":"ack","upto":"7-3","ids":["{ITEM}"]}}')
    assert (frame.place, frame.items) == (place_of(7, 3), [UUID(ITEM)])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"t":1}', '{"t":"ack","ids":"x"}', "nothing", '{"t":"ack","n":"x"}'])
def test_what_is_no_frame_is_refused(text: str) -> None:
    with pytest.raises(BadFrame):
        client_frames.read(text)


def test_bounds_and_spellings_are_looked_at() -> None:
    with pytest.raises(BadFrame, match="at most 200"):
        client_frames.read(json.dumps({"t": "ack", "ids": [ITEM] * 201}))
    with pytest.raises(BadFrame):
        _ = client_frames.read('{"t":"ack","upto":"here"}').place
    with pytest.raises(BadFrame):
        _ = client_frames.read('{"t":"ack","ids":["7-3"]}').items
