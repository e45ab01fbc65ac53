"""How well the live process hears: `ok`, `degraded` while it has to ask the feed itself, `down` without the feed."""

from __future__ import annotations

from channels_app.live.event import Control

OK, DEGRADED, DOWN = "ok", "degraded", "down"
#: The parts it depends on.
PARTS = BUS, BROKER, DATABASE = "bus", "broker", "database"

#: How often clients may ask for themselves meanwhile.
_POLL_MS = 5_000


class Network:
    """Which parts are away now."""

    def __init__(self) -> None:
        self._away: set[str] = set()

    def note(self, part: str, *, well: bool) -> bool:
        """Remember how `part` is. Whether that changes what clients are told."""
        before = self.status
        if well:
            self._away.discard(part)
        else:
            self._away.add(part)
        return self.status != before

    def is_away(self, part: str) -> bool:
        return part in self._away

    @property
    def status(self) -> str:
        if DATABASE in self._away:
            return DOWN
        return DEGRADED if self._away else OK

    def word(self) -> Control:
        """What clients are told."""
        poll = {} if self.status == OK else {"poll_ms": _POLL_MS}
        return Control("net", {"status": self.status, **poll})
