"""Who may open whose stream, and for how long."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from channels_app import feed_tokens
from channels_app.live import tickets
from channels_app.models import FeedKey
from notifications.models import ApiKey
from tests.channels_app.live.running import Running, Socket, StartsLive, now, tell

OURS = Origin("https://belfry.example")


@pytest.fixture(autouse=True)
def public_url(settings: Settings) -> None:
    settings.BELFRY_PUBLIC_URL = OURS


@pytest.fixture
def cookie(transactional_db: None) -> str:
    """That of a member of staff."""
    browser = Client()
    browser.force_login(User.objects.create_user("ada", is_staff=True))
    return f"sessionid={browser.cookies['sessionid'].value}"


def events(live: Running, headers: dict[str, str], **query: str) -> int:
    """The status of an answer to who asks for a stream."""
    accept = {"accept": "text/event-stream"}
    with httpx.stream("GET", f"{live.url}/sse", params=query, headers={**accept, **headers}, timeout=10) as response:
        begins = next(response.iter_text()) if response.status_code == 200 else ""
        return 0 if "event: bye" in begins else response.status_code


def test_a_ticket_is_good_once(live: Running) -> None:
    ticket = tickets.issue("ada", now=now())
    assert [events(live, {}, ticket=ticket) for _ in range(2)] == [200, 0]
    assert events(live, {}, ticket=tickets.issue("ada", now=now() - timedelta(minutes=2))) == 0


def test_while_redis_is_away_the_signature_decides(start: StartsLive, settings: Settings, bus: redis.Redis) -> None:
    settings.BELFRY_REDIS_URL = "redis://127.0.0.1:1/0"
    live = start()
    ticket = tickets.issue("ada", now=now())
    assert events(live, {}, ticket=ticket) == 200
    assert events(live, {}, ticket=ticket[:-2]) == 0


def test_a_session_opens_the_feed_of_who_is_signed_in(live: Running, cookie: str) -> None:
    with Socket(live.connect(origin=OURS, additional_headers={"Cookie": cookie})) as socket:
        socket.until("state")
        tell("ada", "first")
        assert socket.until("new")["id"] == "1-1"
    assert events(live, {"cookie": cookie}) == 200
    assert events(live, {"cookie": cookie, "origin": OURS}) == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_somebody_elses_page_gets_nothing_by_our_cookies(live: Running, cookie: str, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        live.connect(origin=origin and Origin(origin), additional_headers={"Cookie": cookie})
    assert refused.value.response.status_code == 403
    if origin:
        assert events(live, {"cookie": cookie, "origin": origin}) == 403


@pytest.mark.parametrize("about", [{"is_staff": False}, {"is_staff": True, "is_active": False}])
def test_only_active_staff_have_a_feed_by_their_session(live: Running, cookie: str, about: dict[str, bool]) -> None:
    User.objects.update(**about)
    assert events(live, {"cookie": cookie}) == 403


def test_a_session_that_ends_ends_its_streams(start: StartsLive, cookie: str) -> None:
    live = start(reauth_s=0.5)
    with Socket(live.connect(origin=OURS, additional_headers={"Cookie": cookie})) as socket:
        socket.until("state")
        User.objects.update(is_active=False)
        assert socket.code() == 4101


def test_an_application_signs_for_its_users(live: Running) -> None:
    key, secret = FeedKey.objects.issue("an application")
    token = feed_tokens.sign("ada", kid=key.kid, secret=secret, now=now())
    assert events(live, {"authorization": f"Bearer {token}"}) == 200
    assert events(live, {"authorization": f"Bearer {token}"}, recipient="grace") == 200
    forged = feed_tokens.sign("ada", kid=key.kid, secret="x" * 40, now=now())
    assert events(live, {"authorization": f"Bearer {forged}"}) == 0
    old = feed_tokens.sign("ada", kid=key.kid, secret=secret, now=now() - timedelta(hours=2))
    assert events(live, {"authorization": f"Bearer {old}"}) == 0


def test_a_revoked_key_ends_its_streams(start: StartsLive) -> None:
    live = start(reauth_s=0.5)
    key, secret = FeedKey.objects.issue("an application")
    token = feed_tokens.sign("ada", kid=key.kid, secret=secret, now=now())
    with Socket(live.connect(additional_headers={"Authorization": f"Bearer {token}"})) as socket:
        socket.until("state")
        key.revoke(now())
        assert socket.code() == 4101


def test_a_stream_does_not_outlive_its_token(live: Running) -> None:
    key, secret = FeedKey.objects.issue("an application")
    ends = timedelta(seconds=1) - timedelta(seconds=feed_tokens.LEEWAY_S)
    token = feed_tokens.sign("ada", kid=key.kid, secret=secret, now=now(), lasts=ends + timedelta(seconds=31))
    with Socket(live.connect(additional_headers={"Authorization": f"Bearer {token}"})) as socket:
        assert socket.code() == 4101


def test_an_operator_looks_at_any_feed_and_a_producer_at_none(live: Running) -> None:
    operator = ApiKey.objects.issue("operator", role=ApiKey.Role.OPERATOR)[1]
    producer = ApiKey.objects.issue("producer", role=ApiKey.Role.PRODUCER)[1]
    assert events(live, {"authorization": f"Bearer {operator}"}, recipient="ada") == 200
    assert events(live, {"authorization": f"Bearer {operator}"}) == 0
    assert events(live, {"authorization": f"Bearer {producer}"}, recipient="ada") == 0
