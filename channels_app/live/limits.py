"""What a live process and its connections may do at most. Each is a setting, `docs/live.md` has the table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from django.conf import settings

#: The part of a rate that is promised to those who were turned away.
_TURNS = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds and waits. `from_settings` takes `BELFRY_LIVE_<NAME>` for each."""

    #: Open connections of a process, and of one recipient in it.
    connections: int = 20_000
    connections_per_recipient: int = 10
    #: New connections a second, after a burst of twice as many.
    accepts_per_s: int = 2_000
    #: Changes, and bytes of them, that wait for one connection. What is more is read again from the feed.
    queue_events: int = 256
    queue_bytes: int = 262_144
    #: Messages without an acknowledgement.
    window: int = 64
    #: Without one after so long, all of them are sent again, so often.
    resend_s: float = 10.0
    resends: int = 5
    #: How often the far end must give a sign of life, and how long it may take for that.
    ping_s: float = 25.0
    pong_s: float = 10.0
    #: How long a WebSocket may take to show a ticket, and anything to be written.
    auth_s: float = 10.0
    send_s: float = 30.0
    #: How long a connection lasts, give or take a tenth.
    life_s: float = 14_400.0
    #: How often a session or token is asked again whether it still counts.
    reauth_s: float = 300.0
    #: How often all positions are compared with the feed: usually, and while hints are not to be had.
    check_s: float = 25.0
    degraded_check_s: float = 3.0
    #: Bytes of one frame of a client, and how many others than acknowledgements it may send a second.
    frame_bytes: int = 4_096
    frames_per_s: int = 20
    #: Over how long those spread their coming back who are sent away at a shutdown, or were too many at once.
    spread_s: float = 10.0

    @classmethod
    def from_settings(cls) -> Self:
        return cls(**{each.name: getattr(settings, f"BELFRY_LIVE_{each.name.upper()}") for each in fields(cls)})


class Rate:
    """So many a second, after a burst of at most `burst`. Seconds are of any steady clock."""

    __slots__ = ("_burst", "_left", "_per_s", "_seen_at", "_turns_until")

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s, self._burst, self._left, self._seen_at = per_s, burst, burst, now
        self._turns_until = now

    def take(self, now: float) -> bool:
        """Whether one more is within the rate."""
        self._left = min(self._burst, self._left + (now - self._seen_at) * self._per_s)
        self._seen_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def turn_s(self, now: float, *, within_s: float) -> float | None:
        """In how many seconds one that is too many may come again: each in its turn, so that all find room.

        None where all turns of the next `within_s` are given away. Turns take up a part of the rate: the rest is for
        those who come for the first time.
        """
        turn = max(self._turns_until, now) + 1.0 / (_TURNS * self._per_s)
        if turn > now + within_s:
            return None
        self._turns_until = turn
        return turn - now
