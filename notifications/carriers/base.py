"""What a carrier is: it takes prepared deliveries to the world and brings back what came of them.

Fed by `start`, asked for what has ended by `poll`, and told by `wake` (from any thread) that there
is more to start. The pump does not know which kind it drives.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from channels_app.outcomes import Outcome, Verdict
from channels_app.redaction import redacted, without_secrets
from notifications.held import Held, Tried
from notifications.rulebook import ChannelInUse

_log = structlog.get_logger(__name__)

#: What is known of a try whose worker had to end before it did.
STOPPED = Verdict(Outcome.UNKNOWN, 0, "The worker had to stop before an answer came.")


class Carrier(ABC):
    """Takes deliveries out, and brings back what came of them."""

    #: How many deliveries it can have under way.
    capacity: int
    #: How many of one channel, where the channel does not say.
    capacity_of_channel: int

    @abstractmethod
    def start(self, held: Sequence[Held], now: datetime) -> list[Held]:
        """Begin to send `held`. Returns those that find no room now: offered again later, they may be too late."""

    @abstractmethod
    def poll(self, timeout_s: float, clock: Callable[[], datetime]) -> list[Tried]:
        """What has ended; waits at most `timeout_s` for something to end, or for `wake`."""

    @abstractmethod
    def abandon(self) -> list[Tried]:
        """Wait no longer for anything that is under way: nobody knows what became of it."""

    @abstractmethod
    def wake(self) -> None:
        """Make `poll` return. From any thread."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""


def as_taken_here(verdict: Verdict, channel: ChannelInUse) -> Verdict:
    """What a transport made of an answer, as its channel takes it: a refusal may be transient here.

    A far end may also repeat what it was sent, so no secret is in it.
    """
    if verdict.outcome is Outcome.PERMANENT and verdict.code in channel.transient_codes:
        verdict = replace(verdict, outcome=Outcome.TRANSIENT)
    return without_secrets(verdict, channel.config)


def log_bug(event: str, held: Held, error: Exception) -> None:
    """A transport raised what it must not. Its words may repeat the channel's secrets: they are blotted out."""
    _log.error(
        event,
        kind=held.channel.row.kind,
        delivery=getattr(held.row, "id", None),
        error=_shown(held, error),
        # The way to the error without its text: lines of code hold no secrets.
        trace="".join(traceback.format_tb(error.__traceback__)),
    )


def _shown(held: Held, error: Exception) -> str:
    name = type(error).__name__
    try:
        return redacted(f"{name}: {error}", held.channel.config)
    except Exception:  # noqa: BLE001  Whatever keeps the settings shut; nobody knows what to blot out then.
        return name
