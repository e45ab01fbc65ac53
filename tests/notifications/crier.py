"""A kind of channel for tests of what blocks: it speaks no protocol, and does in Python what a setting says."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from channels_app.base import BlockingTransport, Config, Message, setting
from channels_app.outcomes import Outcome, Verdict


class CrierConfig(Config):
    place: Annotated[str, setting("Whose square it cries in.", example="market")]
    takes_s: Annotated[float, setting("How long each call takes.")] = 0.0
    manner: Annotated[str, setting("well, or a way to fail.")] = "well"
    password: Annotated[str, setting("What opens the square.", secret=True)] = ""


class Crier(BlockingTransport[CrierConfig]):
    """Cries each message out: `cried` holds (place, idempotency id) of all that was begun."""

    kind = "crier"
    label = "Crier"
    Config = CrierConfig

    cried: ClassVar[list[tuple[str, str]]] = []
    #: Those with the manner `hang` wait for it.
    released: ClassVar[threading.Event] = threading.Event()
    _lock: ClassVar[threading.Lock] = threading.Lock()
    at_the_same_time: ClassVar[dict[str, int]] = {}
    most_at_the_same_time: ClassVar[dict[str, int]] = {}

    def send(
        self, messages: Sequence[Message], config: CrierConfig, *, now: datetime, deadline: float
    ) -> Sequence[Verdict]:
        self._count(config.place, 1)
        try:
            return self._cry(messages, config)
        finally:
            self._count(config.place, -1)

    def _cry(self, messages: Sequence[Message], config: CrierConfig) -> Sequence[Verdict]:
        self.cried.extend((config.place, message.idempotency_id) for message in messages)
        if config.manner == "hang":
            self.released.wait(30)
        time.sleep(config.takes_s)
        return _MANNERS.get(config.manner, _well)(messages, config)

    def _count(self, place: str, change: int) -> None:
        with self._lock:
            now = self.at_the_same_time[place] = self.at_the_same_time.get(place, 0) + change
            self.most_at_the_same_time[place] = max(now, self.most_at_the_same_time.get(place, 0))

    @classmethod
    def forget(cls) -> None:
        cls.cried.clear()
        cls.most_at_the_same_time.clear()
        cls.released.clear()


class AtMostOnce(Crier):
    """Nobody knows whether it was sent: then it is not sent again."""

    retries_unknown = False


def _well(messages: Sequence[Message], _config: CrierConfig) -> Sequence[Verdict]:
    return [Verdict(Outcome.OK, 250)] * len(messages)


def _busy(messages: Sequence[Message], _config: CrierConfig) -> Sequence[Verdict]:
    return [Verdict(Outcome.TRANSIENT, 451, "Busy.")] * len(messages)


def _raise(_messages: Sequence[Message], config: CrierConfig) -> Sequence[Verdict]:
    raise RuntimeError(f"no voice, and the password is {config.password}")


def _too_few(_messages: Sequence[Message], _config: CrierConfig) -> Sequence[Verdict]:
    return []


def _no_verdicts(messages: Sequence[Message], _config: CrierConfig) -> Sequence[Verdict]:
    nothing: Any = [None] * len(messages)
    verdicts: Sequence[Verdict] = nothing
    return verdicts


def _odd_codes(messages: Sequence[Message], _config: CrierConfig) -> Sequence[Verdict]:
    return [Verdict(Outcome.TRANSIENT, (-1, 2**40)[place % 2], "Odd.") for place in range(len(messages))]


_MANNERS = {"busy": _busy, "raise": _raise, "too few": _too_few, "no verdicts": _no_verdicts, "odd codes": _odd_codes}
