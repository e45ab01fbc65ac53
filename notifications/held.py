"""What a worker has in its hands between claim and settle.

Structs and not dataclasses: tens of thousands of these are made every second, and making a frozen
dataclass costs about eight times as much.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec

from channels_app.base import Message
from channels_app.outcomes import Verdict
from notifications.rulebook import ChannelInUse


class Held(msgspec.Struct, frozen=True, gc=False):
    """A delivery in our hands: the claimed row, its channel, and its message, rendered."""

    row: Any
    channel: ChannelInUse
    message: Message
    #: Until when the lease lasts that it was claimed with, by the machine's uptime.
    leased_until: float = math.inf

    @property
    def lease(self) -> tuple[int, int]:
        """(id, token): what every write about it must show."""
        return self.row.id, self.row.token


class Tried(msgspec.Struct, frozen=True, gc=False):
    """A try that ended: what was tried, what it came to, when it began and how long it took."""

    held: Held
    verdict: Verdict
    started_at: datetime
    duration_ms: int
