"""A bounded queue into feeds, for callers that must never wait and can bear a loss.

One thread a process takes whatever waits, up to a statement full, and writes it at once: under load
the statements get larger instead of more. What does not fit into the queue is dropped, the newest first,
and so is what cannot be written; both are counted and logged.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection
from prometheus_client import Counter

from channels_app.feed import writing
from channels_app.feed.item import NewItem
from channels_app.statement import AWAY

CAPACITY = 10_000
#: Items of one statement.
AT_ONCE = 1000
#: Seconds that a process waits at its end for what is queued.
DRAIN_S = 5.0
#: Drops are logged so often.
_REPORT_EVERY_S = 10.0

DROPPED = Counter(
    "belfry_feed_best_effort_dropped_total", "Items that were published with best effort and dropped.", ["reason"]
)

_log = structlog.get_logger(__name__)

Publish = Callable[[Sequence[NewItem]], object]


class BestEffortQueue:
    """A queue and the thread that empties it; the thread starts with the first item."""

    def __init__(self, publish: Publish, *, capacity: int = CAPACITY) -> None:
        self._publish = publish
        self._waiting: queue.Queue[NewItem] = queue.Queue(capacity)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reported_at = -_REPORT_EVERY_S

    def offer(self, item: NewItem) -> bool:
        """Take `item`, or drop it at once where the queue is full. Never waits, never raises."""
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            self._drop(1, "full")
            return False
        self._ensure_thread()
        return True

    def drain(self, timeout_s: float = DRAIN_S) -> bool:
        """Wait until what was taken is written. False when the time was not enough."""
        give_up_at = time.monotonic() + timeout_s
        with self._waiting.all_tasks_done:
            while self._waiting.unfinished_tasks:
                left_s = give_up_at - time.monotonic()
                if left_s <= 0:
                    return False
                self._waiting.all_tasks_done.wait(left_s)
        return True

    def close(self) -> None:
        """Drain at the end of the process; what is left then is lost, and counted."""
        if not self.drain():
            self._drop(self._waiting.unfinished_tasks, "shutdown")

    def _ensure_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            # After a fork the thread is the parent's, and not alive here.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="feed-best-effort", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                self._write(batch)
            finally:
                for _ in batch:
                    self._waiting.task_done()

    def _write(self, batch: Sequence[NewItem]) -> None:
        try:
            self._publish_surely(batch)
        except (DataError, IntegrityError) as error:
            if len(batch) == 1:
                self._drop(1, "refused", error)
                return
            for item in batch:
                self._write([item])
        except (DatabaseError, InterfaceError) as error:
            connection.close()
            self._drop(len(batch), "database", error)
        except Exception as error:  # noqa: BLE001  The thread outlives whatever one batch meets.
            self._drop(len(batch), "error", error)

    def _publish_surely(self, batch: Sequence[NewItem]) -> None:
        """Once more on a fresh connection, because the one of a thread that had nothing to do may have been closed."""
        try:
            self._publish(batch)
        except AWAY:
            connection.close()
            self._publish(batch)

    def _drop(self, count: int, reason: str, error: Exception | None = None) -> None:
        DROPPED.labels(reason).inc(count)
        if time.monotonic() - self._reported_at >= _REPORT_EVERY_S:
            self._reported_at = time.monotonic()
            _log.warning("feed_items_dropped", items=count, reason=reason, error=type(error).__name__ if error else "")


def enqueue_publish(item: NewItem) -> bool:
    """Publish `item` soon, from another thread. False: the queue is full and the item is dropped, and counted."""
    return _queue.offer(item)


def drain(timeout_s: float = DRAIN_S) -> bool:
    """Wait until what is queued is written. False when the time was not enough."""
    return _queue.drain(timeout_s)


def _publish_now(items: Sequence[NewItem]) -> None:
    writing.publish(items, now=datetime.now(UTC))


_queue = BestEffortQueue(_publish_now)
atexit.register(_queue.close)
