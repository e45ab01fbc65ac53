"""What statements cost, and how they are planned: by what Postgres says of them, not by the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from notifications.models import statement


def plans_of(call: Callable[[], object]) -> list[dict[str, Any]]:
    """The plans, with what was really done, of all hot statements that `call` runs. It changes nothing."""
    plans: list[dict[str, Any]] = []
    run = statement.run

    def explained(sql: str, parameters: Any, **_: Any) -> list[Any]:
        with _undone():
            rows = run(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters)
        plans.append(rows[0][0][0]["Plan"])
        return run(sql, parameters)

    with pytest.MonkeyPatch.context() as patch, _undone():
        patch.setattr(statement, "run", explained)
        call()
    return plans


def blocks_of(call: Callable[[], object]) -> int:
    """How many blocks (8 kB) of tables and indexes the hot statements of `call` look at."""
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans_of(call))


def whole_tables(plan: dict[str, Any]) -> list[str]:
    """The tables that a plan reads from beginning to end."""
    return [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]


def analyze() -> None:
    """Let Postgres know what is in the tables, as it does by itself after a while."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notifications_delivery, notifications_notification")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
