"""Canaries: a channel full of secrets fails in every way, also against far ends that repeat what they were sent."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import serializers
from django.test import override_settings

from channels_app import http
from channels_app.models import Channel
from channels_app.secrets import default_box
from channels_app.signing import new_secret
from notifications import clock, delivering, trial
from notifications.carriers.http import build
from notifications.errors import TransientError
from notifications.held import Tried
from notifications.models import Attempt, DeadLetter, Delivery
from notifications.rulebook import ChannelInUse
from notifications.tasks import deliver
from tests.channels_app.far_end import Behaviour, FarEnd, Visit, far_end
from tests.notifications.crier import Crier
from tests.notifications.scene import a_delivery, channel_at, configured, drain, make_due, sweep, the_delivery

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN, QUERY, BEARER = "canary-token-a81c33f0d2", "canary-query-77be01aa4d", "canary-bearer-5e90c1d7f4"
PASSWORD = "canary-password-c4"


def echoing(status: int) -> Behaviour:
    """A debug page: it shows the request that it got, whole."""

    def behave(visit: Visit) -> None:
        while (request := visit.request()) is not None:
            visit.answer(b"HTTP/1.1 %d Oh\r\nContent-Length: %d\r\n\r\n%b" % (status, len(request), request))

    return behave


def quoting(visit: Visit) -> None:
    """An API that names the path in JSON, cut off within the secret, and the headers far behind."""
    while (request := visit.request()) is not None:
        path = request.split(b" ")[1].decode()
        body = json.dumps({"message": "x" * 460 + f" no route {path}"}).encode()
        visit.answer(b"HTTP/1.1 404 Oh\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def breaking_off(visit: Visit) -> None:
    visit.request()
    visit.reset()


def no_http(visit: Visit) -> None:
    request = visit.request() or b""
    visit.answer(request[::-1] + request)


class Ear:
    """Everything that is said anywhere while a test runs."""

    def __init__(self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self._capfd, self._caplog = capfd, caplog
        self.heard: list[str] = []

    def hear(self, *things: object) -> None:
        self.heard += [text for thing in things for text in (repr(thing), str(thing))]

    def all(self) -> str:
        out, err = self._capfd.readouterr()
        rows = [*Attempt.objects.all(), *DeadLetter.objects.all(), *Delivery.objects.all(), *Channel.objects.all()]
        return "\n".join([*self.heard, out, err, self._caplog.text, serializers.serialize("json", rows)])


@pytest.fixture
def ear(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Ear:
    caplog.set_level("DEBUG")
    return Ear(capfd, caplog)


SIGNING = new_secret()


@pytest.fixture(params=[echoing(404), echoing(500), echoing(429), echoing(410), quoting, breaking_off, no_http])
def end(request: pytest.FixtureRequest) -> Iterator[FarEnd]:
    with far_end(request.param) as running:
        yield running


def secretive(end: FarEnd, **fields: Any) -> Channel:
    return channel_at(
        f"http://127.0.0.1:{end.port}/hooks/{TOKEN}?key={QUERY}",
        settings={"secret": SIGNING, "headers": {"Authorization": f"Bearer {BEARER}", "X-Basic": basic()}},
        **fields,
    )


def basic() -> str:
    return "Basic " + b64encode(b"user:canary-basic-93").decode()


def assert_silent(text: str) -> None:
    canaries = [TOKEN, QUERY, BEARER, PASSWORD, SIGNING, SIGNING.removeprefix("whsec_"), basic().split()[1]]
    assert [canary for canary in canaries if canary in text] == []
    assert not re.search(r"canary-(token|query|bearer|password)-\w", text)


def test_the_pump_tells_no_secret(end: FarEnd, ear: Ear) -> None:
    delivery = a_delivery(secretive(end, timeout_s=2.0, retry_base_s=0.0))
    drain()
    make_due(delivery)
    drain()
    assert Attempt.objects.exists()
    ear.hear(delivery, the_delivery(delivery.channel))
    assert_silent(ear.all())


def test_the_task_tells_no_secret_not_even_in_its_tracebacks(end: FarEnd, ear: Ear) -> None:
    delivery = a_delivery(secretive(end, max_attempts=1, timeout_s=2.0))
    result = deliver.apply(args=(delivery.pk,))
    ear.hear(result.result, result.traceback)
    assert_silent(ear.all())


def test_what_is_in_our_hands_tells_no_secret(end: FarEnd, ear: Ear) -> None:
    channel = secretive(end, timeout_s=2.0)
    held = delivering.take(a_delivery(channel).pk, clock.now())
    assert held is not None
    tried = delivering.attempt(held, clock.now)
    ear.hear(held, held.channel, held.channel.row, held.channel.config, build(held, clock.now()))
    ear.hear(tried, tried.verdict, TransientError(tried), http.default_rules())
    ear.hear(vars(held.channel), channel.shown_config, channel.config)
    assert_silent(ear.all())


def test_a_test_message_tells_no_secret(end: FarEnd, ear: Ear) -> None:
    tried = trial.send_test(secretive(end, timeout_s=2.0), by="ada", now=clock.now())
    assert isinstance(tried, Tried)
    ear.hear(tried, tried.verdict)
    assert_silent(ear.all())


def test_a_channel_that_cannot_be_used_tells_no_secret(ear: Ear) -> None:
    with far_end(breaking_off) as end:
        channel = secretive(end)
        delivery = a_delivery(channel)
        for keys in ({}, {"other": "x" * 43 + "="}):
            with override_settings(BELFRY_CHANNEL_KEYS=keys):
                deliver.apply(args=(delivery.pk,))
            sweep()
            make_due(delivery)
        for secrets in ({"url": TOKEN}, {"url": end.url, "secret": f"whsec_{TOKEN}"}):
            Channel.objects.update(secrets=default_box().seal(secrets))
            make_due(delivery)
            deliver.apply(args=(delivery.pk,))
            sweep()
    assert the_delivery(channel).reason_code == "channel_unusable"
    assert_silent(ear.all())


@pytest.mark.parametrize("manner", ["raise", "too few", "no verdicts"])
def test_a_blocking_library_that_breaks_tells_no_secret(crier: type[Crier], manner: str, ear: Ear) -> None:
    """The library's own exception holds the password; only its type may be told."""
    channel = configured("crier", {"place": "x", "manner": manner, "password": PASSWORD})
    a_delivery(channel, lane="blocking-normal")
    drain("blocking-normal")
    ear.hear(ChannelInUse(channel).config)
    assert_silent(ear.all())
