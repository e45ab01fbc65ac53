"""What a sweep costs that finds nothing to do, with many finished deliveries in the table."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from django.db import connection

from benchmarks import preload
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from channels_app.models import Channel
from notifications import clock
from notifications.models import Notification
from notifications.sweep import Swept, sweep

_CHANNELS = 100
_TIMES = 100

# Foreign keys are not checked row by row here, nor is anything else left out: all indexes are kept.
_FILL = """
INSERT INTO notifications_delivery (
    notification_id, channel_id, address, state, lane, priority, reason_code, reason, due_at, created_at,
    settled_at, first_attempt_at, cancel_requested, attempts, token, lost_leases)
SELECT ids.id, channels.id, '', CASE WHEN number %% 50 = 0 THEN 'dead' ELSE 'delivered' END, 'http-normal', 5, '', '',
    %(now)s, %(now)s, %(now)s, %(now)s, false, 1, 1, 0
FROM generate_series(%(first)s::int, %(last)s::int) AS number
JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS ids(id, place) ON ids.place = number / %(channels)s + 1
JOIN unnest(%(channel_ids)s::int8[]) WITH ORDINALITY AS channels(id, place)
    ON channels.place = number %% %(channels)s + 1
"""
_BATCH = 500_000


def run(stage: Stage, options: Options) -> Figures:
    """`idle_ms` (median), `rows`, and the same on an empty table."""
    channels = preload.channels(_CHANNELS, stage.sink, "now")
    empty_ms, _ = _idle_ms()
    preload.notifications(-(-options.size // _CHANNELS), body_bytes=300)
    _fill(options.size, channels)
    idle_ms, worst_ms = _idle_ms()
    return {
        "idle_ms": round(idle_ms, 2),
        "rows": options.size,
        "worst_ms": round(worst_ms, 2),
        "idle_empty_ms": round(empty_ms, 2),
    }


def _fill(rows: int, channels: list[Channel]) -> None:
    ids = list(Notification.objects.order_by("id").values_list("id", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for first in range(0, rows, _BATCH):
            last = min(rows, first + _BATCH) - 1
            values: dict[str, Any] = {
                "ids": ids,
                "channel_ids": [channel.pk for channel in channels],
                "channels": _CHANNELS,
                "first": first,
                "last": last,
                "now": clock.now(),
            }
            cursor.execute(_FILL, values)
            say(f"{last + 1} rows")
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM notifications_delivery")
        assert cursor.fetchone()[0] == rows


def _idle_ms() -> tuple[float, float]:
    """Median and longest of many sweeps, in milliseconds."""
    sweep(clock.now())
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        found = sweep(clock.now())
        taken.append((time.perf_counter() - began) * 1000)
        assert found == Swept(duration_ms=found.duration_ms), found
    return median(taken), max(taken)
