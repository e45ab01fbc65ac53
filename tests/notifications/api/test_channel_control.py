"""/channels/{key}/breaker and its neighbours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from channels_app.breaker import BreakerSettings, default_breakers
from channels_app.models import Channel
from channels_app.outcomes import BreakerSignal
from channels_app.ratelimit import default_limits
from notifications import clock, gates, quarantine
from notifications.models import Notification, Streamer
from notifications.states import State
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.scene import HOUR, a_delivery, configured, forget_the_rules, row_of

URL = "/api/v1/channels/ops"
ACTIONS = ("breaker/trip", "breaker/reset", "pause", "resume", "restore")


@pytest.fixture
def ops(db: None) -> Channel:
    ops = configured(
        "webhook", {"url": "https://a.example", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}, key="ops"
    )
    default_breakers().reset(ops.pk)
    default_limits().resume(ops.pk)
    return ops


@pytest.fixture
def quarantined(ops: Channel) -> Channel:
    now = clock.now()
    assert Channel.objects.quarantine(ops.pk, reason="It said 410.", now=now, probe_at=now + HOUR)
    ops.refresh_from_db()
    return ops


def waits(channel: Channel, code: str) -> Any:
    return a_delivery(channel, State.SCHEDULED, reason_code=code, due_at=clock.now() + 6 * HOUR)


def soon(delivery: Any) -> bool:
    due_at: datetime = row_of(delivery)["due_at"]
    return due_at <= clock.now() + timedelta(seconds=quarantine.RELEASE_SPREAD_S)


def post(client: APIClient, action: str) -> Any:
    return client.post(f"{URL}/{action}", {"seconds": 60} if action == "pause" else None)


def test_a_breaker_that_knows_nothing_is_closed(operator: APIClient, ops: Channel) -> None:
    body = operator.get(f"{URL}/breaker").json()
    assert body["state"] == "closed"
    assert {body[name] for name in ("since", "next_probe_at", "paused_until", "quarantined_at")} == {None}


def test_an_open_breaker_says_since_when_and_when_it_looks_again(operator: APIClient, ops: Channel) -> None:
    default_breakers().observe_many([(ops.pk, [BreakerSignal.FAILURE] * 10, BreakerSettings())])
    body = operator.get(f"{URL}/breaker").json()
    assert (body["state"], body["times_opened"]) == ("open", 1)
    paused = datetime.fromisoformat(body["next_probe_at"]) - datetime.fromisoformat(body["since"])
    assert paused == timedelta(seconds=30)


def test_tripped_by_hand_it_stays_so_until_reset_and_what_waited_follows(operator: APIClient, ops: Channel) -> None:
    held, other = waits(ops, gates.BREAKER), waits(ops, gates.PAUSE)
    assert operator.post(f"{URL}/breaker/trip").json()["state"] == "tripped"
    assert default_breakers().allow_many([(ops.pk, 5, BreakerSettings())])[ops.pk].count == 0
    answer = operator.post(f"{URL}/breaker/reset").json()
    assert (answer["state"], answer["released"]) == ("closed", 1)
    assert (soon(held), soon(other)) == (True, False)
    assert operator.post(f"{URL}/breaker/reset").status_code == 200


def test_a_pause_is_begun_and_ended(operator: APIClient, ops: Channel) -> None:
    held, other = waits(ops, gates.PAUSE), waits(ops, gates.BREAKER)
    body = operator.post(f"{URL}/pause", {"seconds": 600}).json()
    left = datetime.fromisoformat(body["paused_until"]) - clock.now()
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)
    assert operator.post(f"{URL}/pause", {"seconds": 5}).json()["paused_until"] > body["paused_until"][:16]
    answer = operator.post(f"{URL}/resume").json()
    assert (answer["paused_until"], answer["released"]) == (None, 1)
    assert (soon(held), soon(other)) == (True, False)


@pytest.mark.parametrize("seconds", [0, -1, 36_001, "60", None, True])
def test_a_pause_has_a_length(operator: APIClient, ops: Channel, seconds: Any) -> None:
    assert fields_of(operator.post(f"{URL}/pause", {"seconds": seconds})) == ["seconds"]
    assert fields_of(operator.post(f"{URL}/pause", {})) == ["seconds"]
    assert operator.get(f"{URL}/breaker").json()["paused_until"] is None


def test_a_quarantined_channel_is_brought_back_with_what_waited(operator: APIClient, quarantined: Channel) -> None:
    held, held_by_breaker = waits(quarantined, quarantine.CODE), waits(quarantined, gates.BREAKER)
    default_breakers().trip(quarantined.pk)
    body = operator.get(f"{URL}/breaker").json()
    assert body["quarantine_reason"] == "It said 410."
    assert body["quarantine_probe_at"] > body["quarantined_at"]
    assert operator.post(f"{URL}/restore").status_code == 204
    quarantined.refresh_from_db()
    assert quarantined.quarantined_at is None
    assert (soon(held), soon(held_by_breaker)) == (True, True)
    assert Notification.objects.filter(event_type="channel_restored").count() == 1
    again = operator.post(f"{URL}/restore")
    assert again.status_code == 409
    fields_of(again)


@pytest.mark.parametrize("method", ["patch", "put"])
def test_new_settings_bring_it_back_at_once(operator: APIClient, quarantined: Channel, method: str) -> None:
    held = waits(quarantined, quarantine.CODE)
    body = {"name": "Ops", "key": "ops", "kind": "webhook", "config": {"url": "https://new.example"}}
    answer = getattr(operator, method)(URL, body)
    assert (answer.status_code, answer.json()["quarantined_at"]) == (200, None)
    assert soon(held)


def test_a_new_secret_brings_it_back(operator: APIClient, quarantined: Channel) -> None:
    secret = "whsec_OTk5OTk5Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
    assert operator.patch(URL, {"config": {"secret": secret}}).json()["quarantined_at"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Another name"},
        {"config": {}},
        {"config": {"url": "https://a.example"}},
        {"config": {"secret": "********"}},
        {"max_attempts": 3},
    ],
)
def test_a_change_of_something_else_does_not(operator: APIClient, quarantined: Channel, body: Any) -> None:
    answer = operator.patch(URL, body)
    assert answer.status_code == 200
    assert answer.json()["quarantined_at"] is not None
    assert not Notification.objects.exists()


@pytest.mark.parametrize("action", ["breaker", *ACTIONS])
def test_they_are_for_those_who_may(
    client_for: ClientFor, producer: APIClient, ops: Channel, nightowl: Streamer, action: str
) -> None:
    def ask(client: APIClient) -> Any:
        return client.get(f"{URL}/breaker") if action == "breaker" else post(client, action)

    assert ask(producer).status_code == 403
    assert ask(APIClient()).status_code == 401
    bound = client_for("operator", nightowl)
    assert ask(bound).status_code == 404
    Channel.objects.filter(pk=ops.pk).update(owner_key="nightowl", quarantined_at=clock.now())
    assert ask(bound).status_code in (200, 204)


@pytest.mark.parametrize("action", ["breaker", "breaker/trip", "breaker/reset", "pause", "resume"])
def test_without_redis_it_is_said_and_nothing_is_changed(
    operator: APIClient, ops: Channel, settings: Settings, action: str
) -> None:
    held = [waits(ops, code) for code in (gates.BREAKER, gates.PAUSE)]
    settings.BELFRY_REDIS_URL = "redis://127.0.0.1:1/0"
    answer = operator.get(f"{URL}/{action}") if action == "breaker" else post(operator, action)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert "Redis" in answer.json()["detail"]
    fields_of(answer)
    assert not any(map(soon, held))


def test_without_redis_a_channel_is_brought_back_all_the_same(
    operator: APIClient, quarantined: Channel, settings: Settings
) -> None:
    settings.BELFRY_REDIS_URL = "redis://127.0.0.1:1/0"
    assert operator.post(f"{URL}/restore").status_code == 204
    forget_the_rules()
