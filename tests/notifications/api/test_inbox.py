"""/inbox and /rt/ticket."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from channels_app.feed import marking
from channels_app.live import tickets
from channels_app.models import InboxItem
from notifications import clock
from tests.notifications.api.problem import fields_of
from tests.notifications.api.reading import V1, reader, write

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unknown_states")]

#: What is told to Redis is told after COMMIT.
committing = pytest.mark.django_db(transaction=True)

URL = f"{V1}/inbox"


@pytest.fixture
def ann() -> APIClient:
    return reader("ann")


def titles(answer: Any) -> list[str]:
    return [item["title"] for item in answer.json()["items"]]


@committing
class TestState:
    def test_it_says_how_much_is_unread(self, ann: APIClient) -> None:
        assert ann.get(f"{URL}/state").json() == {"cursor": "1-0", "unread": 0, "read_upto": 0}
        write("ann")
        answer = ann.get(f"{URL}/state")
        assert answer.json() == {"cursor": "1-1", "unread": 1, "read_upto": 0}
        assert answer["X-Poll-Interval"] == "30"
        assert answer["Cache-Control"] == "private, no-cache"

    def test_it_is_not_sent_again_while_nothing_changes(self, ann: APIClient) -> None:
        write("ann")
        tag = ann.get(f"{URL}/state")["ETag"]
        for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = ann.get(f"{URL}/state", headers={"If-None-Match": asked})
            assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
        marking.read("ann", everything=True, now=clock.now())
        changed = ann.get(f"{URL}/state", headers={"If-None-Match": tag})
        assert (changed.status_code, changed.json()["unread"]) == (200, 0)
        assert changed["ETag"] != tag

    def test_the_tag_of_another_feed_with_the_same_numbers_says_nothing(self, ann: APIClient) -> None:
        """A browser that two people share shows the tag of the first to the second."""
        write("ann")
        write("ben")
        tag = ann.get(f"{URL}/state")["ETag"]
        assert reader("ben").get(f"{URL}/state", headers={"If-None-Match": tag}).status_code == 200


class TestPage:
    def test_the_newest_come_first_and_next_leads_back(self, ann: APIClient) -> None:
        """S3-AP-01, S2-AP-04"""
        for number in range(5):
            write("ann", title=str(number))
        first = ann.get(f"{URL}?limit=2")
        assert titles(first) == ["4", "3"]
        second = ann.get(f"{URL}?limit=2&before={first.json()['next']}")
        third = ann.get(f"{URL}?limit=2&before={second.json()['next']}")
        assert (titles(second), titles(third), third.json()["next"]) == (["2", "1"], ["0"], None)
        assert first.json()["cursor"] == first.json()["state"]["cursor"] == "1-5"

    def test_it_can_be_narrowed(self, ann: APIClient) -> None:
        """S2-AP-04: by what was seen to; S3-AP-01"""
        read, away = write("ann", title="read"), write("ann", title="away", event_type="billing.paid")
        write("ann", title="new", event_type="billing.due")
        marking.read("ann", ids=[read], now=clock.now())
        marking.archive("ann", [away], now=clock.now())
        assert titles(ann.get(URL)) == ["new", "read"]
        assert titles(ann.get(f"{URL}?unread=1")) == ["new"]
        assert titles(ann.get(f"{URL}?archived=true")) == ["away"]
        assert titles(ann.get(f"{URL}?category=billing")) == ["new"]

    def test_a_payload_that_is_broken_is_null_and_the_list_goes_on(self, ann: APIClient) -> None:
        """S3-AP-06, S3-FD-11"""
        write("ann", title="broken", content_type="application/msgpack", payload=b"\xc1")
        write("ann", title="whole", content_type="application/msgpack", payload=b"\x81\xa1a\x01")
        assert [item["data"] for item in ann.get(URL).json()["items"]] == [{"a": 1}, None]

    @pytest.mark.parametrize(
        ("query", "at_fault"),
        [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=x", "limit"),
            ("before=-1", "before"),
            ("unread=maybe", "unread"),
            ("page=2", "page"),
            ("category=%00", "category"),
            ("archived=1&unread=1", "archived"),
        ],
    )
    def test_what_is_wrong_with_a_query_is_named(self, ann: APIClient, query: str, at_fault: str) -> None:
        answer = ann.get(f"{URL}?{query}")
        assert answer.status_code == 400
        assert fields_of(answer) == [at_fault]


class TestChanges:
    def test_each_item_comes_once_as_it_is_now(self, ann: APIClient) -> None:
        begin = ann.get(f"{URL}/changes").json()
        assert (begin["items"], begin["cursor"], begin["reset"]) == ([], "1-0", "")
        kept, gone = write("ann"), write("ann")
        marking.read("ann", ids=[kept], now=clock.now())
        marking.delete("ann", [gone], now=clock.now())
        answer = ann.get(f"{URL}/changes?after=1-0").json()
        assert [(item["id"], item["type"]) for item in answer["items"]] == [(str(kept), "new"), (str(gone), "deleted")]
        assert (answer["cursor"], answer["more"], answer["state"]["unread"]) == ("1-4", False, 0)
        assert ann.get(f"{URL}/changes?after=1-4").json()["items"] == []

    def test_a_long_way_comes_in_parts(self, ann: APIClient) -> None:
        for _ in range(3):
            write("ann")
        first = ann.get(f"{URL}/changes?after=1-0&limit=2").json()
        assert (first["cursor"], first["more"]) == ("1-2", True)

    @pytest.mark.parametrize(("after", "reset"), [("2-0", "epoch"), ("1-99", "epoch")])
    def test_a_cursor_that_is_of_no_use_is_told_so(self, ann: APIClient, after: str, reset: str) -> None:
        assert ann.get(f"{URL}/changes?after={after}").json()["reset"] == reset

    def test_a_text_that_is_no_cursor_is_named(self, ann: APIClient) -> None:
        assert fields_of(ann.get(f"{URL}/changes?after=yesterday")) == ["after"]
        assert fields_of(ann.get(f"{URL}/changes?after={'1' * 40}")) == ["after"]


class TestMarks:
    @committing
    def test_read_by_ids_up_to_a_cursor_and_all(self, ann: APIClient) -> None:
        """S3-AP-02, S3-AP-03"""
        ids = [write("ann") for _ in range(5)]
        assert ann.post(f"{URL}/read", {"ids": [str(ids[0])]}).json()["changed"] == 1
        assert ann.post(f"{URL}/read", {"upto": "1-3"}).json()["changed"] == 2
        rest = ann.post(f"{URL}/read", {"all": True}).json()
        assert (rest["changed"], rest["state"]["unread"]) == (2, 0)
        assert ann.post(f"{URL}/read", {"all": True}).json()["changed"] == 0

    @committing
    def test_unread_seen_and_archive(self, ann: APIClient) -> None:
        """S2-AP-07: seen and unseen, any number of times"""
        one = write("ann")
        body = {"ids": [str(one)]}
        assert ann.post(f"{URL}/seen", body).json()["changed"] == 1
        assert ann.post(f"{URL}/read", body).json()["state"]["unread"] == 0
        assert ann.post(f"{URL}/unread", body).json()["state"]["unread"] == 1
        assert ann.post(f"{URL}/unread", body).json()["changed"] == 0
        assert ann.post(f"{URL}/archive", body).json()["state"]["unread"] == 0
        assert titles(ann.get(URL)) == []

    def test_deleting_twice_is_deleting(self, ann: APIClient) -> None:
        """S2-AP-06"""
        one, bens = write("ann"), write("ben")
        assert ann.delete(f"{URL}/{one}").status_code == 204
        assert ann.delete(f"{URL}/{one}").status_code == 204
        assert ann.delete(f"{URL}/{uuid4()}").status_code == 404
        assert ann.delete(f"{URL}/{bens}").status_code == 404
        assert InboxItem.objects.get(pk=bens).deleted_at is None

    def test_nobody_marks_what_is_not_theirs(self, ann: APIClient) -> None:
        bens = write("ben")
        for mark in ("read", "unread", "seen", "archive"):
            assert ann.post(f"{URL}/{mark}", {"ids": [str(bens)]}).json()["changed"] == 0

    @pytest.mark.parametrize(
        ("path", "body", "at_fault"),
        [
            ("read", {}, ""),
            ("read", {"all": True, "upto": "1-1"}, ""),
            ("read", {"upto": "x"}, "upto"),
            ("read", {"ids": ["x"]}, "ids[0]"),
            ("read", {"idz": []}, "idz"),
            ("seen", {}, ""),
            ("unread", {}, "ids"),
            ("archive", {"ids": []}, "ids"),
            ("archive", {"ids": ["00000000-0000-0000-0000-000000000000"] * 1001}, "ids"),
            ("ack", {"device": "phone"}, ""),
            ("ack", {"upto": "1-1"}, "device"),
            ("ack", {"device": "a\nb", "upto": "1-1"}, "device"),
            ("ack", {"device": "d" * 101, "upto": "1-1"}, "device"),
        ],
    )
    def test_what_is_wrong_with_a_body_is_named(
        self, ann: APIClient, path: str, body: dict[str, Any], at_fault: str
    ) -> None:
        answer = ann.post(f"{URL}/{path}", body)
        assert answer.status_code == 400
        assert fields_of(answer) == [at_fault]


class TestAcks:
    def test_the_first_device_delivers_and_no_other(self, ann: APIClient) -> None:
        """S2-AR-02: delivered is told from seen and read"""
        one = write("ann")
        assert ann.post(f"{URL}/ack", {"device": "phone", "upto": "1-1"}).json() == {"delivered": 1}
        assert ann.post(f"{URL}/ack", {"device": "desk", "ids": [str(one)]}).json() == {"delivered": 0}
        row = InboxItem.objects.get(pk=one)
        assert (row.delivered_device, row.seen_at, row.read_at) == ("phone", None, None)
        assert row.delivered_at is not None

    def test_what_lies_ahead_is_not_believed(self, ann: APIClient) -> None:
        ann.get(URL)
        ann.post(f"{URL}/ack", {"device": "phone", "upto": "1-99"})
        write("ann")
        assert ann.post(f"{URL}/ack", {"device": "phone", "upto": "1-1"}).json() == {"delivered": 1}


class TestTicket:
    def test_it_opens_a_stream_for_as_long_as_the_token_counts(self, ann: APIClient) -> None:
        answer = ann.post(f"{V1}/rt/ticket", {"device": "phone"})
        assert answer.status_code == 201
        ticket = tickets.read(answer.json()["ticket"], now=clock.now())
        assert (ticket.recipient, ticket.device) == ("ann", "phone")
        assert abs(ticket.until - (clock.now() + timedelta(hours=1)).timestamp()) < 60
        assert answer.json()["expires_in"] == 60
        assert answer.json()["url"].endswith("/rt")

    def test_a_body_can_be_left_out(self, ann: APIClient) -> None:
        assert ann.post(f"{V1}/rt/ticket").status_code == 201
        assert fields_of(ann.post(f"{V1}/rt/ticket", {"device": ""})) == ["device"]

    def test_an_operator_gets_one_for_anybody(self, operator: APIClient) -> None:
        answer = operator.post(f"{V1}/rt/ticket?recipient=ben", {})
        ticket = tickets.read(answer.json()["ticket"], now=clock.now())
        assert (ticket.recipient, ticket.until) == ("ben", 0)
        assert fields_of(operator.post(f"{V1}/rt/ticket", {})) == ["recipient"]

    @override_settings(BELFRY_LIVE_URL="https://live.example")
    def test_it_says_where_streams_are(self, ann: APIClient) -> None:
        assert ann.post(f"{V1}/rt/ticket", {}).json()["url"] == "https://live.example/rt"
