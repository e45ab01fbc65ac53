"""Whose feed a caller may see: tokens, sessions and keys."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from shutil import which
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from channels_app import feed_tokens
from channels_app.models import FeedKey
from notifications import clock
from notifications.api import feed_reader
from notifications.models import Streamer
from tests.notifications.api.conftest import ClientFor
from tests.notifications.api.problem import fields_of
from tests.notifications.api.reading import V1, reader, write

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unknown_states")]

#: What is told to Redis is told after COMMIT.
committing = pytest.mark.django_db(transaction=True)

URL = f"{V1}/inbox"


def shown(token: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def signed(recipient: str = "ann", **claims: object) -> str:
    """A token; times are given from now on."""
    key, secret = FeedKey.objects.issue("app")
    given = {"sub": recipient, "aud": "belfry-feed", "exp": timedelta(minutes=5), **claims}
    now = clock.now()
    claims = {name: now + value if isinstance(value, timedelta) else value for name, value in given.items()}
    return jwt.encode(claims, secret, headers={"kid": key.kid})


@committing
def test_a_token_opens_the_feed_of_its_recipient_and_no_other() -> None:
    """S3-AP-04: who it is comes from what was signed, never from the request."""
    write("ann", title="for Ann")
    write("ben", title="for Ben")
    ann = reader("ann")
    assert [item["title"] for item in ann.get(URL).json()["items"]] == ["for Ann"]
    assert ann.get(f"{URL}?recipient=ann").status_code == 200
    assert ann.get(f"{URL}?recipient=ben").status_code == 403
    assert ann.post(f"{URL}/read", {"all": True, "recipient": "ben"}).status_code == 400
    assert reader("ben").get(f"{URL}/state").json()["unread"] == 1


def test_every_spelling_of_an_address_opens_the_same_feed() -> None:
    """S3-AP-05"""
    write("0xab")
    assert len(reader(" 0XaB").get(URL).json()["items"]) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": -timedelta(minutes=5)},
        {"exp": timedelta(days=2)},
        {"aud": "somebody-else"},
        {"sub": "*"},
        {"sub": ""},
        {"nbf": timedelta(hours=1)},
    ],
)
def test_a_token_that_does_not_count_says_why(claims: dict[str, Any]) -> None:
    answer = shown(signed(**claims)).get(URL)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="Belfry"'
    assert "does not count" in answer.json()["detail"]
    assert fields_of(answer) == []


@pytest.mark.parametrize("token", ["a.b.c", "..", "bf_guessed"])
def test_garbage_is_refused(token: str) -> None:
    assert shown(token).get(URL).status_code == 401
    assert APIClient().get(URL).status_code == 401


def test_a_token_of_a_revoked_key_is_refused_soon() -> None:
    token = signed()
    assert shown(token).get(URL).status_code == 200
    FeedKey.objects.get().revoke(clock.now())
    feed_reader.SECRETS.forget()
    answer = shown(token).get(URL)
    assert (answer.status_code, "revoked" in answer.json()["detail"]) == (401, True)


def test_without_the_keys_of_secrets_nobody_gets_in() -> None:
    token = signed()
    with override_settings(BELFRY_CHANNEL_KEYS={}):
        assert shown(token).get(URL).status_code == 401


def test_a_secret_is_read_once_in_a_while(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    write("ann")
    ann = reader("ann")
    ann.get(f"{URL}/state")
    with django_assert_num_queries(0):
        assert ann.get(f"{URL}/state").json()["unread"] == 1


@pytest.mark.parametrize("path", ["notifications", "deliveries", "streamers", "channels", "event-types"])
def test_a_feed_token_opens_nothing_else(path: str) -> None:
    assert reader().get(f"{V1}/{path}").status_code == 401


def test_an_operator_names_whose_feed_it_is(operator: APIClient) -> None:
    write("0xab")
    assert operator.get(f"{URL}?recipient=0XAB").json()["items"][0]["title"] == "It is on"
    assert fields_of(operator.get(URL)) == ["recipient"]
    assert fields_of(operator.get(f"{URL}?recipient=*")) == ["recipient"]


def test_keys_of_producers_and_of_one_streamer_open_no_feed(
    producer: APIClient, client_for: ClientFor, nightowl: Streamer
) -> None:
    assert producer.get(f"{URL}?recipient=ann").status_code == 403
    assert client_for("operator", nightowl).get(f"{URL}?recipient=ann").status_code == 403


@committing
def test_staff_see_the_feed_of_their_user_name() -> None:
    write("ann")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("ann", is_staff=True))
    assert client.get(f"{URL}/state").json()["unread"] == 1
    assert client.get(f"{URL}/state?recipient=ben").status_code == 403
    assert client.post(f"{URL}/read", {"all": True}, content_type="application/json").status_code == 403
    stranger = Client()
    stranger.force_login(User.objects.create_user("ben"))
    assert stranger.get(f"{URL}/state").status_code == 401


def test_pages_of_other_origins_may_ask() -> None:
    asked = APIClient().options(f"{URL}/read", headers={"Origin": "https://app.example"})
    assert asked.status_code == 204
    assert "Authorization" in asked["Access-Control-Allow-Headers"]
    answer = reader().get(f"{URL}/state", headers={"Origin": "https://app.example"})
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "ETag" in answer["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Access-Control-Allow-Origin" not in reader().get(f"{URL}/state")


def code_of(language: str, containing: str) -> str:
    guide = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text()
    (found,) = [block for block in guide.split(f"```{language}\n")[1:] if containing in block]
    return found.partition("```")[0]


def test_the_example_in_python_signs_a_token_that_counts() -> None:
    key, secret = FeedKey.objects.issue("app")
    scope = {"FEED_SECRET": secret, "FEED_KEY_ID": key.kid}
    exec(code_of("python", "def feed_token"), scope)
    assert feed_tokens.read(scope["feed_token"]("user-17"), secret, now=clock.now()).recipient == "user-17"  # type: ignore[operator]


@pytest.mark.skipif(which("node") is None, reason="there is no node")
def test_the_example_in_node_signs_a_token_that_counts() -> None:
    key, secret = FeedKey.objects.issue("app")
    program = f"const FEED_SECRET = '{secret}', FEED_KEY_ID = '{key.kid}';\n{code_of('js', 'function feedToken')}"
    ran = subprocess.run(
        ["node", "-e", f"{program}\nconsole.log(feedToken('user-17'))"], capture_output=True, text=True, check=True
    )
    assert feed_tokens.read(ran.stdout.strip(), secret, now=clock.now()).recipient == "user-17"
