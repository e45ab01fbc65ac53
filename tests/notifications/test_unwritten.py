"""Results that Postgres refuses, one among many: the others are written, and the pump goes on."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import ProgrammingError, connection
from structlog.testing import capture_logs

from notifications import dispatch
from notifications.held import Tried
from notifications.models import DeadLetter, Delivery
from notifications.models.transitions import Result
from notifications.unwritten import front
from project.outside import World
from tests.notifications.scene import (
    SECOND,
    a_delivery,
    channel_at,
    drain,
    idempotency_ids,
    many_deliveries,
    outcomes,
    states,
    sweep,
)

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def refusing_attempts(condition: str) -> Iterator[None]:
    """Postgres takes no row into the table of attempts for which this holds."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE notifications_attempt ADD CONSTRAINT refused CHECK (NOT ({condition}))")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE notifications_attempt DROP CONSTRAINT refused")


def test_a_result_that_cannot_be_written_as_it_is_is_written_in_plain_words(world: World) -> None:
    odd = channel_at(world.behaving_url("status=418", "odd"))
    good = channel_at(world.sink_url("beside-odd"))
    many_deliveries([odd, good], 20)
    with refusing_attempts("code = 418"), capture_logs() as logs:
        drain()
    assert states(good) == {"delivered": 20}
    assert states(odd) == {"dead": 20}
    assert set(idempotency_ids(world.seen("sink/beside-odd")).values()) == {1}
    told = {outcome for row in Delivery.objects.filter(channel=odd) for outcome in outcomes(row)}
    assert told == {("permanent", 0)}
    assert "could not be written" in DeadLetter.objects.filter(channel=odd)[0].detail
    unwritable = [entry for entry in logs if entry["event"] == "result_unwritable"]
    assert {entry["delivery"] for entry in unwritable} == set(odd.deliveries.values_list("id", flat=True))


def test_a_result_that_cannot_be_written_at_all_is_given_up_and_nobody_else_pays(world: World) -> None:
    channel = channel_at(world.sink_url("refused-row"))
    cursed = a_delivery(channel)
    many_deliveries([channel], 50)
    with refusing_attempts(f"delivery_id = {cursed.pk}"), capture_logs() as logs:
        drain()
    assert states() == {"delivered": 50, "sending": 1}
    assert set(idempotency_ids(world.seen("sink/refused-row")).values()) == {1}
    assert [entry["delivery"] for entry in logs if entry["event"] == "result_given_up"] == [cursed.pk]
    sweep(ahead=60 * SECOND)
    assert the_delivery_of(cursed).state == "pending"


def the_delivery_of(row: Delivery) -> Delivery:
    return Delivery.objects.get(pk=row.pk)


def test_a_bug_in_judging_one_result_costs_the_others_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = channel_at(world.sink_url("judged"))
    cursed = a_delivery(channel)
    many_deliveries([channel], 20)
    conclude = dispatch.conclude

    def stumble(tried: Tried, *rest: object) -> Result:
        if tried.held.row.id == cursed.pk:
            raise ZeroDivisionError("a bug")
        return conclude(tried, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(dispatch, "conclude", stumble)
    drain()
    assert states() == {"delivered": 20, "sending": 1}


def test_tables_that_are_not_there_are_no_rows_fault(world: World) -> None:
    """As when the program is newer than its database: told at once, and nothing is given up row by row."""
    many_deliveries([channel_at(world.sink_url("renamed"))], 5)
    with connection.cursor() as cursor, capture_logs() as logs:
        cursor.execute("ALTER TABLE notifications_attempt RENAME TO elsewhere")
        try:
            with pytest.raises(ProgrammingError):
                drain()
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO notifications_attempt")
    assert not [entry for entry in logs if entry["event"] == "result_given_up"]
    sweep(ahead=60 * SECOND)
    drain()
    assert states() == {"delivered": 5}


def test_a_bug_on_the_way_to_the_far_end_lets_what_is_under_way_end_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = channel_at(world.behaving_url("delay_ms=400", "before-a-bug"))
    first = a_delivery(slow)
    guard = dispatch.guard

    def stumble(rows: list[Delivery], *rest: object) -> dispatch.Guarded:
        if rows[0].id != first.pk:
            raise ZeroDivisionError("a bug")
        a_delivery(slow)
        return guard(rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(dispatch, "guard", stumble)
    with pytest.raises(ZeroDivisionError):
        drain()
    assert outcomes(first) == [("ok", 204)]


def test_what_ends_while_results_are_written_stops_nobody() -> None:
    """The one thread reads the queue, the other goes on adding to it."""
    queue, over, turn = deque([0]), threading.Event(), sys.getswitchinterval()

    def add() -> None:
        while not over.is_set():
            queue.append(1)
            if len(queue) > 500:
                queue.clear()

    adding = threading.Thread(target=add)
    sys.setswitchinterval(1e-6)
    adding.start()
    try:
        for _ in range(60_000):
            front(queue)
    finally:
        sys.setswitchinterval(turn)
        over.set()
        adding.join()
