"""/deliveries."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from channels_app.models import Channel
from notifications import clock
from notifications.models import Attempt, Streamer
from notifications.states import State
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import a_delivery, a_notification, configured

URL = "/api/v1/deliveries"


@pytest.fixture
def ops(db: None) -> Channel:
    return configured("webhook", {"url": "https://a.example"}, key="ops")


def ids(answer: Any) -> list[int]:
    return [one["id"] for one in answer.json()["results"]]


def test_a_delivery_is_read_with_its_tries(operator: APIClient, ops: Channel) -> None:
    delivery = a_delivery(ops, State.DELIVERED)
    Attempt.objects.create(delivery=delivery, started_at=clock.now(), duration_ms=12, outcome="ok", code=204)
    body = operator.get(f"{URL}/{delivery.pk}").json()
    assert (body["channel"], body["kind"], body["state"]) == ("ops", "webhook", "delivered")
    assert body["idempotency_id"] == delivery.idempotency_id
    assert [(tried["outcome"], tried["code"]) for tried in body["attempt_log"]] == [("ok", 204)]


def test_lists_are_filtered(operator: APIClient, ops: Channel, nightowl: Streamer) -> None:
    a_delivery(configured("webhook", {"url": "https://a.example"}, key="other"), State.DEAD)
    wanted = a_delivery(ops, State.RETRYING, notification=a_notification(streamer=nightowl))
    for query in (
        {"notification": str(wanted.notification_id)},
        {"channel": "ops"},
        {"state": "retrying"},
        {"streamer": "nightowl"},
    ):
        assert ids(operator.get(URL, query)) == [wanted.pk], query
    assert fields_of(operator.get(URL, {"notification": "7"})) == ["notification"]
    assert fields_of(operator.get(URL, {"state": "lost"})) == ["state"]


def test_others_deliveries_are_not_found(client_for: ClientFor, ops: Channel, nightowl: Streamer) -> None:
    mine = a_delivery(ops, notification=a_notification(streamer=nightowl))
    other = a_delivery(ops)
    for role in ("producer", "operator"):
        bound = client_for(role, nightowl)
        assert ids(bound.get(URL)) == [mine.pk]
        assert bound.get(f"{URL}/{other.pk}").status_code == 404
    assert ids(client_for("producer").get(URL)) == []


def test_an_id_beyond_all_is_not_found(operator: APIClient) -> None:
    assert operator.get(f"{URL}/{10**30}").status_code == 404


def test_a_list_is_one_query(
    operator: APIClient, ops: Channel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        a_delivery(ops)
    operator.get(URL)
    with django_assert_num_queries(1):
        assert len(ids(operator.get(URL))) == 3
