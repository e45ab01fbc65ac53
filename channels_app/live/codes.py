"""Why a live connection ends, and what its client does then. SSE says it in `bye`, WebSocket in its close frame.

4000 to 4099   do not come back
4100 to 4199   come back, after a wait
4200 to 4299   come back at once
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Why a connection ends."""

    BAD_REQUEST = 4001
    FORBIDDEN = 4003
    BAD_VERSION = 4004
    CONNECTION_LIMIT = 4005
    KICKED = 4006

    SHUTDOWN = 4100
    #: The credential has ended, or a ticket was used before: come with a new one.
    TOKEN_EXPIRED = 4101
    RATE_LIMITED = 4102
    OVERLOADED = 4103
    NO_PONG = 4107
    #: Messages stayed unacknowledged through all their resends.
    UNRESPONSIVE = 4108
    #: Nothing could be written for so long that the far end reads no more.
    SLOW = 4109
    SERVER_ERROR = 4110

    #: It was connected long enough: what comes back is spread over the processes anew.
    REBALANCE = 4200
    #: Where the client says it is cannot be: come without a cursor.
    STATE_INVALID = 4201

    @property
    def reason(self) -> str:
        """The name that clients see."""
        return self.name.lower()

    @property
    def final(self) -> bool:
        """Whether coming back is of no use."""
        return self < 4100

    @property
    def at_once(self) -> bool:
        """Whether there is nothing to wait for."""
        return self >= 4200


class Refused(Exception):
    """A connection is not taken. `retry_ms`: when to come back, where that is of use; 0 leaves it to chance.

    `detail` is a sentence for whoever reads the answer, where there is more to say than the code does.
    """

    def __init__(self, code: Code, *, retry_ms: int = 0, detail: str = "") -> None:
        super().__init__(code.reason)
        self.code, self.retry_ms, self.detail = code, retry_ms, detail
