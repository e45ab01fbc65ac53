"""One live connection: who is at its other end, how to reach them, and when something about it is due.

Thousands of these wait in a process, so each is one object with slots, without a task or a timer of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime
from typing import Protocol
from uuid import UUID

from channels_app.live.codes import Code
from channels_app.live.event import NOWHERE, place_at
from channels_app.live.frames import Dialect
from channels_app.live.identity import Identity
from channels_app.live.limits import Limits
from channels_app.live.outbox import Outbox

#: A connection that is to end and does not is cut off after so long.
END_S = 5.0


class Wire(Protocol):
    """The socket below, as ASGI gives it."""

    async def send(self, frame: bytes) -> None:
        """Write a frame; waits while the far end reads too slowly."""

    async def end(self, bye: bytes, code: Code) -> None:
        """Say why, and end in order."""

    def ping(self, number: int) -> None:
        """Ask the far end's machine, not its program, for a sign of life; where there is such a thing."""

    def abort(self) -> None:
        """Cut it off, whatever still waits to be written."""


class Connection(Outbox):
    """Times are seconds of the loop's clock; 0 means never."""

    __slots__ = (
        "blocked_since",
        "closing",
        "ends_at",
        "focused",
        "frames",
        "frames_second",
        "id",
        "identity",
        "invalid",
        "opened",
        "ping_at",
        "pings",
        "pong_by",
        "reauth_at",
        "retry_ms",
        "since",
        "turn",
        "wire",
        "writer",
    )

    def __init__(self, identity: Identity, wire: Wire, dialect: Dialect, limits: Limits, *, since: datetime) -> None:
        super().__init__(dialect, limits)
        self.id = f"c_{secrets.token_hex(8)}"
        self.identity, self.wire, self.since = identity, wire, since
        #: Whether anything can be written yet.
        self.opened = False
        #: Whether the client came with something that is no cursor.
        self.invalid = False
        self.turn = 0
        self.writer: asyncio.Task[None] | None = None
        #: Since when something is being written.
        self.blocked_since = 0.0
        self.ping_at = self.pong_by = self.ends_at = self.reauth_at = 0.0
        self.pings = 0
        self.closing: Code | None = None
        self.retry_ms = 0
        #: Whether somebody looks at the page.
        self.focused = False
        self.frames_second = self.frames = 0

    @property
    def recipient(self) -> str:
        return self.identity.recipient

    @property
    def device(self) -> str:
        return self.identity.device

    def resume_after(self, cursor: str) -> None:
        """Go on from where the client says that it stands, or, where it says nothing, from where its feed stands."""
        try:
            place = place_at(cursor) if cursor else NOWHERE
        except ValueError:
            self.invalid = True
        else:
            self.position = self.sent = self.heard = place

    def message_id(self, number: int) -> UUID | None:
        """The id under which message `number` of this connection is sent and confirmed."""
        return UUID(int=int(self.id[2:], 16) << 64 | number) if number else None

    def number_of(self, message_id: UUID) -> int:
        """The inverse; 0 for what is not of this connection."""
        number = message_id.int & 0xFFFF_FFFF_FFFF_FFFF
        return number if message_id == self.message_id(number) else 0

    def next_due(self) -> float:
        """When to look at it again."""
        blocked_until = self.blocked_since and self.blocked_since + self.limits.send_s
        times = (self.ping_at, self.pong_by, self.ends_at, self.reauth_at, self.resend_at, blocked_until)
        return min([time for time in times if time], default=0.0)

    def alive(self) -> None:
        """The far end has given a sign of life."""
        self.pong_by = 0.0

    def counts_frame(self, second: int) -> bool:
        """Count a frame of the client's. Whether it is within what it may send."""
        if self.frames_second != second:
            self.frames_second, self.frames = second, 0
        self.frames += 1
        return self.frames <= self.limits.frames_per_s
