"""How many statements Postgres was sent, by its own log: nobody else sees them all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

from benchmarks.stage import Stage


@dataclass(slots=True)
class Counted:
    total: int = 0


@contextmanager
def counted(stage: Stage) -> Iterator[Counted]:
    """Count what all others than this process send while it is inside."""
    found = Counted()
    log = stage.belfry.home.logs / "postgres.log"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = int(cursor.fetchone()[0])
        _set(log_statement="all", log_line_prefix="%p ", log_parameter_max_length="0")
        begin = log.stat().st_size
        try:
            yield found
        finally:
            _set(log_statement=None, log_line_prefix=None, log_parameter_max_length=None)
    with log.open(errors="replace") as file:
        file.seek(begin)
        for line in file:
            pid, _, rest = line.partition(" ")
            if rest.startswith("LOG:") and ("execute " in rest or "statement: " in rest) and pid != str(own):
                found.total += 1


def _set(**settings: str | None) -> None:
    with connection.cursor() as cursor:
        for name, value in settings.items():
            change = f"RESET {name}" if value is None else f"SET {name} = '{value}'"
            cursor.execute(f"ALTER SYSTEM {change}")
        cursor.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)
