"""One HTTP request a delivery, hundreds at once from one thread, connections kept alive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels_app import http
from channels_app.base import CannotBuild, HttpTransport, Request, Response
from channels_app.no_answer import verdict_of
from channels_app.outcomes import Outcome, Verdict
from channels_app.redaction import without_secrets
from notifications.carriers.base import STOPPED, Carrier, as_taken_here, log_bug
from notifications.held import Held, Tried


@dataclass(frozen=True, slots=True)
class _Sent:
    held: Held
    started_at: datetime
    started: float


class HttpCarrier(Carrier):
    """Drives `channels_app.http.Exchanges`."""

    capacity_of_channel = 100

    def __init__(self, capacity: int, rules: http.Rules) -> None:
        self.capacity = capacity
        self._exchanges: http.Exchanges[_Sent] = http.Exchanges(rules)
        self._unbuilt: list[Tried] = []

    def start(self, held: Sequence[Held], now: datetime) -> list[Held]:
        for one in held:
            request = build(one, now)
            if isinstance(request, Verdict):
                self._unbuilt.append(Tried(one, request, now, 0))
            else:
                sent = _Sent(one, now, time.monotonic())
                self._exchanges.start(sent, request, timeout_s=one.channel.timeout_s)
        return []

    def poll(self, timeout_s: float, clock: Callable[[], datetime]) -> list[Tried]:
        unbuilt, self._unbuilt = self._unbuilt, []
        ended = self._exchanges.poll(0.0 if unbuilt else timeout_s)
        if not ended:
            return unbuilt
        now, elapsed = clock(), time.monotonic()
        return unbuilt + [
            Tried(sent.held, interpret(sent.held, end, now), sent.started_at, int((elapsed - sent.started) * 1000))
            for sent, end in ended
        ]

    def abandon(self) -> list[Tried]:
        elapsed = time.monotonic()
        return [
            Tried(sent.held, STOPPED, sent.started_at, int((elapsed - sent.started) * 1000))
            for sent in self._exchanges.abandon()
        ]

    def wake(self) -> None:
        self._exchanges.wake()

    def close(self) -> None:
        self._exchanges.close()


def send_one(held: Held, now: datetime, rules: http.Rules) -> Verdict:
    """Send a single delivery and wait for its end."""
    request = build(held, now)
    if isinstance(request, Verdict):
        return request
    return interpret(held, http.exchange(request, timeout_s=held.channel.timeout_s, rules=rules), now)


def build(held: Held, now: datetime) -> Request | Verdict:
    """The request, or the verdict on a message that cannot be told on this channel."""
    try:
        transport: HttpTransport[Any] = held.channel.transport  # type: ignore[assignment]
        return transport.build(held.message, held.channel.config, now=now)
    except CannotBuild as error:
        return without_secrets(Verdict(Outcome.PERMANENT, 0, str(error)), held.channel.config)
    except Exception as error:  # noqa: BLE001  A bug in one transport must not stop the others' deliveries.
        log_bug("transport_failed_to_build", held, error)
        return Verdict(Outcome.PERMANENT, 0, f"The transport failed to build it ({type(error).__name__}).")


def interpret(held: Held, end: http.Ended, now: datetime) -> Verdict:
    """What the end of an exchange means, in the transport's reading."""
    if not isinstance(end, Response):
        return verdict_of(end)
    try:
        transport: HttpTransport[Any] = held.channel.transport  # type: ignore[assignment]
        return as_taken_here(transport.interpret(end, now=now), held.channel)
    except Exception as error:  # noqa: BLE001  The far end can answer anything; who trips over it must not stop the pump.
        log_bug("transport_failed_to_interpret", held, error)
        return Verdict(Outcome.UNKNOWN, end.status, "The transport could not read the answer.")
