"""What a worker has in its hands between claim and settle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels_app.base import Message
from channels_app.outcomes import Verdict
from notifications.rulebook import ChannelInUse


@dataclass(frozen=True, slots=True)
class Held:
    """A delivery in our hands: the claimed row, its channel, and the message once it is rendered."""

    row: Any
    channel: ChannelInUse
    message: Message | None = None

    @property
    def told(self) -> Message:
        """The message of a delivery that was prepared."""
        if self.message is None:
            raise ValueError("a delivery is prepared before it is sent")
        return self.message

    @property
    def lease(self) -> tuple[int, int]:
        """(id, token): what every write about it must show."""
        return self.row.id, self.row.token


@dataclass(frozen=True, slots=True)
class Tried:
    """A try that ended: what was tried, what it came to, when it began and how long it took."""

    held: Held
    verdict: Verdict
    started_at: datetime
    duration_ms: int
