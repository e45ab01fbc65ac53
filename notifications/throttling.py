"""Channels that take nothing and only ask us to slow down: since when, as far as this worker has seen.

No breaker opens by that, and no attempt is counted, so without this a far end could go on with it for ever.
What was seen is kept in memory: nothing is written for the short pauses that many far ends ask for every day.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

#: So long after the first time nobody draws any consequence.
NOTED_AFTER = timedelta(hours=1)

#: Longer than the longest pause that a far end may ask for. Who was not asked for so long may have recovered.
FORGOTTEN_AFTER = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class _Asking:
    since: datetime
    last: datetime

    def is_forgotten(self, now: datetime) -> bool:
        return now - self.last > FORGOTTEN_AFTER

    def lasts(self, now: datetime) -> bool:
        return not self.is_forgotten(now) and now - self.since >= NOTED_AFTER


@dataclass(slots=True)
class Throttling:
    """What one worker has seen. Used by several threads."""

    _asking: dict[int, _Asking] = field(default_factory=dict)

    def note(self, channel_id: int, now: datetime) -> None:
        """It asked us to slow down."""
        before = self._asking.get(channel_id)
        if before is None or before.is_forgotten(now):
            before = _Asking(now, now)
        self._asking[channel_id] = replace(before, last=now)

    def forget(self, channel_id: int) -> None:
        """It gave a sign of life."""
        self._asking.pop(channel_id, None)

    def since(self, channel_id: int, now: datetime) -> datetime | None:
        """Since when it has only asked us to slow down, where that lasts."""
        asking = self._asking.get(channel_id)
        return asking.since if asking is not None and asking.lasts(now) else None
