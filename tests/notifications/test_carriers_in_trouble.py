"""Far ends that never come to an end, and channels whose settings cannot be opened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from channels_app import http
from channels_app.base import Response
from channels_app.models import Channel
from channels_app.outcomes import Outcome, Verdict
from notifications import clock
from notifications.carriers import BlockingCarrier, HttpCarrier, send_blocking
from notifications.carriers.http import interpret
from notifications.held import Held
from notifications.models import Attempt
from notifications.rulebook import ChannelInUse
from tests.channels_app.far_end import Visit, far_end, silent
from tests.contracts.samples import message
from tests.notifications.crier import Crier
from tests.notifications.scene import configured, drain, eventually, many_deliveries, states

LANE = "blocking-normal"


def mailbox(port: int, **fields: Any) -> Channel:
    server = {"host": "127.0.0.1", "port": port, "security": "none"}
    return configured("email", {**server, "from_address": "a@example.org", "to": ["b@example.org"]}, **fields)


def sending_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "belfry-blocking"]


def drips(visit: Visit) -> None:
    while True:
        visit.answer(b"2")
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
class TestTarpits:
    @pytest.mark.parametrize("behaviour", [silent, drips])
    def test_a_server_without_end_gets_one_connection_a_try_and_leaves_no_thread(
        self, behaviour: Callable[[Visit], None]
    ) -> None:
        with far_end(behaviour) as server:
            many_deliveries([mailbox(server.port, timeout_s=0.5, max_in_flight=1)], 3, lane=LANE)
            began = time.monotonic()
            drain(LANE, budget_s=0.4)
            assert time.monotonic() - began < 3
            assert not [thread for thread in sending_threads() if thread.is_alive()]
            tries = Attempt.objects.count()
            assert 1 <= len(server.visits) == tries
        assert set(Attempt.objects.values_list("outcome", "detail")) == {("transient", "No answer came in time.")}

    def test_a_server_that_swallows_a_mail_gets_it_once_a_try_and_the_others_wait(self) -> None:
        swallowed: list[bytes] = []

        def swallow(visit: Visit) -> None:
            reader = visit.connection.makefile("rb")
            visit.answer(b"220 here\r\n")
            for answer in (b"250 ehlo", b"250 mail", b"250 rcpt", b"354 data"):
                reader.readline()
                visit.answer(answer + b"\r\n")
            swallowed.extend(line for line in reader if line.startswith(b"Message-ID"))

        with far_end(swallow) as server:
            channel = mailbox(server.port, timeout_s=0.5)
            many_deliveries([channel], 3, lane=LANE)
            drain(LANE)
            eventually(lambda: not sending_threads())
        assert len(swallowed) == 1
        assert states() == {"retrying": 1, "scheduled": 2}
        assert list(Attempt.objects.filter(outcome="unknown").values_list("code", flat=True)) == [0]


@pytest.mark.django_db
class TestChannelsThatCannotBeOpened:
    def held(self, kind: str, settings: dict[str, Any]) -> Held:
        channel = configured(kind, settings)
        return Held(None, ChannelInUse(Channel.objects.get(pk=channel.pk)), message())

    @pytest.mark.usefixtures("crier")
    @pytest.mark.parametrize("keys", [{}, {"other": "x" * 43 + "="}])
    def test_settings_that_stay_shut_are_a_verdict(self, keys: dict[str, str]) -> None:
        blocking = self.held("crier", {"place": "shut", "password": "canary-of-crier"})
        over_http = self.held("webhook", {"url": "https://example.org/canary"})
        with override_settings(BELFRY_CHANNEL_KEYS=keys):
            [verdict] = sent(blocking)
            assert verdict.outcome is Outcome.UNKNOWN
            carrier = HttpCarrier(10, http.default_rules())
            carrier.start([over_http], clock.now())
            [tried] = carrier.poll(0.1, clock.now)
            carrier.close()
            assert tried.verdict.outcome is Outcome.PERMANENT
            shown = interpret(over_http, Response(500, {}, b"canary"), clock.now())
        assert (shown.outcome, "canary" in shown.detail) == (Outcome.UNKNOWN, False)

    def test_a_transport_that_was_uninstalled_is_a_verdict(
        self, crier: type[Crier], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = self.held("crier", {"place": "gone"})
        monkeypatch.undo()
        assert sent(held)[0].outcome is Outcome.UNKNOWN
        carrier = BlockingCarrier()
        carrier.start([held], clock.now())
        [tried] = carrier.poll(5.0, clock.now)
        assert tried.verdict.outcome is Outcome.UNKNOWN
        assert interpret(held, Response(200, {}, b""), clock.now()).outcome is Outcome.UNKNOWN
        assert crier.cried == []


def sent(held: Held) -> list[Verdict]:
    return send_blocking([held], clock.now(), deadline=time.monotonic() + 5)
