"""Who is there: which devices of a recipient hold a live connection now, and whether somebody looks at one.

Kept in Redis for all processes, each connection with a time after which it counts as gone: a process that dies takes
its connections with it. It is a hint, whether to push now or to wait for an ack; what is stored never depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from channels_app.volatile import Script, Volatile, default_volatile

#: How long a connection counts that nobody speaks of, and one that was left: its page may only be loading anew.
TTL_S, GRACE_S = 60, 15

_TOUCH = Script("presence_touch")
_LOOK = Script("presence_look")
_SEPARATOR = "|"


class Being(StrEnum):
    """How a connection is there."""

    ON = "on"
    FOCUSED = "focused"
    LEAVING = "leaving"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Seat:
    """One live connection. `node` is the process that holds it."""

    connection: str
    node: str
    transport: str
    device: str
    focused: bool = False

    def __str__(self) -> str:
        return _SEPARATOR.join((self.connection, self.node, self.transport, self.device))


class Presence:
    """Safe to share between threads. Raises `volatile.Away`."""

    def __init__(self, volatile: Volatile) -> None:
        self._volatile = volatile

    def touch(self, seats: Sequence[tuple[str, Seat, Being]]) -> None:
        """Say how connections are there: recipient, seat, being."""
        if seats:
            keys = [key for recipient, _, _ in seats for key in _keys(recipient)]
            self._volatile.run(_TOUCH, keys, (TTL_S, GRACE_S, [(str(seat), being) for _, seat, being in seats]))

    def seats(self, recipients: Sequence[str]) -> dict[str, list[Seat]]:
        """The live connections of those of `recipients` who have any."""
        if not recipients:
            return {}
        answers = self._volatile.run(_LOOK, [key for recipient in recipients for key in _keys(recipient)], None)
        found = {who: _seats(answer) for who, answer in zip(recipients, answers, strict=True) if answer}
        return {who: seats for who, seats in found.items() if seats}

    def online(self, recipients: Sequence[str]) -> set[str]:
        """Those of `recipients` who are there."""
        return set(self.seats(recipients))


def default_presence() -> Presence:
    """That in the Redis of the settings."""
    return Presence(default_volatile())


def _keys(recipient: str) -> tuple[str, str]:
    return f"belfry:presence:{recipient}", f"belfry:presence:focused:{recipient}"


def _seats(answer: Sequence[Sequence[str]]) -> list[Seat]:
    there, focused = answer
    return [_seat(name, focused=name in focused) for name in there]


def _seat(name: str, *, focused: bool) -> Seat:
    connection, node, transport, device = name.split(_SEPARATOR, 3)
    return Seat(connection, node, transport, device, focused)
