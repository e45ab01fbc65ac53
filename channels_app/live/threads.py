"""The few threads in which the live process does what waits: Django's ORM, calls of Redis that others share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 4


class Threads:
    """Each has a database connection of its own, kept between calls."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="belfry-live")

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` returns. Raises what it raises."""
        work = partial(_in_thread, partial(call, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Let the connections go, and the threads."""
        # Each of them waits for all others, so that each takes one.
        together = threading.Barrier(_THREADS, timeout=10)
        for _ in range(_THREADS):
            self._pool.submit(_let_go, together)
        self._pool.shutdown()


def _in_thread(work: Callable[[], T]) -> T:
    # One that broke is replaced.
    close_old_connections()
    return work()


def _let_go(together: threading.Barrier) -> None:
    together.wait()
    connections.close_all()
