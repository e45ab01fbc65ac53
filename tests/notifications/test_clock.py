"""The time: the database's, whatever the system's clocks say, and without asking each time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from notifications import clock
from tests.notifications.scene import suspended_for


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was measured before."""
    monkeypatch.setattr(clock, "_DIFFERENCE", clock._Difference())


def the_databases_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        answer: datetime = cursor.fetchone()[0]
    return answer


@pytest.mark.django_db
def test_it_is_the_databases_time_aware_and_in_utc() -> None:
    before, now, after = the_databases_time(), clock.now(), the_databases_time()
    assert before - timedelta(milliseconds=20) <= now <= after + timedelta(milliseconds=20)
    assert now.tzinfo is UTC


@pytest.mark.django_db
@pytest.mark.parametrize("jump", [-86400.0, 86400.0, 3.2e8])
def test_a_system_clock_that_jumps_moves_nothing(jump: float, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now()
    usual = time.time
    monkeypatch.setattr(time, "time", lambda: usual() + jump)
    assert timedelta() <= clock.now() - before < timedelta(seconds=5)
    monkeypatch.setattr(clock, "_DIFFERENCE", clock._Difference())
    assert timedelta(seconds=-1) <= clock.now() - before < timedelta(seconds=5)


@pytest.mark.django_db
def test_it_never_runs_backwards_between_two_measurements() -> None:
    times = [clock.now() for _ in range(2000)]
    assert times == sorted(times)


@pytest.mark.django_db
def test_a_thousand_askings_cost_one_query() -> None:
    with CaptureQueriesContext(connection) as asked:
        for _ in range(1000):
            clock.now()
    assert len(asked) == 1


@pytest.fixture
def _connection_is_broken(transactional_db: None) -> Iterator[None]:
    yield
    connection.close()


@pytest.mark.usefixtures("_connection_is_broken")
class TestWithoutTheDatabase:
    def cut(self) -> None:
        """The server ends our connection, as when it is restarted."""
        connection.ensure_connection()
        connection.connection.close()

    def test_the_first_time_is_not_guessed(self) -> None:
        self.cut()
        with pytest.raises(OperationalError):
            clock.now()

    def test_a_measured_one_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who works while the database is away still knows what time it is: the machine's uptime tells."""
        monkeypatch.setattr(clock, "_TRUSTED_FOR_S", 0.0)
        before = clock.now()
        self.cut()
        assert timedelta() <= clock.now() - before < timedelta(seconds=5)

    def test_the_time_in_which_the_machine_was_suspended_has_passed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = clock.now()
        self.cut()
        suspended_for(monkeypatch, 3600)
        assert timedelta(hours=1) <= clock.now() - before < timedelta(hours=1, seconds=5)
