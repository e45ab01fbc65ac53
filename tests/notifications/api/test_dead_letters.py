"""/dead-letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from channels_app.models import Channel
from notifications import clock
from notifications.api import dead_letters as wire
from notifications.models import DeadLetter, Delivery, Streamer
from notifications.retirement import retire
from notifications.withdrawal import withdraw
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import a_dead_letter, a_notification, configured

URL = "/api/v1/dead-letters"


@pytest.fixture
def ops(db: None) -> Channel:
    return configured("webhook", {"url": "https://a.example"}, key="ops")


@pytest.fixture
def mail(db: None) -> Channel:
    return configured("webhook", {"url": "https://b.example"}, key="mail")


def ids(answer: Any) -> list[int]:
    return [one["id"] for one in answer.json()["results"]]


def test_those_that_wait_are_listed_newest_first(operator: APIClient, ops: Channel, mail: Channel) -> None:
    first, second, third = a_dead_letter(ops), a_dead_letter(mail), a_dead_letter(ops)
    operator.post(f"{URL}/{second.pk}/discard", {"reason": "old"})
    assert ids(operator.get(URL)) == [third.pk, first.pk]
    assert ids(operator.get(f"{URL}?decided=true")) == [second.pk]
    assert ids(operator.get(f"{URL}?decided=false")) == [third.pk, first.pk]
    assert operator.get(f"{URL}/{second.pk}").json()["discard_reason"] == "old"


def test_lists_are_filtered(operator: APIClient, ops: Channel, mail: Channel) -> None:
    a_dead_letter(mail)
    wanted = a_dead_letter(ops)
    DeadLetter.objects.filter(pk=wanted.pk).update(
        outcome="gone", fingerprint="g", buried_at=clock.now() + timedelta(days=1)
    )
    later = (clock.now() + timedelta(hours=1)).isoformat()
    for query in ({"channel": "ops"}, {"outcome": "gone"}, {"fingerprint": "g"}, {"since": later}):
        assert ids(operator.get(URL, query)) == [wanted.pk], query
    assert ids(operator.get(URL, {"until": later})) != [wanted.pk]


def test_equal_failures_are_one_line(
    operator: APIClient, ops: Channel, mail: Channel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    letters = [a_dead_letter(ops) for _ in range(3)]
    a_dead_letter(mail)
    operator.get(URL)
    with django_assert_num_queries(2):
        body = operator.get(f"{URL}/groups").json()
    assert body["more"] is False
    assert [(one["channel"], one["count"]) for one in body["results"]] == [("ops", 3), ("mail", 1)]
    assert body["results"][0]["sample"]["id"] == letters[-1].pk
    assert body["results"][0]["first"] < body["results"][0]["last"]
    assert len(operator.get(f"{URL}/groups?channel=mail").json()["results"]) == 1
    assert fields_of(operator.get(f"{URL}/groups?chanel=mail")) == ["chanel"]
    assert fields_of(operator.get(f"{URL}/groups?limit=5")) == ["limit"]  # It has no pages.


def test_a_replay_sends_it_on_its_way_once(operator: APIClient, ops: Channel) -> None:
    letter = a_dead_letter(ops)
    answer = operator.post(f"{URL}/{letter.pk}/replay")
    assert answer.status_code == 200
    assert answer.json()["decided_by"].startswith("API key test")
    assert Delivery.objects.get().state == "pending"
    again = operator.post(f"{URL}/{letter.pk}/replay")
    assert again.status_code == 409
    fields_of(again)


def test_what_was_for_a_deleted_channel_is_not_replayed(operator: APIClient, ops: Channel) -> None:
    letter = a_dead_letter(ops)
    retire(ops, by="test", now=clock.now())
    answer = operator.post(f"{URL}/{letter.pk}/replay")
    assert (answer.status_code, answer.json()["detail"]) == (409, "Its channel was deleted.")
    assert operator.post(f"{URL}/replay", {"channel": "ops"}).json()["replayed"] == 0
    assert Delivery.objects.get().state == "dead"


def test_what_its_producer_withdrew_is_not_replayed(operator: APIClient, ops: Channel) -> None:
    letter, other = a_dead_letter(ops), a_dead_letter(ops)
    withdraw(letter.delivery.notification, by="test", now=clock.now())
    answer = operator.post(f"{URL}/{letter.pk}/replay")
    assert (answer.status_code, answer.json()["detail"]) == (409, "Its notification was withdrawn.")
    answer = operator.post(f"{URL}/replay", {"channel": "ops"})
    assert answer.json() == {"matched": 2, "replayed": 1, "dry_run": False}
    other.refresh_from_db()
    assert not other.is_waiting


def test_what_cannot_be_replayed_does_not_stand_in_the_way_of_what_can(
    operator: APIClient, ops: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_REPLAYED", 1)
    letter, _ = a_dead_letter(ops), a_dead_letter(ops)
    withdraw(letter.delivery.notification, by="test", now=clock.now())
    assert operator.post(f"{URL}/replay", {"channel": "ops"}).json()["replayed"] == 1


def test_what_is_no_longer_dead_is_not_replayed(operator: APIClient, ops: Channel) -> None:
    letter = a_dead_letter(ops)
    Delivery.objects.update(state="delivered")
    answer = operator.post(f"{URL}/{letter.pk}/replay")
    assert (answer.status_code, answer.json()["detail"]) == (409, "Its delivery is no longer dead.")


def test_discarding_needs_a_reason(operator: APIClient, ops: Channel) -> None:
    letter = a_dead_letter(ops)
    for body, at_fault in (({}, "reason"), ({"reason": ""}, "reason"), ({"reason": "x", "by": "me"}, "by")):
        assert fields_of(operator.post(f"{URL}/{letter.pk}/discard", body)) == [at_fault]
    assert operator.post(f"{URL}/{letter.pk}/discard").status_code == 400
    assert operator.post(f"{URL}/{letter.pk}/discard", {"reason": "x"}).status_code == 200
    assert operator.post(f"{URL}/{letter.pk}/discard", {"reason": "x"}).status_code == 409


@pytest.mark.parametrize("by", ["ids", "channel", "fingerprint", "since"])
def test_many_are_replayed_by_what_they_share(operator: APIClient, ops: Channel, mail: Channel, by: str) -> None:
    old = a_dead_letter(mail)
    DeadLetter.objects.filter(pk=old.pk).update(fingerprint="old", buried_at=clock.now() - timedelta(days=1))
    letters = [a_dead_letter(ops) for _ in range(2)]
    since = (clock.now() - timedelta(hours=1)).isoformat()
    named = {"ids": [one.pk for one in letters], "channel": "ops", "fingerprint": "f", "since": since}[by]
    dry = operator.post(f"{URL}/replay", {by: named, "dry_run": True}).json()
    assert dry == {"matched": 2, "replayed": 0, "dry_run": True}
    assert operator.post(f"{URL}/replay", {by: named}).json() == {"matched": 2, "replayed": 2, "dry_run": False}
    assert operator.post(f"{URL}/replay", {by: named}).json() == {"matched": 0, "replayed": 0, "dry_run": False}
    assert ids(operator.get(URL)) == [old.pk]


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [({}, ""), ({"dry_run": True}, ""), ({"ids": []}, "ids"), ({"ids": ["x"]}, "ids[0]"), ({"all": True}, "all")],
)
def test_what_names_nothing_replays_nothing(operator: APIClient, ops: Channel, body: Any, at_fault: str) -> None:
    a_dead_letter(ops)
    assert fields_of(operator.post(f"{URL}/replay", body)) == [at_fault]
    assert Delivery.objects.get().state == "dead"


def test_an_operator_of_a_streamer_decides_on_its_own_alone(
    client_for: ClientFor, ops: Channel, nightowl: Streamer, daybird: Streamer
) -> None:
    mine = a_dead_letter(ops, notification=a_notification(streamer=nightowl))
    theirs = a_dead_letter(ops, notification=a_notification(streamer=daybird))
    bound = client_for("operator", nightowl)
    assert ids(bound.get(URL)) == [mine.pk]
    assert bound.post(f"{URL}/{theirs.pk}/replay").status_code == 404
    assert bound.post(f"{URL}/replay", {"ids": [mine.pk, theirs.pk]}).json()["replayed"] == 1
    assert Delivery.objects.get(pk=theirs.delivery_id).state == "dead"


def test_producers_do_not_decide(producer: APIClient) -> None:
    assert producer.get(URL).status_code == 403
    assert producer.post(f"{URL}/replay", {"channel": "ops"}).status_code == 403


def test_a_list_is_one_query(
    operator: APIClient, ops: Channel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        a_dead_letter(ops)
    operator.get(URL)
    with django_assert_num_queries(1):
        assert len(ids(operator.get(URL))) == 3
