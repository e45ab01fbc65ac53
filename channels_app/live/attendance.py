"""Telling `presence` about the connections of this process: a second's worth at a time."""

from __future__ import annotations

import secrets

from channels_app.live.connection import Connection
from channels_app.live.presence import Being, Presence, Seat
from channels_app.live.threads import Threads
from channels_app.volatile import Away


class Attendance:
    """What has to be told of whom. Away, nothing is told; the next sign of life tells it."""

    def __init__(self, presence: Presence, threads: Threads) -> None:
        self._presence, self._threads = presence, threads
        self.node = secrets.token_hex(4)
        self._to_tell: dict[str, tuple[str, Seat, Being]] = {}

    def seen(self, connection: Connection) -> None:
        """It is there."""
        self._note(connection, Being.FOCUSED if connection.focused else Being.ON)

    def left(self, connection: Connection) -> None:
        """It is not there any more; somebody who was not sent away may be back in a moment."""
        is_final = connection.closing is not None and connection.closing.final
        self._note(connection, Being.GONE if is_final else Being.LEAVING)

    async def tell(self) -> None:
        some, self._to_tell = self._to_tell, {}
        try:
            await self._threads.run(self._presence.touch, list(some.values()))
        except Away:
            return

    def _note(self, connection: Connection, being: Being) -> None:
        seat = Seat(connection.id, self.node, connection.dialect.name, connection.device)
        self._to_tell[connection.id] = (connection.recipient, seat, being)
