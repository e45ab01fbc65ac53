"""A channel by hand: how it stands is said, and each button does what it says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from channels_app.breaker import BreakerSettings, State, default_breakers
from channels_app.models import Channel
from channels_app.outcomes import BreakerSignal
from channels_app.ratelimit import default_limits
from notifications import channel_control, clock, gates, quarantine
from notifications.states import State as Standing
from tests.notifications.scene import HOUR, a_delivery, channel_at, row_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops() -> Channel:
    ops = channel_at("https://example.org", "ops")
    default_breakers().reset(ops.pk)
    default_limits().resume(ops.pk)
    return ops


def page(client: Client, channel: Channel) -> str:
    return client.get(reverse("admin:channels_app_channel_change", args=(channel.pk,))).content.decode()


def press(client: Client, channel: Channel, word: str, **more: Any) -> str:
    url = reverse("admin:channels_app_channel_control", args=(channel.pk, word))
    answer = client.post(url, more, follow=True)
    assert answer.status_code == 200
    html: str = answer.content.decode()
    return html


def buttons(html: str) -> set[str]:
    return {word for word in ("trip", "reset", "pause", "resume", "restore") if f"/control/{word}/" in html}


def state_of(channel: Channel) -> State:
    return channel_control.look(channel, clock.now()).breaker.state


def test_a_channel_that_is_well_can_be_stopped(admin_client: Client, ops: Channel) -> None:
    html = page(admin_client, ops)
    assert buttons(html) == {"trip", "pause"}
    assert "closed" in html


def test_a_breaker_is_opened_and_closed_and_what_waited_follows(admin_client: Client, ops: Channel) -> None:
    held = a_delivery(ops, Standing.SCHEDULED, reason_code=gates.BREAKER, due_at=clock.now() + HOUR)
    html = press(admin_client, ops, "trip")
    assert state_of(ops) is State.TRIPPED
    assert buttons(html) == {"reset", "pause"}
    html = press(admin_client, ops, "reset")
    assert state_of(ops) is State.CLOSED
    assert "follow: 1." in html
    assert row_of(held)["due_at"] < clock.now() + timedelta(seconds=10)
    assert [entry.change_message[:16] for entry in LogEntry.objects.order_by("pk")] == ["By hand: The bre"] * 2


def test_an_open_breaker_says_since_when_and_when_it_tries_again(admin_client: Client, ops: Channel) -> None:
    default_breakers().observe_many([(ops.pk, [BreakerSignal.FAILURE] * 10, BreakerSettings())])
    html = page(admin_client, ops)
    assert "next try" in html
    assert buttons(html) == {"reset", "trip", "pause"}


@pytest.mark.parametrize(("asked", "seconds"), [("3600", 3600), ("7", 300), ("", 300), ("x", 300)])
def test_a_pause_has_one_of_the_lengths_that_are_offered(
    admin_client: Client, ops: Channel, asked: str, seconds: int
) -> None:
    held = a_delivery(ops, Standing.SCHEDULED, reason_code=gates.PAUSE, due_at=clock.now() + HOUR)
    html = press(admin_client, ops, "pause", seconds=asked)
    assert seconds - 5 < default_limits().paused_for([ops.pk])[ops.pk] <= seconds
    assert buttons(html) == {"trip", "resume"}
    assert "Paused until" in html
    press(admin_client, ops, "resume")
    assert default_limits().paused_for([ops.pk]) == {}
    assert row_of(held)["due_at"] < clock.now() + timedelta(seconds=10)


def test_a_quarantine_shows_its_evidence_and_is_ended(admin_client: Client, ops: Channel) -> None:
    now = clock.now()
    Channel.objects.quarantine(ops.pk, reason="The far end says that it has ended: 410.", now=now, probe_at=now + HOUR)
    held = a_delivery(ops, Standing.SCHEDULED, reason_code=quarantine.CODE, due_at=now + 6 * HOUR)
    html = page(admin_client, ops)
    assert "The far end says that it has ended: 410." in html
    assert "nothing is lost" in html
    press(admin_client, ops, "restore")
    ops.refresh_from_db()
    assert ops.quarantined_at is None
    assert row_of(held)["due_at"] < clock.now() + timedelta(seconds=15)
    assert "It is in service already." in press(admin_client, ops, "restore")


@pytest.mark.parametrize("word", ["trip", "reset", "pause", "resume"])
def test_without_redis_it_is_said(admin_client: Client, ops: Channel, settings: Settings, word: str) -> None:
    settings.BELFRY_REDIS_URL = "redis://127.0.0.1:1/0"
    html = page(admin_client, ops)
    assert "Redis does not answer" in html
    assert buttons(html) == set()
    assert "nothing was changed" in press(admin_client, ops, word)
    assert not LogEntry.objects.exists()


def test_other_words_do_nothing(admin_client: Client, ops: Channel) -> None:
    url = reverse("admin:channels_app_channel_control", args=(ops.pk, "explode"))
    assert admin_client.post(url).status_code == 403
    assert admin_client.get(reverse("admin:channels_app_channel_control", args=(ops.pk, "trip"))).status_code == 405


def test_who_may_not_change_channels_presses_nothing(client: Client, django_user_model: Any, ops: Channel) -> None:
    client.force_login(django_user_model.objects.create_user("guest", password="x", is_staff=True))
    for word in ("trip", "pause", "restore"):
        url = reverse("admin:channels_app_channel_control", args=(ops.pk, word))
        assert client.post(url).status_code == 403
    assert state_of(ops) is State.CLOSED
