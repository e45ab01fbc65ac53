"""/streamers."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.models import Notification, Streamer
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import a_notification, configured

URL = "/api/v1/streamers"
SENT = {"key": "nightowl", "name": "NightOwl", "platform": "twitch", "tags": ["vip"]}


def test_a_streamer_is_created_read_changed_and_deleted(operator: APIClient) -> None:
    made = operator.post(URL, SENT)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in SENT} == SENT
    one = f"{URL}/nightowl"
    assert operator.get(one).json() == made.json()
    assert operator.patch(one, {"tags": []}).json()["tags"] == []
    assert operator.put(one, {"name": "Owl"}).json()["platform"] == ""
    assert operator.delete(one).status_code == 204
    assert operator.get(one).status_code == 404


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"key": "with/slash"}, "key"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"tags": ["ok", ""]}, "tags[1]"),
        ({"tags": "vip"}, "tags"),
        ({"nmae": "x"}, "nmae"),
    ],
)
def test_each_field_at_fault_is_named(operator: APIClient, fields: dict[str, Any], at_fault: str) -> None:
    answer = operator.post(URL, {**SENT, **fields})
    assert answer.status_code == 400
    assert fields_of(answer) == [at_fault]


def test_a_key_is_taken_once_and_for_all(operator: APIClient, nightowl: Streamer) -> None:
    assert fields_of(operator.post(URL, SENT)) == ["key"]
    assert fields_of(operator.patch(f"{URL}/nightowl", {"key": "other"})) == ["key"]


def test_lists_are_filtered_and_paged_by_key(operator: APIClient) -> None:
    for key in "cab":
        Streamer.objects.create(key=key, name=key, tags=["x"] if key == "a" else [], platform="p" if key == "b" else "")
    first = operator.get(f"{URL}?limit=2").json()
    assert [one["key"] for one in first["results"]] == ["a", "b"]
    assert [one["key"] for one in operator.get(first["next"]).json()["results"]] == ["c"]
    assert [one["key"] for one in operator.get(f"{URL}?tag=x").json()["results"]] == ["a"]
    assert [one["key"] for one in operator.get(f"{URL}?platform=p").json()["results"]] == ["b"]


def test_who_owns_channels_is_not_deleted(operator: APIClient, nightowl: Streamer) -> None:
    configured("webhook", {"url": "https://a.example"}, key="owls", owner_key="nightowl")
    answer = operator.delete(f"{URL}/nightowl")
    assert answer.status_code == 409
    assert "owls" in answer.json()["detail"]
    operator.delete("/api/v1/channels/owls")
    assert operator.delete(f"{URL}/nightowl").status_code == 204


def test_deleting_keeps_what_was_told(operator: APIClient, nightowl: Streamer) -> None:
    a_notification(streamer=nightowl)
    assert operator.delete(f"{URL}/nightowl").status_code == 204
    assert Notification.objects.get().streamer is None


def test_an_operator_of_a_streamer_sees_and_changes_it_alone(
    client_for: ClientFor, nightowl: Streamer, daybird: Streamer
) -> None:
    bound = client_for("operator", nightowl)
    assert [one["key"] for one in bound.get(URL).json()["results"]] == ["nightowl"]
    assert bound.patch(f"{URL}/nightowl", {"name": "Owl"}).status_code == 200
    assert bound.patch(f"{URL}/daybird", {"name": "Owl"}).status_code == 404
    assert bound.post(URL, {"key": "new", "name": "New"}).status_code == 403
    assert bound.delete(f"{URL}/nightowl").status_code == 403


def test_tags_are_bounded(operator: APIClient) -> None:
    answer = operator.post(URL, {"key": "many", "name": "Many", "tags": [f"t{number}" for number in range(101)]})
    assert answer.status_code == 400
    assert fields_of(answer) == ["tags"]
