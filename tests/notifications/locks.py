"""Somebody else's locks: rows held by another transaction, and who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection
from django.db.models import Model

from tests.notifications.scene import eventually


@contextmanager
def locked(*rows: Model) -> Iterator[psycopg.Connection]:
    """Another transaction holds these rows, in this order, as long as this lasts."""
    with stranger() as other:
        for row in rows:
            lock(other, row)
        yield other


@contextmanager
def stranger() -> Iterator[psycopg.Connection]:
    """A connection past Django's; what it did is undone."""
    other = psycopg.connect(**connection.get_connection_params())
    try:
        yield other
    finally:
        other.rollback()
        other.close()


def lock(other: psycopg.Connection, row: Model, how: str = "") -> None:
    table = row._meta.db_table
    other.execute(f"SELECT FROM {table} WHERE id = %s FOR UPDATE {how}".encode(), (row.pk,))


def is_free(row: Model) -> bool:
    """Whether nobody holds this row."""
    with stranger() as other:
        try:
            lock(other, row, "NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return False
        return True


def wait_until_waiting(count: int = 1) -> None:
    """Until so many sessions wait for somebody's lock."""

    def waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return bool(cursor.fetchone()[0] == count)

    eventually(waiting)
