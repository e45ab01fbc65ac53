"""/policies."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from notifications.models import Policy, Streamer
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import configured

URL = "/api/v1/policies"


def channel(key: str, owner: str = "") -> None:
    configured("webhook", {"url": "https://a.example"}, key=key, owner_key=owner)


def test_a_policy_is_created_read_changed_and_deleted(operator: APIClient, nightowl: Streamer) -> None:
    channel("a")
    channel("b")
    sent = {"scope": "streamer", "streamer": "nightowl", "min_priority": "high", "channels": ["b", "a"]}
    made = operator.post(URL, sent)
    assert made.status_code == 201, made.json()
    body = made.json()
    assert (body["min_priority"], body["channels"], body["enabled"]) == (8, ["a", "b"], None)
    one = f"{URL}/{body['id']}"
    assert operator.get(one).json() == body
    assert operator.patch(one, {"min_priority": 3}).json()["channels"] == ["a", "b"]
    assert operator.patch(one, {"channels": ["a"], "event_types": ["stream_*"]}).json()["channels"] == ["a"]
    assert operator.put(one, {}).json()["min_priority"] is None
    assert operator.delete(one).status_code == 204
    assert operator.get(one).status_code == 404


def test_null_inherits_and_a_list_is_exact(operator: APIClient) -> None:
    channel("a")
    made = operator.post(URL, {"scope": "global"}).json()
    assert made["channels"] is None
    assert Policy.objects.get().names_channels is False
    assert operator.patch(f"{URL}/{made['id']}", {"channels": []}).json()["channels"] == []
    assert Policy.objects.get().names_channels is True
    assert operator.patch(f"{URL}/{made['id']}", {"channels": None}).json()["channels"] is None
    assert Policy.objects.get().names_channels is False


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({}, ["scope"]),
        ({"scope": "default"}, ["scope"]),
        ({"scope": "global", "platform": "twitch"}, ["platform"]),
        ({"scope": "global", "streamer": "nightowl"}, ["streamer"]),
        ({"scope": "platform"}, ["platform"]),
        ({"scope": "streamer"}, ["streamer"]),
        ({"scope": "streamer", "streamer": "nobody"}, ["streamer"]),
        ({"scope": "platform", "platform": "twitch", "streamer": "nightowl"}, ["streamer"]),
        ({"scope": "global", "min_priority": "urgent"}, ["min_priority"]),
        ({"scope": "global", "min_priority": 11}, ["min_priority"]),
        ({"scope": "global", "channels": ["nothing"]}, ["channels[0]"]),
        ({"scope": "global", "channels": "all"}, ["channels"]),
        ({"scope": "global", "event_types": "all"}, ["event_types"]),
        ({"scope": "global", "event_types": ["a", "b\0"]}, ["event_types[1]"]),
        ({"scope": "global", "quiet": True}, ["quiet"]),
    ],
)
def test_each_field_at_fault_is_named(
    operator: APIClient, nightowl: Streamer, fields: dict[str, Any], at_fault: list[str]
) -> None:
    answer = operator.post(URL, fields)
    assert answer.status_code == 400
    assert fields_of(answer) == at_fault
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"scope": "global"}, "scope"),
        ({"scope": "platform", "platform": "twitch"}, "platform"),
        ({"scope": "streamer", "streamer": "nightowl"}, "streamer"),
    ],
)
def test_there_is_one_policy_a_scope(
    operator: APIClient, nightowl: Streamer, fields: dict[str, Any], at_fault: str
) -> None:
    assert operator.post(URL, fields).status_code == 201
    assert fields_of(operator.post(URL, fields)) == [at_fault]


def test_a_scope_stays_as_it_is(operator: APIClient) -> None:
    one = operator.post(URL, {"scope": "global"}).json()
    assert fields_of(operator.patch(f"{URL}/{one['id']}", {"scope": "platform"})) == ["scope"]
    assert fields_of(operator.patch(f"{URL}/{one['id']}", {"platform": "twitch"})) == ["platform"]
    assert operator.put(f"{URL}/{one['id']}", one).status_code == 200


def test_an_operator_of_a_streamer_sets_its_policy_alone(
    client_for: ClientFor, nightowl: Streamer, daybird: Streamer
) -> None:
    everyone, bound = client_for("operator"), client_for("operator", nightowl)
    channel("shared")
    channel("mine", "nightowl")
    theirs = everyone.post(URL, {"scope": "streamer", "streamer": "daybird"}).json()
    assert bound.get(f"{URL}/{theirs['id']}").status_code == 404
    assert fields_of(bound.post(URL, {"scope": "global"})) == ["scope"]
    assert fields_of(bound.post(URL, {"scope": "streamer", "streamer": "daybird"})) == ["scope"]
    own = {"scope": "streamer", "streamer": "nightowl"}
    assert fields_of(bound.post(URL, {**own, "channels": ["mine", "shared"]})) == ["channels[1]"]
    made = bound.post(URL, {**own, "channels": ["mine"]}).json()
    assert [one["id"] for one in bound.get(URL).json()["results"]] == [made["id"]]
    everyone.patch(f"{URL}/{made['id']}", {"channels": ["shared"]})
    assert bound.patch(f"{URL}/{made['id']}", {"channels": ["mine", "shared"]}).status_code == 200


def test_a_list_takes_the_same_queries_however_long(
    operator: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    channel("a")
    for n in range(3):
        operator.post(URL, {"scope": "platform", "platform": f"p{n}", "channels": ["a"]})
    with django_assert_num_queries(2):
        assert len(operator.get(URL).json()["results"]) == 3


def test_event_types_are_bounded(operator: APIClient) -> None:
    answer = operator.post(URL, {"scope": "global", "event_types": [f"t{number}" for number in range(1001)]})
    assert answer.status_code == 400
    assert fields_of(answer) == ["event_types"]
