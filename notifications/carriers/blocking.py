"""Libraries that block: a few threads, one call a channel and batch, abandoned when it takes too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from channels_app.base import BlockingTransport
from channels_app.outcomes import Outcome, Verdict
from channels_app.redaction import without_secrets
from notifications.carriers.base import Carrier
from notifications.held import Held, Tried

_log = structlog.get_logger(__name__)

#: Blocking calls at the same time, per pump.
CALLS = 8
#: Deliveries of one channel that share a call (and so a connection).
BATCH = 20


@dataclass(slots=True, eq=False)
class _Call:
    held: Sequence[Held]
    started_at: datetime
    started: float
    deadline: float
    verdicts: list[Verdict] | None = None


@dataclass(slots=True)
class _Ended:
    lock: threading.Condition = field(default_factory=threading.Condition)
    calls: list[_Call] = field(default_factory=list)
    woken: bool = False


class BlockingCarrier(Carrier):
    """Drives `BlockingTransport.send` on threads."""

    capacity = CALLS * BATCH
    capacity_of_channel = BATCH

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(CALLS, thread_name_prefix="belfry-blocking")
        self._running: set[_Call] = set()
        self._ended = _Ended()

    def start(self, held: Sequence[Held], now: datetime) -> None:
        by_channel: dict[int, list[Held]] = {}
        for one in held:
            by_channel.setdefault(one.channel.id, []).append(one)
        for group in by_channel.values():
            for first in range(0, len(group), BATCH):
                self._call(group[first : first + BATCH], now)

    def _call(self, held: Sequence[Held], now: datetime) -> None:
        started = time.monotonic()
        call = _Call(held, now, started, started + held[0].channel.timeout_s * (1 + len(held) / 4))
        self._running.add(call)
        self._threads.submit(self._send, call)

    def _send(self, call: _Call) -> None:
        verdicts = send_blocking(call.held, call.started_at)
        with self._ended.lock:
            call.verdicts = verdicts
            self._ended.calls.append(call)
            self._ended.lock.notify()

    def poll(self, timeout_s: float, clock: Callable[[], datetime]) -> list[Tried]:
        with self._ended.lock:
            self._ended.lock.wait_for(lambda: self._ended.calls or self._ended.woken, timeout_s)
            self._ended.woken = False
            calls, self._ended.calls = self._ended.calls, []
        return [tried for call in [*calls, *self._overdue()] for tried in self._finish(call)]

    def _overdue(self) -> list[_Call]:
        elapsed = time.monotonic()
        overdue = [call for call in self._running if call.deadline < elapsed and call.verdicts is None]
        for call in overdue:
            call.verdicts = [Verdict(Outcome.UNKNOWN, 0, "It took too long and was abandoned.")] * len(call.held)
        return overdue

    def _finish(self, call: _Call) -> list[Tried]:
        if call not in self._running:  # It was abandoned before it came to an end.
            return []
        self._running.discard(call)
        duration_ms = int((time.monotonic() - call.started) * 1000)
        pairs = zip(call.held, call.verdicts or (), strict=True)
        return [Tried(one, verdict, call.started_at, duration_ms) for one, verdict in pairs]

    def wake(self) -> None:
        with self._ended.lock:
            self._ended.woken = True
            self._ended.lock.notify()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def send_blocking(held: Sequence[Held], now: datetime) -> list[Verdict]:
    """Send deliveries of one channel through its blocking transport: one verdict each, whatever happens."""
    transport: BlockingTransport[Any] = held[0].channel.transport  # type: ignore[assignment]
    messages = [one.message for one in held]
    try:
        config = held[0].channel.config
        verdicts = [without_secrets(verdict, config) for verdict in transport.send(messages, config, now=now)]
        if len(verdicts) == len(held):
            return verdicts
        detail = f"The transport gave {len(verdicts)} verdicts for {len(held)} messages."
    except Exception as error:  # noqa: BLE001  What it had sent by then, nobody knows.
        _log.exception("transport_failed_to_send", kind=transport.kind)
        detail = f"The transport failed while sending ({type(error).__name__})."
    return [Verdict(Outcome.UNKNOWN, 0, detail)] * len(held)
