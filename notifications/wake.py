"""Ring the bell: tell the workers that a lane, or routing, has something to do.

A message is a wake-up, never the data: losing one costs at most a sweep (one second), two cost
nothing. Publishing to a broker that hangs can block without end, so it never happens in the
caller's way: one thread a process publishes, what it has not yet published is coalesced, and its
errors are logged and swallowed.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import structlog
from celery import current_app
from kombu.transport import virtual

from notifications.lanes import MOST_WAITING, queue_of

#: The lane name that means routing.
ROUTE = "route"

#: Wake-ups of one lane closer together than this are one: whoever works the lane lingers longer.
_COALESCE_S = 0.02

#: How often it is looked whether somebody takes the wake-ups of a lane.
_LOOK_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


def wake(lane: str) -> None:
    """See to it that `lane` (or `ROUTE`) is worked on soon. Never blocks, never raises."""
    _bell().ring(lane)


def publish(lane: str) -> None:
    """Send the wake-up now. Blocks as long as the broker makes it, and raises what it raises."""
    if lane == ROUTE:
        current_app.send_task("notifications.route", queue=ROUTE, ignore_result=True, retry=False)
    else:
        current_app.send_task("notifications.drain", (lane,), queue=queue_of(lane), ignore_result=True, retry=False)


def waiting_in(queue: str, channel: Any) -> int:
    """How many messages wait in a queue, by a channel of kombu's. Raises what the broker's client raises.

    0 on RabbitMQ, which bounds its queues by itself (`project.broker`).
    """
    return channel.queue_declare(queue).message_count if isinstance(channel, virtual.Channel) else 0


class Bell:
    """Publishes wake-ups from a thread of its own."""

    def __init__(self) -> None:
        self._wanted: set[str] = set()
        self._condition = threading.Condition()
        self._pause = threading.Event()
        #: By lane: when it was looked, by the monotonic clock, and whether enough wake-ups waited then.
        self._looked: dict[str, tuple[float, bool]] = {}
        threading.Thread(target=self._run, name="belfry-bell", daemon=True).start()

    def ring(self, lane: str) -> None:
        with self._condition:
            self._wanted.add(lane)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._wanted)
                wanted, self._wanted = self._wanted, set()
            for lane in wanted:
                self._publish(lane)
            self._pause.wait(_COALESCE_S)

    def _publish(self, lane: str) -> None:
        try:
            if not self._are_enough(lane):
                publish(lane)
        except Exception as error:  # noqa: BLE001  Whatever the broker's client raises: the sweep makes up for it.
            _log.warning("wake_up_lost", lane=lane, error=type(error).__name__)

    def _are_enough(self, lane: str) -> bool:
        """Whether so many wake-ups wait already that nobody seems to take them: they would fill the broker."""
        looked_at, enough = self._looked.get(lane, (-_LOOK_EVERY_S, False))
        if time.monotonic() - looked_at >= _LOOK_EVERY_S:
            with current_app.producer_or_acquire() as producer:
                enough = waiting_in(ROUTE if lane == ROUTE else queue_of(lane), producer.channel) >= MOST_WAITING
            self._looked[lane] = time.monotonic(), enough
        return enough


_bells: dict[int, Bell] = {}
_bells_lock = threading.Lock()


def _bell() -> Bell:
    # By process: threads do not survive a fork.
    pid = os.getpid()
    bell = _bells.get(pid)
    if bell is None:
        with _bells_lock:
            bell = _bells.setdefault(pid, _bells.get(pid) or Bell())
    return bell
