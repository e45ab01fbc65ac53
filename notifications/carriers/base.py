"""What a carrier is: it takes prepared deliveries to the world and brings back what came of them.

Fed by `start`, asked for what has ended by `poll`, and told by `wake` (from any thread) that there
is more to start. The pump does not know which kind it drives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime

from notifications.held import Held, Tried


class Carrier(ABC):
    """Takes deliveries out, and brings back what came of them."""

    #: How many deliveries it can have under way.
    capacity: int
    #: How many of one channel, where the channel does not say.
    capacity_of_channel: int

    @abstractmethod
    def start(self, held: Sequence[Held], now: datetime) -> None:
        """Begin to send all of `held`."""

    @abstractmethod
    def poll(self, timeout_s: float, clock: Callable[[], datetime]) -> list[Tried]:
        """What has ended; waits at most `timeout_s` for something to end, or for `wake`."""

    @abstractmethod
    def wake(self) -> None:
        """Make `poll` return. From any thread."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""
