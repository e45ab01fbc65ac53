"""Who may talk to the API."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from notifications import clock
from notifications.api import authentication, remembered
from notifications.api.caller import Caller
from notifications.api.remembered import BELIEVED_FOR_S, Remembered
from notifications.models import ApiKey, Streamer
from tests.notifications.api.problem import fields_of

URL = "/api/v1/notifications"


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer bf_nothing", "Basic dXNlcjpwYXNz", "bf_nothing"])
def test_strangers_are_told_how_to_show_who_they_are(header: str) -> None:
    answer = APIClient(HTTP_AUTHORIZATION=header).get(URL)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="Belfry"'
    assert fields_of(answer) == []


def test_a_key_is_looked_up_once_in_a_while(
    operator: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    operator.get("/api/v1/event-types")
    with django_assert_num_queries(0):
        assert operator.get("/api/v1/event-types").status_code == 200


def test_a_revoked_key_is_refused_within_five_seconds() -> None:
    now, revoked = [100.0], False
    caller = Caller(name="x", role="operator")
    keys = Remembered(lambda _: None if revoked else caller, clock=lambda: now[0])
    assert keys.find("d") is caller
    revoked = True
    assert keys.find("d") is caller
    assert BELIEVED_FOR_S < 5
    now[0] += BELIEVED_FOR_S
    assert keys.find("d") is None


def test_guesses_are_not_remembered() -> None:
    keys: Remembered[Caller] = Remembered(lambda _: None)
    for n in range(100):
        keys.find(str(n))
    assert keys._known == {}


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST_REMEMBERED", 10)
    keys = Remembered(lambda _: Caller(name="x", role="operator"))
    for n in range(100):
        keys.find(str(n))
    assert len(keys._known) <= 10


def test_a_revoked_key_is_refused(operator: APIClient) -> None:
    ApiKey.objects.get().revoke(clock.now())
    assert operator.get(URL).status_code == 401


def signed_in(*, is_staff: bool, is_superuser: bool = False) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("someone", is_staff=is_staff, is_superuser=is_superuser))
    return client


@pytest.mark.django_db
def test_superusers_act_as_operators() -> None:
    client = signed_in(is_staff=True, is_superuser=True)
    assert client.get("/api/v1/channels").status_code == 200
    answer = client.post("/api/v1/streamers", {"key": "a", "name": "A"}, content_type="application/json")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
    fields_of(answer)


@pytest.mark.django_db
def test_superusers_change_things_with_a_token() -> None:
    client = signed_in(is_staff=True, is_superuser=True)
    client.get("/admin/login/")
    token = client.get("/admin/password_change/").context["csrf_token"]
    answer = client.post(
        "/api/v1/streamers",
        {"key": "a", "name": "A"},
        content_type="application/json",
        headers={"X-CSRFToken": str(token)},
    )
    assert answer.status_code == 201


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "notifications",
        "deliveries",
        "event-types",
        "transports",
        "streamers",
        "channels",
        "policies",
        "follows",
        "dead-letters",
        "dead-letters/groups",
        "replay-jobs",
        "inbox?recipient=another",
    ],
)
def test_what_the_admin_denies_to_staff_the_api_does_not_give_them(path: str) -> None:
    answer = signed_in(is_staff=True).get(f"/api/v1/{path}")
    assert answer.status_code == 403
    fields_of(answer)


@pytest.mark.django_db
def test_staff_without_rights_have_their_own_feed() -> None:
    assert signed_in(is_staff=True).get("/api/v1/inbox/state").status_code == 200


@pytest.mark.django_db
def test_who_is_signed_in_without_being_staff_is_a_stranger() -> None:
    assert signed_in(is_staff=False).get(URL).status_code == 401


@pytest.mark.parametrize("path", ["streamers", "channels", "policies", "dead-letters", "dead-letters/groups"])
def test_producers_read_no_configuration(producer: APIClient, path: str) -> None:
    assert producer.get(f"/api/v1/{path}").status_code == 403


@pytest.mark.parametrize("path", ["event-types", "transports", "notifications", "deliveries", "health"])
def test_producers_read_what_they_need(producer: APIClient, path: str) -> None:
    assert producer.get(f"/api/v1/{path}").status_code == 200


@pytest.mark.django_db
def test_operators_of_everything_are_told_from_all_others() -> None:
    streamer = Streamer.objects.create(key="ada", name="Ada")
    keys = [
        ApiKey.objects.issue("all", role=ApiKey.Role.OPERATOR)[1],
        ApiKey.objects.issue("bound", role=ApiKey.Role.OPERATOR, streamer=streamer)[1],
        ApiKey.objects.issue("program", role=ApiKey.Role.PRODUCER)[1],
        "bf_guessed",
    ]
    assert [authentication.is_operator(key) for key in keys] == [True, False, False, False]
