"""What may pass to a channel now: its circuit breaker, its pause, its rate limit, asked together.

Asked once a claim and channel, told once a flush, never per delivery. All of it is in Redis and may
be flushed at any time; when Redis is away everything passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifications.held import Tried
from notifications.rulebook import ChannelInUse


@dataclass(frozen=True, slots=True)
class Pass:
    """How many of a channel's deliveries may go on, and what the rest waits for.

    `count` may pass; the first of the rest has its turn at `first_turn`, each further one `spacing_s`
    later.
    """

    count: int
    first_turn: datetime
    spacing_s: float = 0.0
    code: str = ""
    text: str = ""

    def turn(self, place: int) -> datetime:
        """When the delivery at `place` (0 is the first of those held back) may try again."""
        return self.first_turn + timedelta(seconds=self.spacing_s * place)


def ask(wanted: Sequence[tuple[ChannelInUse, int]], now: datetime) -> dict[int, Pass]:
    """For each (channel, how many want to pass): how many may. Keys are channel ids."""
    return {channel.id: Pass(count, now) for channel, count in wanted}


def observe(tried: Sequence[Tried], now: datetime) -> None:
    """Tell breakers what happened, and pause channels that asked us to slow down."""
