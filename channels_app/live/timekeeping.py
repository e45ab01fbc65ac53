"""What becomes due on connections: pings and their answers, resends, ends, credentials to be asked again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from channels_app.live import metrics
from channels_app.live.codes import Code
from channels_app.live.connection import END_S, Connection
from channels_app.live.event import Control
from channels_app.live.hub import Hub

Renew = Callable[[Connection], None]
Seen = Callable[[Connection], None]


class Timekeeper:
    """Does what is due. `renew` asks again whether a credential counts; `seen` hears of each that is still there."""

    def __init__(self, hub: Hub, clock: Callable[[], float], *, renew: Renew, seen: Seen) -> None:
        self._hub, self._clock, self._renew, self._seen = hub, clock, renew, seen

    def tick(self) -> None:
        """Do what is due by now. Call it every second or so."""
        now = self._clock()
        for connection in self._hub.wheel.due(now):
            if connection.closing is not None:
                connection.wire.abort()
            else:
                self._visit(connection, now)
            ends = connection.closing is not None
            self._hub.wheel.put(connection, now + END_S if ends else connection.next_due())
        self._hub.forget()

    def _visit(self, connection: Connection, now: float) -> None:
        end = self._end(connection, now)
        if end is not None:
            self._hub.close(connection, end)
            if end is Code.SLOW:
                # Nothing more can be written, not even why.
                connection.wire.abort()
            return
        if connection.resending:
            metrics.RESENDS.inc()
            self._hub.writer.wake(connection)
        if _over(connection.reauth_at, now):
            connection.reauth_at = now + connection.limits.reauth_s
            self._renew(connection)
        if _over(connection.ping_at, now):
            self._ping(connection, now)

    def _end(self, connection: Connection, now: float) -> Code | None:
        """Why it ends now, if it does."""
        if connection.blocked_since and now - connection.blocked_since > connection.limits.send_s:
            return Code.SLOW
        if _over(connection.pong_by, now):
            return Code.NO_PONG
        if _over(connection.ends_at, now):
            until = connection.identity.until
            return Code.TOKEN_EXPIRED if until and until <= datetime.now(UTC).timestamp() else Code.REBALANCE
        if _over(connection.resend_at, now) and not connection.overdue(now):
            return Code.UNRESPONSIVE
        return None

    def _ping(self, connection: Connection, now: float) -> None:
        limits = connection.limits
        connection.ping_at = now + limits.ping_s
        connection.pings += 1
        if connection.dialect.acks:
            # The first that was not answered counts.
            connection.pong_by = connection.pong_by or now + limits.pong_s
            connection.wire.ping(connection.pings)
        connection.tell(Control("ping", {"n": connection.pings}))
        self._hub.writer.wake(connection)
        self._seen(connection)


def _over(at: float, now: float) -> bool:
    return 0 < at <= now
