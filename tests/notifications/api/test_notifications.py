"""POST and GET /notifications."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from notifications import clock
from notifications.models import Attempt, Notification, Streamer
from notifications.states import State
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import a_delivery, a_notification, configured

URL = "/api/v1/notifications"
BULK = "/api/v1/notifications/bulk"


def post(client: APIClient, body: Any, **headers: str) -> Any:
    return client.post(URL, body, format="json", headers=headers)


def test_a_notification_is_accepted(producer: APIClient, nightowl: Streamer) -> None:
    answer = post(producer, {"event_type": "StreamOnline", "streamer": "nightowl", "data": {"title": "Hi"}})
    assert answer.status_code == 202
    body = answer.json()
    assert body["event_type"] == "stream_online"
    assert body["state"] == "waiting"
    stored = Notification.objects.get(pk=body["id"])
    assert (stored.streamer, stored.priority, stored.data) == (nightowl, 5, {"title": "Hi"})
    read = producer.get(body["url"])
    assert read.status_code == 200
    assert read.json()["state"] == "waiting"


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"priority": "urgent"}, "priority"),
        ({"priority": 11}, "priority"),
        ({"title": 7}, "title"),
        ({"tilte": "x"}, "tilte"),
        ({"event_type": ""}, "event_type"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"scheduled_at": "2031-01-01T00:00:00"}, "scheduled_at"),
        ({"streamer": "nobody"}, "streamer"),
        ({"recipients": ["a", ""]}, "recipients[1]"),
        ({"data": {"x": "\0"}}, "data"),
    ],
)
def test_each_field_at_fault_is_named(producer: APIClient, fields: dict[str, Any], at_fault: str) -> None:
    answer = post(producer, {"event_type": "a", **fields})
    assert answer.status_code == 400
    assert fields_of(answer) == [at_fault]
    assert not Notification.objects.exists()


def test_a_missing_field_is_named(producer: APIClient) -> None:
    assert fields_of(post(producer, {"title": "x"})) == ["event_type"]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '"text"', "[" * 100_000, "NaN", '{"event_type": "\\ud800x"}', b"\xff".decode("latin-1")],
)
def test_what_is_no_notification_is_refused(producer: APIClient, body: str) -> None:
    answer = producer.post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert len(fields_of(answer)) == 1


def test_another_content_type_is_refused(producer: APIClient) -> None:
    answer = producer.post(URL, "event_type=a", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    fields_of(answer)


def test_a_body_without_end_is_refused(producer: APIClient) -> None:
    answer = post(producer, {"event_type": "a", "body": "x" * 2_000_000})
    assert answer.status_code == 413
    fields_of(answer)


def test_the_same_key_gets_the_same_answer(producer: APIClient) -> None:
    body = {"event_type": "a", "title": "x"}
    first = post(producer, body, **{"Idempotency-Key": "k1"})
    second = post(producer, body, **{"Idempotency-Key": "k1"})
    in_body = post(producer, {**body, "idempotency_key": "k1"})
    assert [answer.status_code for answer in (first, second, in_body)] == [202, 202, 202]
    assert first.json() == second.json() == in_body.json()
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == in_body["Idempotent-Replayed"] == "true"
    assert Notification.objects.count() == 1


def test_another_notification_under_the_same_key_is_a_conflict(producer: APIClient) -> None:
    post(producer, {"event_type": "a"}, **{"Idempotency-Key": "k1"})
    answer = post(producer, {"event_type": "b"}, **{"Idempotency-Key": "k1"})
    assert answer.status_code == 409
    assert fields_of(answer) == ["idempotency_key"]


def test_two_different_keys_are_a_mistake(producer: APIClient) -> None:
    answer = post(producer, {"event_type": "a", "idempotency_key": "k2"}, **{"Idempotency-Key": "k1"})
    assert fields_of(answer) == ["idempotency_key"]


@pytest.mark.parametrize("key", ["", "x" * 201, "schlüssel", "tab\tin"])
def test_a_key_that_cannot_be_kept_is_refused(producer: APIClient, key: str) -> None:
    assert fields_of(post(producer, {"event_type": "a"}, **{"Idempotency-Key": key})) == ["Idempotency-Key"]


def test_two_producers_may_use_the_same_key(client_for: ClientFor) -> None:
    answers = [
        post(client_for("producer"), {"event_type": kind}, **{"Idempotency-Key": "k1"}).json() for kind in ("a", "b")
    ]
    assert answers[0]["id"] != answers[1]["id"]


def test_bulk_is_accepted_whole(producer: APIClient) -> None:
    answer = producer.post(BULK, {"notifications": [{"event_type": f"type_{n}"} for n in range(3)]})
    assert answer.status_code == 202
    assert [one["event_type"] for one in answer.json()["notifications"]] == ["type_0", "type_1", "type_2"]
    assert Notification.objects.count() == 3


def test_bulk_is_refused_whole_and_names_each_place(producer: APIClient) -> None:
    bad = [{"event_type": "a"}, {"event_type": "b", "priority": "x"}, {"event_type": "c", "priority": 99}]
    answer = producer.post(BULK, {"notifications": bad})
    assert fields_of(answer) == ["notifications[1].priority", "notifications[2].priority"]
    assert not Notification.objects.exists()


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ({"notifications": []}, "notifications"),
        ({"notifications": [{"event_type": "a"}] * 1001}, "notifications"),
        ({"notifications": [{"event_type": "a"}, {"event_type": 5}]}, "notifications[1].event_type"),
        ({"notifications": [{"event_type": "a"}, {"title": "b"}]}, "notifications[1].event_type"),
        ({"notification": []}, "notification"),
    ],
)
def test_bulk_of_the_wrong_shape_is_refused(producer: APIClient, body: Any, at_fault: str) -> None:
    assert fields_of(producer.post(BULK, body)) == [at_fault]


def test_a_repeated_key_in_bulk_is_named_by_its_place(producer: APIClient) -> None:
    post(producer, {"event_type": "a", "idempotency_key": "k"})
    clash = [{"event_type": "x"}, {"event_type": "b", "idempotency_key": "k"}]
    answer = producer.post(BULK, {"notifications": clash})
    assert answer.status_code == 409
    assert fields_of(answer) == ["notifications[1].idempotency_key"]
    assert Notification.objects.count() == 1


def test_bulk_takes_no_key_in_the_header(producer: APIClient) -> None:
    answer = producer.post(BULK, {"notifications": [{"event_type": "a"}]}, headers={"Idempotency-Key": "k"})
    assert fields_of(answer) == ["Idempotency-Key"]


def test_accepting_asks_the_database_for_nothing_but_itself(
    producer: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    post(producer, {"event_type": "a"})
    with django_assert_num_queries(2) as queries:  # The row itself goes past Django's log.
        assert post(producer, {"event_type": "a"}).status_code == 202
    assert [query["sql"].split()[0] for query in queries.captured_queries] == ["SAVEPOINT", "RELEASE"]


def test_a_producer_sees_its_own_alone(client_for: ClientFor) -> None:
    mine, other = client_for("producer"), client_for("producer")
    url = post(mine, {"event_type": "a"}).json()["url"]
    assert other.get(url).status_code == 404
    assert other.get(URL).json()["results"] == []
    assert other.post(f"{url}/withdraw").status_code == 404
    assert len(mine.get(URL).json()["results"]) == 1
    assert len(client_for("operator").get(URL).json()["results"]) == 1


def test_a_key_of_a_streamer_sees_what_is_about_it(
    client_for: ClientFor, nightowl: Streamer, daybird: Streamer
) -> None:
    everyone = client_for("producer")
    post(everyone, {"event_type": "a", "streamer": "nightowl"})
    post(everyone, {"event_type": "b", "streamer": "daybird"})
    for role in ("producer", "operator"):
        seen = client_for(role, nightowl).get(URL).json()["results"]
        assert [one["streamer"] for one in seen] == ["nightowl"]


def test_a_key_of_a_streamer_tells_of_no_other(client_for: ClientFor, nightowl: Streamer, daybird: Streamer) -> None:
    bound = client_for("producer", nightowl)
    there = post(bound, {"event_type": "a", "streamer": "daybird"})
    nowhere = post(bound, {"event_type": "a", "streamer": "nobody"})
    assert fields_of(there) == fields_of(nowhere) == ["streamer"]
    assert there.json()["errors"] == nowhere.json()["errors"]
    post(bound, {"event_type": "a"})
    assert Notification.objects.get().streamer == nightowl


def test_a_notification_is_read_with_all_that_came_of_it(operator: APIClient) -> None:
    channel = configured("webhook", {"url": "https://hooks.example.org/1"}, key="ops")
    delivery = a_delivery(channel, State.DEAD, reason_code="exhausted", reason="Tried 3 times.", attempts=3)
    now = clock.now()
    for code in (500, 502):
        Attempt.objects.create(
            delivery=delivery, started_at=now, duration_ms=7, outcome="transient", code=code, detail="down"
        )
    body = operator.get(f"{URL}/{delivery.notification_id}").json()
    assert body["state"] == "dead"
    assert body["priority_label"] == "normal"
    (shown,) = body["deliveries"]
    assert (shown["channel"], shown["kind"], shown["state"]) == ("ops", "webhook", "dead")
    assert (shown["reason_code"], shown["attempts"]) == ("exhausted", 3)
    assert [tried["code"] for tried in shown["attempt_log"]] == [500, 502]
    assert set(shown["attempt_log"][0]) == {"started_at", "duration_ms", "outcome", "code", "detail"}


def test_reading_takes_the_same_queries_however_much_there_is(
    operator: APIClient, django_assert_num_queries: DjangoAssertNumQueries, nightowl: Streamer
) -> None:
    notification = a_notification(streamer=nightowl)
    for n in range(4):
        channel = configured("webhook", {"url": "https://hooks.example.org/1"}, key=f"c{n}")
        delivery = a_delivery(channel, State.DELIVERED, notification=notification)
        Attempt.objects.create(delivery=delivery, started_at=clock.now(), duration_ms=7, outcome="ok", code=204)
    for _ in range(5):
        a_notification(streamer=nightowl)
    operator.get(URL)
    with django_assert_num_queries(3):
        assert len(operator.get(f"{URL}/{notification.pk}").json()["deliveries"]) == 4
    with django_assert_num_queries(1):
        assert len(operator.get(URL).json()["results"]) == 6


@pytest.mark.parametrize(
    ("states", "summary"),
    [
        ([State.DELIVERED, State.RETRYING], "waiting"),
        ([State.DELIVERED, State.DEAD], "dead"),
        ([State.DELIVERED, State.SUPPRESSED], "delivered"),
        ([State.CANCELLED, State.SUPPRESSED], "cancelled"),
        ([State.SUPPRESSED], "suppressed"),
        ([], "suppressed"),
    ],
)
def test_the_whole_stands_where_its_deliveries_do(operator: APIClient, states: list[State], summary: str) -> None:
    notification = a_notification()
    for n, state in enumerate(states):
        a_delivery(configured("webhook", {"url": "https://a.example"}, key=f"c{n}"), state, notification=notification)
    assert operator.get(f"{URL}/{notification.pk}").json()["state"] == summary
    assert len(operator.get(f"{URL}?state={summary}").json()["results"]) == 1


def test_lists_are_filtered(operator: APIClient, nightowl: Streamer) -> None:
    now = clock.now()
    a_notification(event_type="one", priority=2, title="Alpha", accepted_at=now - timedelta(days=2))
    a_notification(event_type="two", priority=8, title="Beta", streamer=nightowl)
    for query in (
        {"event_type": "two"},
        {"streamer": "nightowl"},
        {"priority_min": "high"},
        {"priority_min": "5"},
        {"accepted_after": (now - timedelta(days=1)).isoformat()},
        {"search": "bet"},
    ):
        assert [one["title"] for one in operator.get(URL, query).json()["results"]] == ["Beta"], query
    before = operator.get(URL, {"accepted_before": (now - timedelta(days=1)).isoformat()})
    assert [one["title"] for one in before.json()["results"]] == ["Alpha"]


@pytest.mark.parametrize(
    ("query", "at_fault"),
    [
        ({"event_typ": "x"}, "event_typ"),
        ({"priority_min": "x"}, "priority_min"),
        ({"state": "lost"}, "state"),
        ({"accepted_after": "yesterday"}, "accepted_after"),
        ({"search": "\0"}, "search"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": "0000000009999"}, "limit"),
        ({"limit": "1" * 5000}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "cD1ub25zZW5zZQ=="}, "cursor"),
        ({"cursor": "cD0lMDA="}, "cursor"),
        ({"cursor": "AAAA"}, "cursor"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_named(operator: APIClient, query: dict[str, str], at_fault: str) -> None:
    answer = operator.get(URL, query)
    assert answer.status_code == 400
    assert fields_of(answer) == [at_fault]


def test_pages_hold_while_notifications_arrive(operator: APIClient) -> None:
    titles = [f"n{n}" for n in range(7)]
    for title in titles:
        a_notification(title=title)
    seen, url = [], f"{URL}?limit=3"
    while url:
        page = operator.get(url).json()
        seen += [one["title"] for one in page["results"]]
        a_notification(title="late")
        url = page["next"]
    assert seen == titles[::-1]
    assert [one["title"] for one in operator.get(page["previous"]).json()["results"]] == ["n3", "n2", "n1"]


def test_withdrawing_ends_what_is_open(operator: APIClient) -> None:
    delivery = a_delivery(configured("webhook", {"url": "https://a.example"}), State.SCHEDULED)
    url = f"{URL}/{delivery.notification_id}/withdraw"
    body = operator.post(url).json()
    assert body["state"] == "cancelled"
    assert body["deliveries"][0]["reason_code"] == "withdrawn"
    assert "API key test" in body["deliveries"][0]["reason"]
    again = operator.post(url)
    assert again.status_code == 200
    assert again.json()["withdrawn_at"] == body["withdrawn_at"]


def test_what_is_not_there_is_a_problem(operator: APIClient) -> None:
    for url in (f"{URL}/0198c2a4-6f0e-7c31-9d0b-5a7f1f0f2b11", f"{URL}/7", f"{URL}/", "/api/v1/nothing"):
        answer = operator.get(url)
        assert answer.status_code == 404
        assert fields_of(answer) == []


def test_a_method_that_is_not_there_is_a_problem(operator: APIClient) -> None:
    answer = operator.delete(URL)
    assert answer.status_code == 405
    fields_of(answer)
    assert "GET" in answer["Allow"]


def test_the_streamer_is_the_only_thing_that_is_looked_up(producer: APIClient, nightowl: Streamer) -> None:
    post(producer, {"event_type": "a"})
    with CaptureQueriesContext(connection) as queries:
        post(producer, {"event_type": "a", "streamer": "nightowl"})
    assert sum("SELECT" in query["sql"] for query in queries) == 1
