"""Questions to the rows: what is in flight, and what still has to move. Reads, and writes nothing."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

_LEASES = "SELECT id, token FROM notifications_delivery WHERE state = 'sending'"

#: Of what was accepted in a span of time, what has not come to its end; channels that fail on purpose left out.
_UNMOVED = """
SELECT (
    SELECT count(*) FROM notifications_notification
    WHERE accepted_at >= %(since)s AND accepted_at < %(until)s AND routed_at IS NULL
) + (
    SELECT count(*) FROM notifications_delivery d
    JOIN notifications_notification n ON n.id = d.notification_id
    JOIN channels_app_channel c ON c.id = d.channel_id
    WHERE n.accepted_at >= %(since)s AND n.accepted_at < %(until)s AND c.key <> ALL(%(but)s)
      AND d.state IN ('pending', 'scheduled', 'sending', 'retrying')
)
"""

_DELIVERED_SINCE = """
SELECT EXISTS (
    SELECT 1 FROM notifications_delivery d JOIN notifications_notification n ON n.id = d.notification_id
    WHERE n.accepted_at >= %(since)s AND d.state = 'delivered'
)
"""

#: Tries of one delivery of which one began before the other had ended.
_OVERLAPPING = """
SELECT count(*) FROM notifications_attempt a
JOIN notifications_attempt b ON b.delivery_id = a.delivery_id AND b.id > a.id
WHERE a.started_at >= %(since)s AND a.started_at < b.started_at
  AND b.started_at < a.started_at + (a.duration_ms - %(slack_ms)s) * interval '1 ms'
"""
#: Durations are measured by another clock than beginnings.
_SLACK_MS = 50

_OPEN_IDS = """
SELECT id FROM notifications_delivery WHERE state IN ('pending', 'retrying') ORDER BY id DESC LIMIT %s
"""

_BLOCKED = """
SELECT DISTINCT pid FROM pg_locks
WHERE NOT granted AND locktype = 'relation' AND relation = %s::regclass
"""

#: Before everything, and after it.
EVER, NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Observer:
    """Asks the database at `url` over one connection, which is made anew when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def now(self) -> datetime:
        """The database's time. Raises `psycopg.OperationalError` while it is away, as all of these do."""
        when: datetime = self._ask("SELECT clock_timestamp()")
        return when

    def in_flight(self) -> int:
        """How many deliveries workers hold."""
        return len(self.leases())

    def leases(self) -> frozenset[tuple[int, int]]:
        """Id and token of each delivery that a worker holds."""
        with self._connected() as connection:
            return frozenset(connection.execute(_LEASES).fetchall())

    def unmoved(self, since: datetime, until: datetime = NEVER, *, but: Sequence[str] = ()) -> int:
        """How much of what was accepted from `since` on and before `until` is not at its end; not in channels `but`."""
        return int(self._ask(_UNMOVED, {"since": since, "until": until, "but": list(but)}))

    def delivered(self, since: datetime) -> bool:
        """Whether anything that was accepted from `since` on was delivered."""
        return bool(self._ask(_DELIVERED_SINCE, {"since": since}))

    def overlapping(self, since: datetime) -> int:
        """How often two tries of one delivery were under way at the same time, of those that were written down."""
        return int(self._ask(_OVERLAPPING, {"since": since, "slack_ms": _SLACK_MS}))

    def open_deliveries(self, most: int) -> list[int]:
        """Ids of deliveries that somebody may claim, the newest first."""
        with self._connected() as connection:
            return [row[0] for row in connection.execute(_OPEN_IDS, (most,)).fetchall()]

    def blocked_on(self, table: str) -> list[int]:
        """The backends that wait for a lock on `table`."""
        with self._connected() as connection:
            return [row[0] for row in connection.execute(_BLOCKED, (table,)).fetchall()]

    def do(self, statement: str, *values: Any) -> None:
        """An order to the server itself: terminate a backend, refuse connections."""
        with self._connected() as connection:
            connection.execute(statement.encode(), values or None)

    @contextlib.contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """While this is entered nobody writes to `table`; whoever tries to, waits."""
        with psycopg.connect(self._url) as connection:
            connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE".encode())
            yield
            connection.rollback()

    def _ask(self, question: str, values: dict[str, Any] | None = None) -> Any:
        with self._connected() as connection:
            row = connection.execute(question.encode(), values).fetchone()
        return row[0] if row else None

    @contextlib.contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=2)
            try:
                yield self._connection
            except psycopg.OperationalError:
                self.close()
                raise
