"""The sweep after an outage: when it takes leases back, and when not yet."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from django.db import InternalError, OperationalError, connection
from psycopg.errors import IdleInTransactionSessionTimeout

from channels_app.models import Channel
from notifications import clock
from notifications import sweep as sweep_module
from notifications.models import Delivery
from notifications.states import State
from tests.notifications.locks import stranger, wait_until_waiting
from tests.notifications.scene import SECOND, a_delivery, channel_at, eventually, in_background, sweep


@pytest.fixture
def channel() -> Channel:
    return channel_at("https://example.org/hook")


@pytest.mark.django_db(transaction=True)
class TestAfterTheDatabaseWasAway:
    """Workers who outlived it have answers in hand, under leases that ran out meanwhile: they write them first."""

    GRACE_S = 1.5

    @pytest.fixture(autouse=True)
    def _grace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweep_module, "_away_at", float("-inf"))
        monkeypatch.setattr(sweep_module, "_failing", frozenset())
        monkeypatch.setattr(sweep_module, "GRACE_S", self.GRACE_S)
        monkeypatch.setattr(sweep_module, "ENOUGH_FOR_S", 0.0)

    def taken_back(self) -> int:
        found = sweep_module.sweep_once_of_many(clock.now)
        assert found is not None
        return found.taken_back

    def test_no_lease_is_taken_back_for_a_while(self, channel: Channel) -> None:
        clock.now()
        a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
        with stranger() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )
        with pytest.raises(OperationalError):
            self.taken_back()
        connection.close()
        since = time.monotonic()
        assert self.taken_back() == 0
        assert eventually(self.taken_back) == 1
        assert time.monotonic() - since > self.GRACE_S / 2

    def test_nor_when_it_was_ended_for_doing_nothing(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        def ended(*_: object) -> None:
            raise InternalError from IdleInTransactionSessionTimeout()

        a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
        with monkeypatch.context() as once:
            once.setattr(sweep_module, "_PARTS", (ended,))
            with pytest.raises(InternalError):
                self.taken_back()
        assert self.taken_back() == 0
        assert eventually(self.taken_back) == 1

    def test_a_part_that_fails_again_and_again_keeps_no_lease(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that is full, an index that is broken: the others go on, and the database is not away."""

        def broken(*_: object) -> None:
            raise OperationalError("no space left")

        monkeypatch.setattr(sweep_module, "_PARTS", (*sweep_module._PARTS, broken))
        a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
        with pytest.raises(OperationalError):
            self.taken_back()
        for _ in range(2):
            with pytest.raises(sweep_module.PartsFailed):
                self.taken_back()
        time.sleep(self.GRACE_S)
        with pytest.raises(sweep_module.PartsFailed):
            self.taken_back()
        assert Delivery.objects.get().state == State.PENDING

    def test_nor_when_it_hung(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweep_module, "HANGS_S", 0.2)
        with stranger() as other:
            other.execute("LOCK notifications_replayjob")
            hanging = in_background(self.taken_back)
            wait_until_waiting()
            a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
            time.sleep(0.3)
        hanging.join()
        assert self.taken_back() == 0
        assert eventually(self.taken_back) == 1

    def test_sweeps_that_are_always_slow_take_back_too(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        def slow(now: datetime) -> sweep_module.Swept:
            time.sleep(0.1)
            return sweep_once(now)

        sweep_once = sweep_module.sweep
        monkeypatch.setattr(sweep_module, "sweep", slow)
        monkeypatch.setattr(sweep_module, "HANGS_S", 0.05)
        assert self.taken_back() == 0
        a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
        assert eventually(self.taken_back) == 1

    def test_nor_while_it_was_started_just_now(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another process may have seen it away, and this one nothing."""
        a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND)
        monkeypatch.setattr(sweep_module, "GRACE_S", 7 * 86400.0)
        assert sweep().taken_back == 0
        monkeypatch.setattr(sweep_module, "GRACE_S", 0.0)
        assert sweep().taken_back == 1
