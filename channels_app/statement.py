"""Statements that carry many rows at once, on Django's own connection.

Arrays go over the wire in binary: psycopg's text form of a list costs about fifteen times as much,
and `bulk_update` some four hundred microseconds a row. So what is hot is written as one SQL
statement over `unnest`, run here; everything else uses the ORM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from psycopg import Cursor
from psycopg.errors import DeadlockDetected
from psycopg.rows import namedtuple_row

T = TypeVar("T")

#: The database is away, stands by for another and takes no writes, or has ended a session that did nothing. Of an
#: `InternalError`, `is_away` tells whether it is one of these.
AWAY = (OperationalError, InterfaceError, InternalError)

#: read_only_sql_transaction, idle_in_transaction_session_timeout, transaction_timeout.
_AWAY_STATES = frozenset({"25006", "25P03", "25P04"})


def run(sql: str, parameters: Mapping[str, Any], *, prepared: bool = False) -> list[Any]:
    """Run one statement and return its rows as named tuples, or none. Placeholders are `%(name)b`.

    `prepared`: Postgres keeps it parsed and planned, for one whose best plan never depends on the values.

    Takes part in Django's transaction where there is one. Raises Django's `DatabaseError` family.
    """
    connection.ensure_connection()
    # Django's own cursors bind on the client's side, as text; this one binds in Postgres, in binary.
    with connection.wrap_database_errors, Cursor(connection.connection, row_factory=namedtuple_row) as cursor:
        cursor.execute(sql, parameters, binary=True, prepare=prepared)
        return cursor.fetchall() if cursor.description else []


def changed(sql: str, parameters: Mapping[str, Any], *, prepared: bool = False) -> int:
    """Run one statement that gives no rows, as `run` does. Returns how many it wrote."""
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        return cursor.execute(sql, parameters, binary=True, prepare=prepared).rowcount


def is_away(error: BaseException) -> bool:
    """Whether to do the same again later is all there is to do."""
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", None) in _AWAY_STATES
    return isinstance(error, AWAY)


def persevering(step: Callable[[], T]) -> T:
    """Do `step` in a transaction, and once more where Postgres undid it to break a circle of waiting.

    Raises Django's `DatabaseError` family.
    """
    try:
        with transaction.atomic():
            return step()
    except OperationalError as error:
        if not isinstance(error.__cause__, DeadlockDetected):
            raise
    with transaction.atomic():
        return step()
