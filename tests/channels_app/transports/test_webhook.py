"""Webhooks, against receivers that know nothing of Belfry but the specification."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook as IndependentWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from channels_app import configuration
from channels_app.base import CannotBuild
from channels_app.configuration import InvalidConfig
from channels_app.outcomes import Outcome
from channels_app.transports.webhook import Webhook, WebhookConfig
from project.outside import World
from tests.channels_app.transports.telling import tell
from tests.contracts.samples import HOSTILE, NOW, message

URL = "https://example.org/hook"
SECRET = "whsec_" + base64.b64encode(b"first secret of 32 bytes or more").decode()
OTHER = "whsec_" + base64.b64encode(b"other secret of 32 bytes or more").decode()


def test_a_receiver_that_checks_signatures_takes_it(world: World) -> None:
    url = world.webhook_url(SECRET, name="checks")
    [verdict] = tell("webhook", {"url": url, "secret": SECRET}, message())
    [seen] = world.seen("hooks/checks")
    assert verdict.outcome is Outcome.OK
    assert (seen.accepted, seen.idempotency_id) == (True, message().idempotency_id)


def test_a_wrong_secret_is_refused(world: World) -> None:
    url = world.webhook_url(SECRET, name="refuses")
    [verdict] = tell("webhook", {"url": url, "secret": OTHER}, message())
    assert (verdict.outcome, verdict.code, verdict.detail) == (Outcome.PERMANENT, 401, "No signature matches.")


def test_an_independent_library_verifies_by_the_new_and_by_the_old_secret() -> None:
    config = WebhookConfig(url=URL, secret=SECRET, old_secret=OTHER)
    request = Webhook().build(message(), config, now=datetime.now(UTC))
    for secret in (SECRET, OTHER):
        IndependentWebhook(secret).verify(request.body, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        IndependentWebhook(SECRET).verify(request.body + b" ", dict(request.headers))


def test_the_body_is_what_receivers_are_promised() -> None:
    request = Webhook().build(message(), WebhookConfig(url=URL), now=NOW)
    assert json.loads(request.body) == {
        "id": "01957bd5-e9d2-7a4c-8b3f-0e6d1a2b3c4d",
        "event_type": "download_completed",
        "priority": 5,
        "priority_label": "normal",
        "title": "Recorded The Velvet Walrus Hour",
        "body": "It went well.",
        "timestamp": "2026-03-14T21:09:26.535897Z",
        "streamer": "velvet-walrus",
        "streamer_name": "The Velvet Walrus Hour",
        "platform": "youtube",
        "data": dict(message().data),
    }


def test_without_a_secret_nothing_is_signed() -> None:
    request = Webhook().build(message(), WebhookConfig(url=URL), now=NOW)
    assert set(request.headers) == {"content-type", "webhook-id"}


def test_headers_of_the_channel_are_sent_along(world: World) -> None:
    config = WebhookConfig(url=URL, headers={"Authorization": "Bearer x"}, method="PUT")
    request = Webhook().build(message(), config, now=NOW)
    assert (request.method, request.headers["Authorization"]) == ("PUT", "Bearer x")
    [verdict] = tell("webhook", {"url": world.sink_url("put"), "method": "PUT"}, message())
    assert verdict.outcome is Outcome.OK


def test_what_is_not_text_is_refused_and_not_guessed() -> None:
    for name in ("half_a_pair", "deep_data"):
        with pytest.raises(CannotBuild):
            Webhook().build(HOSTILE[name], WebhookConfig(url=URL), now=NOW)


def test_a_redirect_is_not_success(world: World) -> None:
    [verdict] = tell("webhook", {"url": world.behaving_url("redirect", "hook")}, message())
    assert (verdict.outcome, verdict.code) == (Outcome.PERMANENT, 302)
    assert world.seen("sink/redirected") == []


@pytest.mark.parametrize(
    ("behaviour", "outcome", "code"),
    [
        ("gone", Outcome.GONE, 410),
        ("missing", Outcome.PERMANENT, 404),
        ("never", Outcome.TRANSIENT, 500),
        ("status=408", Outcome.TRANSIENT, 408),
        ("throttle", Outcome.RATE_LIMITED, 429),
        ("reset", Outcome.TRANSIENT, 0),
    ],
)
def test_answers_mean_what_http_says(world: World, behaviour: str, outcome: Outcome, code: int) -> None:
    [verdict] = tell("webhook", {"url": world.behaving_url(behaviour, "meaning")}, message())
    assert (verdict.outcome, verdict.code) == (outcome, code)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "example.org/hook"),
        ("url", "https://exa mple.org/hook"),
        ("url", "https:///hook"),
        ("secret", "whsec_short"),
        ("old_secret", "not a secret"),
        ("method", "GET"),
        ("headers", {"Webhook-Id": "mine"}),
        ("headers", {"X-Injected": "a\r\nHost: b"}),
        ("headers", {"X-Name": "Grüße"}),
        ("headers", {"No name": "x"}),
    ],
)
def test_a_setting_that_cannot_work_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidConfig) as refused:
        configuration.check("webhook", {"url": URL, field: value})
    assert refused.value.field == field
