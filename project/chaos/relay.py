"""A wire between Belfry and an engine that can be cut so that neither end hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from project.embedded.home import free_port

_CHUNK_BYTES = 65536


class Relay:
    """Passes bytes on to `target()` (host, port), asked at each connection. A context manager."""

    def __init__(self, target: Callable[[], tuple[str, int]]) -> None:
        self._target = target
        self.port = free_port()
        #: Connections of an older generation than this pass nothing on, for ever.
        self._generation = 0
        self._silent = False
        self._ready = threading.Event()
        #: Those that serve a connection; the loop itself would let go of them.
        self._serving: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="relay", daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def go_silent(self) -> None:
        """From now on nothing comes through. Connections stay open, new ones are taken and hear nothing."""
        self._generation += 1
        self._silent = True

    def come_back(self) -> None:
        """New connections work again. The old ones stay dumb, as they do when the peer's machine is gone."""
        self._generation += 1
        self._silent = False

    async def _live(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._welcome, "127.0.0.1", self.port)
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0)  # Connections are closed a step after they are told to.

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self._generation
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.callback(writer.close)
            if self._silent:
                await self._swallow(reader)
                return
            there, back = await asyncio.open_connection(*self._target())
            stack.callback(back.close)
            await asyncio.gather(self._pass(reader, back, generation), self._pass(there, writer, generation))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        while chunk := await source.read(_CHUNK_BYTES):
            if generation == self._generation:
                sink.write(chunk)
                await sink.drain()
        if generation == self._generation:
            sink.close()

    @staticmethod
    async def _swallow(reader: asyncio.StreamReader) -> None:
        while await reader.read(_CHUNK_BYTES):
            pass
