"""Memory that was freed goes back to the system.

glibc keeps what a thread frees in an arena of that thread, for its next need. Celery's pool has many threads, each
of which works a lane now and then with hundreds of requests at once: without this the process would come to hold
the most that each of them ever needed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _of_glibc() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another allocator: musl, macOS
        return None


_trim = _of_glibc()


def give_back() -> None:
    """Give back whole pages that nobody uses, of all threads. Some milliseconds, in which other threads go on."""
    if _trim is not None:
        _trim(0)
