"""Connections to PostgreSQL: those that broke, and those of a process that hangs.

A thread keeps its connection, and nobody asks before each request whether it still holds. After the server was
restarted none of them does. Whoever is the first to meet that notes it here, and the others look at theirs before
they use them again: so a broken one is met once by a process, and not once by each of its threads.

A process that hangs within a transaction would keep its locks for as long as it hangs. The server ends its session.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

#: How long a session may do nothing within a transaction. None of ours computes there for more than a second.
_IDLE_IN_TRANSACTION_S = 30


class _OfThisThread(threading.local):
    """Its connection, and when that was last known to be whole, by the monotonic clock."""

    connection: BaseDatabaseWrapper | None = None
    whole_at: float = -math.inf


class _OfThisProcess:
    """When one was last found broken, by the same clock."""

    broke_at: float = -math.inf


_mine, _ours = _OfThisThread(), _OfThisProcess()


def watch() -> None:
    """From now on, see to the connections of this process around its requests."""
    connection_created.connect(_made)
    request_started.connect(replace_broken)
    request_finished.connect(replace_broken)


def replace_broken(**_: Any) -> None:
    """Around a request or a task: let go of a connection that broke. One that may have is asked, once a breaking."""
    if any(one.in_atomic_block for one in connections.all(initialized_only=True)):
        return  # It serves within the transaction of a test, whose connection is not ours to close.
    close_old_connections()
    connection = _mine.connection
    if connection is None:
        return
    if connection.connection is None:
        _note()
    elif _mine.whole_at < _ours.broke_at:
        if connection.is_usable():
            _mine.whole_at = time.monotonic()
        else:
            connection.close()
            _note()


def _made(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.alias == DEFAULT_DB_ALIAS:
        # Not as an option of connecting: poolers refuse those. Only for whole sessions can it be pooled.
        connection.connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION_S}s'")
        if _mine.connection is connection:  # The one before it was given up on the way.
            _note()
        _mine.connection, _mine.whole_at = connection, time.monotonic()


def _note() -> None:
    _mine.connection, _ours.broke_at = None, time.monotonic()
