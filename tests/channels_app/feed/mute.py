"""A Redis that takes connections and answers nothing: frozen, as one that swaps is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Mute:
    """Counts who came. `url` is where."""

    def __init__(self, listening: socket.socket) -> None:
        self.url = f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
        self.connections = 0
        self._listening = listening
        self._open: list[socket.socket] = []

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._open.append(connection)
                self.connections += 1

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()


@contextmanager
def a_mute_redis() -> Iterator[Mute]:
    listening = socket.create_server(("127.0.0.1", 0))
    mute = Mute(listening)
    thread = threading.Thread(target=mute.serve, daemon=True)
    thread.start()
    try:
        yield mute
    finally:
        mute.close()
        thread.join(5)
