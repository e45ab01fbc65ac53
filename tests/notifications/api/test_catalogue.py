"""/event-types and /transports."""

from __future__ import annotations

from typing import Annotated

import pytest
from rest_framework.test import APIClient

from channels_app import registry
from channels_app.base import Config, setting
from notifications import catalogue
from notifications.api.transports import config_schema
from tests.notifications.api.problem import fields_of


def test_all_known_event_types_are_listed(producer: APIClient) -> None:
    results = producer.get("/api/v1/event-types").json()["results"]
    assert [one["name"] for one in results] == list(catalogue.KNOWN)
    assert results[0] == {
        "name": "stream_online",
        "label": "Stream online",
        "priority": 5,
        "priority_label": "normal",
        "title": "{streamer_name} is live",
        "body": "{title}",
    }


@pytest.mark.parametrize("name", ["event-types", "transports"])
def test_a_filter_is_refused_where_there_is_none(producer: APIClient, name: str) -> None:
    answer = producer.get(f"/api/v1/{name}?kind=discord")
    assert answer.status_code == 400
    assert fields_of(answer) == ["kind"]


def test_all_installed_transports_are_listed(producer: APIClient) -> None:
    results = producer.get("/api/v1/transports").json()["results"]
    assert [one["kind"] for one in results] == registry.all_kinds()
    assert all(one["config_schema"]["type"] == "object" for one in results)


class LampConfig(Config):
    room: Annotated[str, setting("Where it stands.", min_length=1)]
    token: Annotated[str, setting("Opens the door.", secret=True)] = ""


def test_a_schema_says_what_is_secret() -> None:
    schema = config_schema(LampConfig)
    assert schema["required"] == ["room"]
    assert schema["properties"]["room"]["minLength"] == 1
    assert "writeOnly" not in schema["properties"]["room"]
    assert schema["properties"]["token"]["writeOnly"] is True
    assert schema["additionalProperties"] is False
