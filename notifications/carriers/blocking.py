"""Libraries that block: a few threads, one call a channel and batch, abandoned when it takes too long."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from channels_app.base import BlockingTransport
from channels_app.outcomes import Outcome, Verdict
from notifications.carriers.base import STOPPED, Carrier, as_taken_here, log_bug
from notifications.held import Held, Tried

#: Blocking calls at the same time, per pump, and of one channel.
CALLS, CALLS_OF_CHANNEL = 8, 2
#: Deliveries of one channel that share a call (and so a connection).
BATCH = 20
#: A call is abandoned when it is so late, as a share of its time.
GRACE = 0.25

_ABANDONED = Verdict(Outcome.UNKNOWN, 0, "It took too long and was abandoned.")


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """One call of a library, from the moment it begins."""

    held: Sequence[Held]
    began_at: datetime
    #: Both by the monotonic clock.
    began: float
    deadline: float

    @property
    def channel_id(self) -> int:
        return self.held[0].channel.id

    def is_overdue(self, elapsed: float) -> bool:
        """Whether the library ignores its deadline. One that keeps it has time to say what came of each message."""
        return elapsed > self.deadline + (self.deadline - self.began) * GRACE


@dataclass(slots=True)
class _Ended:
    """What the calls' threads leave for the carrier's own."""

    lock: threading.Condition = field(default_factory=threading.Condition)
    calls: list[tuple[_Call, list[Verdict]]] = field(default_factory=list)
    woken: bool = False


class BlockingCarrier(Carrier):
    """Drives `BlockingTransport.send` on threads.

    Each call has a thread of its own, and as long as one try may take on its channel: by then its transport
    has broken off what is not done. One that does not is abandoned: it takes nobody's place, and does not
    keep the process alive.
    """

    capacity = CALLS * BATCH
    capacity_of_channel = BATCH

    def __init__(self) -> None:
        self._running: set[_Call] = set()
        self._ended = _Ended()

    def start(self, held: Sequence[Held], now: datetime) -> list[Held]:
        by_channel: dict[int, deque[Held]] = {}
        for one in held:
            by_channel.setdefault(one.channel.id, deque()).append(one)
        calls_of = Counter(call.channel_id for call in self._running)
        for channel_id, group in by_channel.items():
            while group and len(self._running) < CALLS and calls_of[channel_id] < CALLS_OF_CHANNEL:
                self._call(_batch(group, now), now)
                calls_of[channel_id] += 1
        return [one for group in by_channel.values() for one in group]

    def poll(self, timeout_s: float, clock: Callable[[], datetime]) -> list[Tried]:
        with self._ended.lock:
            self._ended.lock.wait_for(lambda: self._ended.calls or self._ended.woken, timeout_s)
            self._ended.woken = False
            ended, self._ended.calls = self._ended.calls, []
        tried = [one for call, verdicts in ended for one in self._finish(call, verdicts)]
        elapsed = time.monotonic()
        for call in [call for call in self._running if call.is_overdue(elapsed)]:
            tried += self._finish(call, [_ABANDONED] * len(call.held))
        return tried

    def abandon(self) -> list[Tried]:
        return [one for call in list(self._running) for one in self._finish(call, [STOPPED] * len(call.held))]

    def wake(self) -> None:
        with self._ended.lock:
            self._ended.woken = True
            self._ended.lock.notify()

    def close(self) -> None:
        """Nothing to let go of: the threads end with their calls, or with the process."""

    def _call(self, held: Sequence[Held], now: datetime) -> None:
        began = time.monotonic()
        call = _Call(held, now, began, began + held[0].channel.timeout_s)
        self._running.add(call)
        threading.Thread(target=self._send, args=(call,), name="belfry-blocking", daemon=True).start()

    def _send(self, call: _Call) -> None:
        verdicts = send_blocking(call.held, call.began_at, deadline=call.deadline)
        with self._ended.lock:
            self._ended.calls.append((call, verdicts))
            self._ended.lock.notify()

    def _finish(self, call: _Call, verdicts: Sequence[Verdict]) -> list[Tried]:
        if call not in self._running:  # It was abandoned before it came to an end.
            return []
        self._running.discard(call)
        duration_ms = int((time.monotonic() - call.began) * 1000)
        pairs = zip(call.held, verdicts, strict=True)
        return [Tried(one, verdict, call.began_at, duration_ms) for one, verdict in pairs]


def _batch(group: deque[Held], now: datetime) -> list[Held]:
    """Take what shares a call. Only its first is sure to begin now: what may expire meanwhile waits for its own."""
    batch = [group.popleft()]
    while group and len(batch) < BATCH and not _may_expire(group[0], now):
        batch.append(group.popleft())
    return batch


def _may_expire(held: Held, now: datetime) -> bool:
    expires_at: datetime | None = held.row.expires_at
    return expires_at is not None and expires_at <= now + timedelta(seconds=held.channel.timeout_s)


def send_blocking(held: Sequence[Held], now: datetime, *, deadline: float) -> list[Verdict]:
    """Send deliveries of one channel through its blocking transport: one verdict each, whatever happens.

    `deadline` is a time of the monotonic clock, by which the transport is to return.
    """
    channel, messages = held[0].channel, [one.message for one in held]
    try:
        transport: BlockingTransport[Any] = channel.transport  # type: ignore[assignment]
        told = transport.send(messages, channel.config, now=now, deadline=deadline)
        verdicts = [as_taken_here(verdict, channel) for verdict in told]
        if len(verdicts) == len(held):
            return verdicts
        detail = f"The transport gave {len(verdicts)} verdicts for {len(held)} messages."
    except Exception as error:  # noqa: BLE001  What it had sent by then, nobody knows.
        log_bug("transport_failed_to_send", held[0], error)
        detail = f"The transport failed while sending ({type(error).__name__})."
    return [Verdict(Outcome.UNKNOWN, 0, detail)] * len(held)
