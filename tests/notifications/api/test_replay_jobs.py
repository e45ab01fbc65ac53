"""/replay-jobs, and deciding on many dead letters at once."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from channels_app.models import Channel
from notifications import clock
from notifications.models import DeadLetter, ReplayJob, Streamer
from notifications.retirement import retire
from notifications.withdrawal import withdraw
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import HOUR, configured, many_dead_letters, states, sweep

URL = "/api/v1/replay-jobs"
DISCARD = "/api/v1/dead-letters/discard"


@pytest.fixture
def ops(db: None) -> Channel:
    ops = configured("webhook", {"url": "https://a.example"}, key="ops")
    many_dead_letters(ops, 12)
    return ops


def test_a_job_is_started_followed_and_done(operator: APIClient, ops: Channel) -> None:
    answer = operator.post(URL, {"channel": "ops", "pace_per_s": None})
    assert answer.status_code == 201
    job = answer.json()
    assert (job["state"], job["total"], job["replayed"], job["selection"]) == ("running", 12, 0, {"channel": "ops"})
    assert job["by"].startswith("API key test")
    sweep()
    job = operator.get(f"{URL}/{job['id']}").json()
    assert (job["state"], job["replayed"], job["skipped"]) == ("done", 12, 0)
    assert [one["id"] for one in operator.get(URL).json()["results"]] == [job["id"]]
    assert operator.get(f"{URL}?state=running").json()["results"] == []


def test_the_pace_is_fifty_unless_one_says_otherwise(operator: APIClient, ops: Channel) -> None:
    assert operator.post(URL, {"channel": "ops"}).json()["pace_per_s"] == 50
    assert operator.post(URL, {"channel": "ops", "pace_per_s": 0.5}).json()["pace_per_s"] == 0.5


def test_a_dry_run_tells_what_then_happens(operator: APIClient, ops: Channel) -> None:
    gone = configured("webhook", {"url": "https://b.example"}, key="gone")
    many_dead_letters(gone, 2)
    retire(gone, by="test", now=clock.now())
    regretted = DeadLetter.objects.select_related("delivery__notification").filter(channel=ops).earliest("pk")
    withdraw(regretted.delivery.notification, by="test", now=clock.now())
    answer = operator.post(URL, {"fingerprint": "f", "dry_run": True})
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["dry_run"], seen["matched"], seen["to_replay"], seen["channel_deleted"]) == (True, 14, 11, 2)
    assert seen["withdrawn"] == 1
    assert seen["channels"] == [{"channel": "ops", "count": 11}]
    assert [(group["channel"], group["count"]) for group in seen["groups"]] == [("ops", 12), ("gone", 2)]
    assert seen["sample"][0]["channel"] == "gone"
    assert (ReplayJob.objects.count(), DeadLetter.objects.decided().count()) == (0, 0)
    operator.post(URL, {"fingerprint": "f", "pace_per_s": None})
    sweep()
    assert states() == {"pending": 11, "dead": 3}


def test_a_job_is_cancelled_once(operator: APIClient, ops: Channel) -> None:
    job = operator.post(URL, {"channel": "ops"}).json()
    answer = operator.post(f"{URL}/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert answer.json()["cancelled_by"].startswith("API key test")
    again = operator.post(f"{URL}/{job['id']}/cancel")
    assert again.status_code == 409
    fields_of(again)
    sweep()
    assert states() == {"dead": 12}


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ({}, ""),
        ({"pace_per_s": 5}, ""),
        ({"channel": "ops", "pace_per_s": 0}, "pace_per_s"),
        ({"channel": "ops", "pace_per_s": 10_001}, "pace_per_s"),
        ({"channel": "ops", "pace_per_s": "fast"}, "pace_per_s"),
        ({"channel": ""}, "channel"),
        ({"channel": "\0"}, "channel"),
        ({"outcome": "sad"}, "outcome"),
        ({"since": "2030-01-01"}, "since"),
        ({"since": "9999-12-31T23:59:59-23:00"}, "since"),
        ({"ids": [0]}, "ids[]"),
        ({"channel_id": 1}, "channel_id"),
        ({"all": True}, "all"),
    ],
)
def test_what_cannot_be_meant_is_named(operator: APIClient, ops: Channel, body: Any, at_fault: str) -> None:
    assert [field.replace("[0]", "[]") for field in fields_of(operator.post(URL, body))] == [at_fault]
    assert not ReplayJob.objects.exists()


def test_a_caller_of_a_streamer_replays_and_sees_its_own_alone(
    client_for: ClientFor, operator: APIClient, ops: Channel, nightowl: Streamer, daybird: Streamer
) -> None:
    many_dead_letters(ops, 3, about={"streamer": nightowl})
    many_dead_letters(ops, 2, about={"streamer": daybird})
    bound = client_for("operator", nightowl)
    assert bound.post(URL, {"channel": "ops", "dry_run": True}).json()["matched"] == 3
    job = bound.post(URL, {"channel": "ops", "pace_per_s": None}).json()
    assert job["selection"] == {"channel": "ops", "streamer": "nightowl"}
    sweep()
    assert bound.get(f"{URL}/{job['id']}").json()["replayed"] == 3
    assert states() == {"pending": 3, "dead": 14}
    theirs = operator.post(URL, {"channel": "ops"}).json()
    assert bound.get(f"{URL}/{theirs['id']}").status_code == 404
    assert bound.post(f"{URL}/{theirs['id']}/cancel").status_code == 404
    assert [one["id"] for one in bound.get(URL).json()["results"]] == [job["id"]]
    assert fields_of(bound.post(URL, {"streamer": "daybird"})) == ["streamer"]


def test_producers_do_not_replay(producer: APIClient, ops: Channel) -> None:
    assert producer.get(URL).status_code == 403
    assert producer.post(URL, {"channel": "ops"}).status_code == 403
    assert producer.post(DISCARD, {"channel": "ops", "reason": "x"}).status_code == 403


def test_many_are_discarded_with_a_reason(operator: APIClient, ops: Channel) -> None:
    many_dead_letters(ops, 3, fingerprint="g")
    dry = operator.post(DISCARD, {"fingerprint": "g", "reason": "Over.", "dry_run": True}).json()
    assert dry == {"matched": 3, "discarded": 0, "dry_run": True}
    done = operator.post(DISCARD, {"fingerprint": "g", "reason": "Over."}).json()
    assert done == {"matched": 3, "discarded": 3, "dry_run": False}
    assert operator.post(DISCARD, {"fingerprint": "g", "reason": "Over."}).json()["matched"] == 0
    assert set(DeadLetter.objects.decided().values_list("discard_reason", "fingerprint")) == {("Over.", "g")}
    for body, at_fault in (
        ({"reason": "x"}, ""),
        ({"channel": "ops"}, "reason"),
        ({"channel": "ops", "reason": ""}, "reason"),
    ):
        assert fields_of(operator.post(DISCARD, body)) == [at_fault]


def test_a_caller_of_a_streamer_discards_its_own_alone(client_for: ClientFor, ops: Channel, nightowl: Streamer) -> None:
    many_dead_letters(ops, 3, about={"streamer": nightowl})
    bound = client_for("operator", nightowl)
    assert bound.post(DISCARD, {"channel": "ops", "reason": "x"}).json()["discarded"] == 3
    assert DeadLetter.objects.waiting().count() == 12


@pytest.mark.parametrize("named", ["outcome", "event_type", "streamer", "until"])
def test_small_sets_are_replayed_at_once_by_the_same_filters(
    operator: APIClient, ops: Channel, nightowl: Streamer, named: str
) -> None:
    about = {"event_type": "stream_online", "streamer": nightowl}
    many_dead_letters(ops, 2, outcome="gone", buried_at=clock.now() - HOUR, about=about)
    wanted = {
        "outcome": "gone",
        "event_type": "stream_online",
        "streamer": "nightowl",
        "until": (clock.now() - HOUR / 2).isoformat(),
    }
    body = {named: wanted[named]}
    assert operator.post("/api/v1/dead-letters/replay", body).json() == {
        "matched": 2,
        "replayed": 2,
        "dry_run": False,
    }
    groups = operator.get("/api/v1/dead-letters/groups", body).json()["results"]
    assert groups == []
    rest = operator.get("/api/v1/dead-letters/groups").json()["results"]
    assert [(one["outcome"], one["code"], one["detail"], one["count"]) for one in rest] == [
        ("permanent", 404, "Not found.", 12)
    ]
