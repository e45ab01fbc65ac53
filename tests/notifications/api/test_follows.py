"""/follows."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from notifications.models import Follow, Streamer
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.api.reading import V1, reader

URL = f"{V1}/follows"
SENT = {"recipient": "ann", "streamer": "nightowl"}


def test_a_follow_is_made_read_changed_and_ended(operator: APIClient, nightowl: Streamer) -> None:
    made = operator.post(URL, {**SENT, "min_priority": "high"})
    assert made.status_code == 201
    assert {**SENT, "min_priority": 8}.items() <= made.json().items()
    one = f"{URL}/{made.json()['id']}"
    assert operator.patch(one, {"min_priority": 2}).json()["min_priority"] == 2
    assert operator.get(one).json()["min_priority"] == 2
    assert operator.delete(one).status_code == 204
    assert operator.get(one).status_code == 404


def test_without_a_priority_everything_is_told(operator: APIClient, nightowl: Streamer) -> None:
    assert operator.post(URL, SENT).json()["min_priority"] == 0


def test_a_recipient_has_one_spelling(operator: APIClient, nightowl: Streamer) -> None:
    assert operator.post(URL, {**SENT, "recipient": " 0xAB"}).json()["recipient"] == "0xab"
    assert fields_of(operator.post(URL, {**SENT, "recipient": "0Xab"})) == ["streamer"]
    assert len(operator.get(f"{URL}?recipient=0XAB").json()["results"]) == 1
    assert operator.get(f"{URL}?recipient=*").json()["results"] == []


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"recipient": "*"}, "recipient"),
        ({"recipient": ""}, "recipient"),
        ({"recipient": "x" * 201}, "recipient"),
        ({"streamer": "nobody"}, "streamer"),
        ({"min_priority": 11}, "min_priority"),
        ({"min_priority": "loud"}, "min_priority"),
        ({"until": "forever"}, "until"),
    ],
)
def test_each_field_at_fault_is_named(
    operator: APIClient, nightowl: Streamer, fields: dict[str, Any], at_fault: str
) -> None:
    answer = operator.post(URL, {**SENT, **fields})
    assert answer.status_code == 400
    assert fields_of(answer) == [at_fault]


def test_who_follows_whom_never_changes(operator: APIClient, nightowl: Streamer, daybird: Streamer) -> None:
    one = f"{URL}/{operator.post(URL, SENT).json()['id']}"
    refused = operator.patch(one, {"streamer": "daybird"})
    assert fields_of(refused) == ["streamer"]
    assert refused.json()["errors"][0]["message"] == "It cannot be changed; it is 'nightowl'."
    assert fields_of(operator.patch(one, {"recipient": "ben"})) == ["recipient"]


def test_recipients_see_and_change_their_own_and_make_none(
    operator: APIClient, nightowl: Streamer, daybird: Streamer
) -> None:
    hers = operator.post(URL, SENT).json()["id"]
    his = operator.post(URL, {**SENT, "recipient": "ben"}).json()["id"]
    ann = reader("ann")
    assert [one["id"] for one in ann.get(URL).json()["results"]] == [hers]
    assert ann.patch(f"{URL}/{hers}", {"min_priority": "critical"}).json()["min_priority"] == 10
    assert ann.post(URL, {"recipient": "ann", "streamer": "daybird"}).status_code == 403
    assert ann.patch(f"{URL}/{his}", {"min_priority": 0}).status_code == 404
    assert ann.delete(f"{URL}/{his}").status_code == 404
    assert ann.delete(f"{URL}/{hers}").status_code == 204
    assert list(Follow.objects.values_list("recipient", flat=True)) == ["ben"]


def test_a_key_of_one_streamer_speaks_for_who_follows_it(
    client_for: ClientFor, nightowl: Streamer, daybird: Streamer
) -> None:
    Follow.objects.create(recipient="ann", streamer=daybird)
    bound = client_for("operator", nightowl)
    assert bound.post(URL, SENT).status_code == 201
    assert fields_of(bound.post(URL, {**SENT, "streamer": "daybird"})) == ["streamer"]
    assert [one["streamer"] for one in bound.get(URL).json()["results"]] == ["nightowl"]


def test_producers_do_not_see_who_follows(producer: APIClient) -> None:
    assert producer.get(URL).status_code == 403
