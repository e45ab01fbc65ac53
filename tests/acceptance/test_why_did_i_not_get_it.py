"""Promise 7: every delivery that did not arrive says why, in words, and a producer can read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from channels_app.models import Channel
from notifications import clock
from notifications.models import ApiKey, Notification, Policy
from notifications.retirement import retire
from notifications.withdrawal import withdraw
from project.outside import World
from tests.notifications.scene import accept, channel_at, drain, eventually, make_due, route, sweep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("here")]

#: What a story leaves behind: the channel that was to hear of it.
Story = Callable[[World], Channel]


def told(channel: Channel, **fields: Any) -> Channel:
    accept(**fields)
    route()
    drain()
    sweep()
    return channel


def a_policy_wants_only_what_is_urgent(world: World) -> Channel:
    Policy.objects.create(scope="global", min_priority=8)
    return told(channel_at(world.sink_url("why")))


def a_policy_wants_other_types(world: World) -> Channel:
    Policy.objects.create(scope="global", event_types=["stream_*"])
    return told(channel_at(world.sink_url("why")))


def the_policy_is_off(world: World) -> Channel:
    Policy.objects.create(scope="global", enabled=False)
    return told(channel_at(world.sink_url("why")))


def the_channel_is_off(world: World) -> Channel:
    return told(channel_at(world.sink_url("why"), enabled=False))


def it_is_scheduled(world: World) -> Channel:
    return told(channel_at(world.sink_url("why")), scheduled_at=clock.now() + timedelta(hours=1))


def it_expired(world: World) -> Channel:
    ends = clock.now() + timedelta(milliseconds=100)
    channel = channel_at(world.sink_url("why"))
    accept(expires_at=ends)
    route()
    eventually(lambda: clock.now() > ends)
    sweep()
    return channel


def it_was_withdrawn(world: World) -> Channel:
    channel = channel_at(world.sink_url("why"))
    pk = accept()
    route()
    withdraw(Notification.objects.get(pk=pk), by="ada", now=clock.now())
    return channel


def the_channel_was_deleted(world: World) -> Channel:
    channel = channel_at(world.sink_url("why"))
    accept()
    route()
    retire(channel, by="ada", now=clock.now())
    return channel


def the_far_end_refused_it(world: World) -> Channel:
    return told(channel_at(world.behaving_url("missing", "why")))


def the_far_end_has_ended(world: World) -> Channel:
    return told(channel_at(world.behaving_url("status=410", "why")))


def the_far_end_fails_for_now(world: World) -> Channel:
    return told(channel_at(world.behaving_url("never", "why")))


def the_far_end_failed_to_the_end(world: World) -> Channel:
    return told(channel_at(world.behaving_url("never", "why"), max_attempts=1))


def the_far_end_asked_for_time(world: World) -> Channel:
    return told(channel_at(world.behaving_url("status=429,retry_after_s=3000", "why")))


def the_far_end_cannot_be_reached(world: World) -> Channel:
    return told(channel_at("http://127.0.0.1:9/", max_attempts=1))


def its_address_is_not_public(world: World) -> Channel:
    return told(channel_at("http://10.1.2.3/"))


def the_channel_cannot_be_used(world: World) -> Channel:
    channel = channel_at(world.sink_url("why"))
    accept()
    route()
    Channel.objects.update(secrets="v1:lost:abc")
    drain()
    return channel


def the_channel_is_over_its_rate(world: World) -> Channel:
    channel = channel_at(world.sink_url("why"), rate_per_s=0.001, rate_burst=1)
    accept()
    return told(channel)


def its_breaker_is_open(world: World) -> Channel:
    channel = channel_at(world.behaving_url("never", "why"), breaker_consecutive_failures=1)
    told(channel)
    make_due(*channel.deliveries.all())
    drain()
    return channel


#: Each story, where its delivery stands, and a word of the sentence that a person reads.
STORIES: list[tuple[Story, str, str, str]] = [
    (a_policy_wants_only_what_is_urgent, "suppressed", "min_priority", "global policy"),
    (a_policy_wants_other_types, "suppressed", "event_type", "stream_*"),
    (the_policy_is_off, "suppressed", "policy_disabled", "switched off"),
    (the_channel_is_off, "suppressed", "channel_disabled", "switched off"),
    (it_is_scheduled, "scheduled", "scheduled_at", "scheduled for"),
    (it_expired, "cancelled", "expired", "expired"),
    (it_was_withdrawn, "cancelled", "withdrawn", "ada"),
    (the_channel_was_deleted, "cancelled", "channel_deleted", "ada"),
    (the_far_end_refused_it, "dead", "permanent", "404"),
    (the_far_end_has_ended, "dead", "gone", "410"),
    (the_far_end_fails_for_now, "retrying", "transient", "500"),
    (the_far_end_failed_to_the_end, "dead", "exhausted", "Attempt 1 failed"),
    (the_far_end_asked_for_time, "scheduled", "paused", "slow down"),
    (the_far_end_cannot_be_reached, "dead", "exhausted", "refused"),
    (its_address_is_not_public, "dead", "permanent", "not public"),
    (the_channel_cannot_be_used, "scheduled", "channel_unusable", "cannot be used"),
    (the_channel_is_over_its_rate, "scheduled", "rate_limit", "rate limit"),
    (its_breaker_is_open, "scheduled", "breaker_open", "breaker"),
]


@pytest.fixture
def operator() -> APIClient:
    _, text = ApiKey.objects.issue("operator", role=ApiKey.Role.OPERATOR)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {text}")


@pytest.mark.parametrize(("story", "state", "code", "word"), STORIES, ids=[story.__name__ for story, *_ in STORIES])
def test_it_says_why(story: Story, state: str, code: str, word: str, world: World, operator: APIClient) -> None:
    channel = story(world)
    found = operator.get("/api/v1/deliveries", {"channel": channel.key, "state": state}).json()["results"]
    assert found, list(channel.deliveries.values("state", "reason_code", "reason"))
    delivery = operator.get(f"/api/v1/deliveries/{found[0]['id']}").json()
    assert (delivery["state"], delivery["reason_code"]) == (state, code)
    assert word in delivery["reason"]
    if state in ("dead", "retrying"):
        assert delivery["attempt_log"] or delivery["attempts"]


def test_without_any_channel_the_notification_itself_says_why(operator: APIClient) -> None:
    pk = accept()
    route()
    answer = operator.get(f"/api/v1/notifications/{pk}").json()
    assert answer["state"] == "suppressed"
    assert "No channel" in answer["routing_note"]
