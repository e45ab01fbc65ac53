"""Server-Sent Events: what comes, in which order, and where a client goes on that comes back."""

from __future__ import annotations

import json

import httpx
import pytest

from channels_app.feed import erase, marking, writing
from channels_app.feed.item import NewItem
from channels_app.models import InboxState
from tests.channels_app.live.running import WITHIN_S, Running, StartsLive, now, tell


def test_a_stream_begins_with_hello_and_how_the_feed_stands(live: Running) -> None:
    tell("ada", "before")
    with live.stream("ada", device="phone") as stream:
        assert stream.next().retry == 3000
        hello = stream.next()
        assert (hello.event, hello.id) == ("hello", "")
        said = json.loads(hello.data)
        assert said["conn"].startswith("c_")
        del said["conn"]
        assert said == {
            "v": 1, "cursor": "1-1", "recovered": True, "behind": 0, "ping": 25.0, "device": "phone", "net": "ok"
        }  # fmt: skip
        state = stream.next()
        assert (state.event, state.id) == ("state", "")
        assert json.loads(state.data) == {"cursor": "1-1", "unread": 1, "read_upto": 0}


def test_changes_come_as_they_happen_with_their_cursor(live: Running) -> None:
    with live.stream("ada") as stream:
        stream.until("state")
        (first,) = tell("ada", "first")
        (item,) = [json.loads(each.data) for each in stream.take(1)]
        assert (item["title"], item["unread"], item["read"], item["type"]) == ("first", 1, False, "new")
        marking.read("ada", now=now(), everything=True)
        marking.delete("ada", now=now(), ids=[first.item["id"]])
        updated, deleted = stream.take(2)
        assert (updated.event, updated.id, deleted.event, deleted.id) == ("updated", "1-2", "deleted", "1-3")
        assert json.loads(updated.data)["read"] is True
        assert json.loads(updated.data)["unread"] == 0
        assert set(json.loads(deleted.data)) == {"id", "type", "seq", "unread"}


def test_nobody_hears_of_another_recipients_feed(live: Running) -> None:
    with live.stream("ada") as ada, live.stream("grace") as grace:
        ada.until("state")
        grace.until("state")
        tell("ada", "for ada")
        tell("grace", "for grace")
        assert json.loads(grace.take(1)[0].data)["title"] == "for grace"
        assert json.loads(ada.take(1)[0].data)["title"] == "for ada"


def test_who_comes_back_gets_what_was_missed_each_item_once_and_in_order(live: Running) -> None:
    tell("ada", "first")
    with live.stream("ada") as stream:
        stream.until("state")
    tell("ada", "second", "third")
    marking.read("ada", now=now(), everything=True)
    with live.stream("ada", last="1-1") as stream:
        hello = json.loads(stream.until("hello").data)
        assert (hello["cursor"], hello["recovered"], hello["behind"]) == ("1-1", True, 5)
        changes = stream.take(3)
        assert [int(each.id.split("-")[1]) for each in changes] == [4, 5, 6]
        assert {json.loads(each.data)["title"] for each in changes} == {"first", "second", "third"}
        assert all(json.loads(each.data)["read"] for each in changes)
        assert json.loads(stream.until("state").data) == {"cursor": "1-6", "unread": 0, "read_upto": 3}


def test_the_header_wins_over_what_stands_in_the_url(live: Running) -> None:
    tell("ada", "first", "second")
    with live.stream("ada", last="1-1", last_event_id="1-0") as stream:
        assert json.loads(stream.take(1)[0].data)["title"] == "second"
    with live.stream("ada", last_event_id="1-0") as stream:
        assert [json.loads(each.data)["title"] for each in stream.take(2)] == ["first", "second"]


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("2-1", "epoch"),
        ("1-99", "epoch"),
        ("yesterday", "invalid"),
        ("0-1", "invalid"),
        ("1-99999999999999999", "invalid"),
    ],
)
def test_a_cursor_that_cannot_be_begins_anew(live: Running, cursor: str, reason: str) -> None:
    tell("ada", "first")
    with live.stream("ada", last=cursor) as stream:
        assert json.loads(stream.until("hello").data)["recovered"] is False
        reset = stream.until("reset")
        assert reset.id == ""
        assert json.loads(reset.data) == {"reason": reason, "cursor": "1-1"}
        stream.until("state")
        tell("ada", "second")
        assert stream.take(1)[0].id == "1-2"


def test_what_is_forgotten_or_too_much_is_told_as_such(live: Running) -> None:
    tell("ada", *["item"] * 1_001)
    with live.stream("ada", last="1-0") as stream:
        assert json.loads(stream.until("reset").data)["reason"] == "too_far"
    InboxState.objects.filter(recipient="ada").update(floor_seq=900)
    with live.stream("ada", last="1-899") as stream:
        assert json.loads(stream.until("reset").data)["reason"] == "retention"


def test_many_missed_changes_come_in_pieces_without_a_gap(live: Running) -> None:
    tell("ada", *[str(number) for number in range(700)])
    with live.stream("ada", last="1-0") as stream:
        assert [each.id for each in stream.take(700)] == [f"1-{seq}" for seq in range(1, 701)]


def test_a_feed_that_is_erased_begins_anew_for_those_who_watch(live: Running) -> None:
    tell("ada", "first")
    with live.stream("ada") as stream:
        stream.until("state")
        erase.erase("ada")
        assert json.loads(stream.until("reset").data)["reason"] == "epoch"
        tell("ada", "second")
        assert json.loads(stream.take(1)[0].data)["title"] == "second"


def test_what_is_told_to_everybody_comes_to_those_who_are_there(live: Running) -> None:
    with live.stream("ada") as ada, live.stream("grace") as grace:
        ada.until("state")
        grace.until("state")
        item = NewItem(recipient="*", event_type="test.said", title="to all")
        writing.publish_to_everyone(item, now=now())
        for stream in (ada, grace):
            assert json.loads(stream.take(1)[0].data)["title"] == "to all"


def test_an_item_too_large_for_the_bus_comes_all_the_same(live: Running) -> None:
    with live.stream("ada") as stream:
        stream.until("state")
        tell("ada", "large", body="x" * 20_000)
        assert len(json.loads(stream.take(1)[0].data)["body"]) == 20_000


def test_signs_of_life_come_as_comments_or_events(start: StartsLive) -> None:
    live = start(ping_s=0.5)
    with live.stream("ada", ping="event") as stream:
        assert json.loads(stream.until("ping").data) == {"n": 1}
        assert json.loads(stream.until("ping").data) == {"n": 2}


def test_strangers_are_refused_by_a_status(live: Running) -> None:
    assert httpx.get(f"{live.url}/sse", timeout=WITHIN_S).status_code == 403
    assert httpx.get(f"{live.url}/sse", headers={"accept": "text/event-stream"}, timeout=WITHIN_S).status_code == 403
    assert httpx.get(f"{live.url}/nothing", timeout=WITHIN_S).status_code == 404
    assert "feed token" in httpx.get(f"{live.url}/sse", timeout=WITHIN_S).json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "sse", 405), ("POST", "changes", 405), ("GET", "ws", 426)]
)
def test_who_comes_the_wrong_way_is_told_the_right_one(live: Running, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, f"{live.url}/{path}", timeout=WITHIN_S)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.json()["detail"]


def test_browsers_are_told_in_the_stream_what_may_be_well_again(live: Running) -> None:
    """An EventSource gives up for good on every status but 200."""
    with httpx.stream(
        "GET", f"{live.url}/sse?ticket=old", headers={"accept": "text/event-stream"}, timeout=WITHIN_S
    ) as response:
        assert response.status_code == 200
        assert "event: bye" in response.read().decode()
        assert '"code":4101' in response.text
    assert httpx.get(f"{live.url}/sse?ticket=old", timeout=WITHIN_S).status_code == 401
