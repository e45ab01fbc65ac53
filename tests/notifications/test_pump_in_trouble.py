"""A pump that is stopped, cut off from its database, or driven by a carrier that breaks: nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from psycopg import sql

from channels_app import http
from channels_app.breaker import default_breakers
from notifications import clock, draining, rulebook
from notifications.carriers import HttpCarrier
from notifications.held import Tried
from notifications.models import Delivery
from notifications.retry import Schedule
from notifications.states import State
from project.outside import World
from tests.channels_app.far_end import always, far_end
from tests.notifications.scene import (
    SECOND,
    a_delivery,
    a_notification,
    channel_at,
    drain,
    eventually,
    idempotency_ids,
    in_background,
    many_deliveries,
    outcomes,
    states,
    suspended_for,
    sweep,
    the_delivery,
)

pytestmark = pytest.mark.django_db(transaction=True)


def cut_all_others() -> int:
    """Postgres ends every connection to this database but ours, as when it is restarted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@contextmanager
def refusing_connections() -> Iterator[None]:
    """Nobody gets into the database but who is in already."""
    parameters = connection.get_connection_params()
    name = sql.Identifier(parameters["dbname"])
    # From another database: nobody can shut the door of the one that he is in.
    with psycopg.connect(**{**parameters, "dbname": "postgres"}, autocommit=True) as outside:
        outside.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            cut_all_others()
            yield
        finally:
            outside.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


class TestStopping:
    def test_it_finishes_what_is_in_flight_and_gives_back_the_rest(self, world: World) -> None:
        place = "do/delay_ms=400/stopping"
        many_deliveries([channel_at(world.behaving_url("delay_ms=400", "stopping"), max_in_flight=3)], 40)
        stop = threading.Event()
        pump = in_background(lambda: drain(stop=stop))
        eventually(lambda: len(world.seen(place)) == 3)
        stop.set()
        pump.join(5)
        assert not pump.is_alive()
        assert states() == {"delivered": 3, "pending": 37}
        assert len(world.seen(place)) == 3
        untouched = Delivery.objects.filter(state="pending")
        assert not untouched.exclude(attempts=0, lease_until=None, lost_leases=0).exists()

    def test_another_worker_goes_on_at_once_and_nothing_is_sent_twice(self, world: World) -> None:
        place = "do/delay_ms=100/rolling"
        channel = channel_at(world.behaving_url("delay_ms=100", "rolling"), max_in_flight=5)
        many_deliveries([channel], 60)
        for _ in range(3):
            stop = threading.Event()
            pump = in_background(partial(drain, stop=stop))
            time.sleep(0.15)
            stop.set()
            pump.join()
        drain()
        assert states() == {"delivered": 60}
        assert set(idempotency_ids(world.seen(place)).values()) == {1}

    def test_what_has_no_answer_when_the_grace_is_over_is_written_down_as_such(self, world: World) -> None:
        """Nobody waits for the end of its lease, and the far end is not blamed: the breaker learns nothing."""
        hanging = channel_at(world.behaving_url("hang", "graceless"), timeout_s=30.0, breaker_consecutive_failures=1)
        slow = channel_at(world.behaving_url("delay_ms=400", "graceful"))
        many_deliveries([hanging, slow], 3)
        stop = threading.Event()
        pump = in_background(lambda: drain(stop=stop, grace_s=1.0))
        eventually(lambda: len(world.seen("do/delay_ms=400/graceful")) == len(world.seen("do/hang/graceless")) == 3)
        stop.set()
        began = time.monotonic()
        pump.join(10)
        assert 0.9 < time.monotonic() - began < 3
        assert states(slow) == {"delivered": 3}
        assert states(hanging) == {"retrying": 3}
        for delivery in hanging.deliveries.all():
            assert outcomes(delivery) == [("unknown", 0)]
        settings = rulebook.current().channels[hanging.pk].breaker_settings
        assert default_breakers().look_many([(hanging.pk, settings)])[hanging.pk].failures == 0

    def test_a_database_that_is_away_keeps_no_worker_beyond_its_grace(self, world: World) -> None:
        many_deliveries([channel_at(world.behaving_url("delay_ms=300", "away-at-the-end"))], 3)
        stop = threading.Event()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                drain(stop=stop, grace_s=1.0)
            except OperationalError as error:
                failed.append(error)

        pump = in_background(work)
        eventually(lambda: len(world.seen("do/delay_ms=300/away-at-the-end")) == 3)
        with refusing_connections():
            stop.set()
            pump.join(10)
            assert not pump.is_alive()
        assert failed

    def test_one_that_is_told_before_it_begins_does_nothing(self, world: World) -> None:
        a_delivery(channel_at(world.sink_url("never-begun")))
        stop = threading.Event()
        stop.set()
        assert draining.drain("http-normal", declared=Schedule(), clock=clock.now, stop=stop) is None
        assert states() == {"pending": 1}


def test_a_worker_whose_machine_was_suspended_begins_nothing_that_another_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "do/delay_ms=600/suspended"
    channel = channel_at(world.behaving_url("delay_ms=600", "suspended"), max_in_flight=1)
    many_deliveries([channel], 4)
    pump = in_background(lambda: drain(renew_every_s=99.0))
    eventually(lambda: len(world.seen(place)) == 1)
    assert sweep(ahead=60 * SECOND).taken_back == 4
    Delivery.objects.update(due_at=clock.now() + 600 * SECOND)
    suspended_for(monkeypatch, 60)
    pump.join(10)
    assert not pump.is_alive()
    assert len(world.seen(place)) == 1


class TestTheDatabaseGoesAway:
    def test_cut_off_in_the_middle_every_result_is_written_all_the_same(self, world: World) -> None:
        place = "do/delay_ms=500/cut"
        many_deliveries([channel_at(world.behaving_url("delay_ms=500", "cut"))], 10)
        pump = in_background(drain)
        eventually(lambda: len(world.seen(place)) == 10)
        assert cut_all_others() >= 1
        pump.join()
        assert states() == {"delivered": 10}
        assert set(idempotency_ids(world.seen(place)).values()) == {1}

    def test_cut_off_again_and_again_under_load_nothing_is_lost(self, world: World) -> None:
        """What was in flight at a cut may come twice, with the same id; nothing else may."""
        place = "do/delay_ms=20/cuts"
        many_deliveries([channel_at(world.behaving_url("delay_ms=20", "cuts"), max_in_flight=10)], 400)
        pump = in_background(lambda: drain(lease_s=2.0, renew_every_s=0.3))
        cuts = 0
        while pump.is_alive() and cuts < 8:
            time.sleep(0.15)
            cut_all_others()
            cuts += 1
        pump.join()
        sweep(ahead=3 * SECOND)
        drain()
        assert states() == {"delivered": 400}
        ids = idempotency_ids(world.seen(place))
        assert len(ids) == 400
        assert sum(ids.values()) - 400 <= 10 * cuts

    def test_a_database_that_refuses_for_a_while_is_waited_for(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even the time is asked for while requests are under way."""
        place = "do/delay_ms=300/refused"
        many_deliveries([channel_at(world.behaving_url("delay_ms=300", "refused"))], 10)
        pump = in_background(drain)
        eventually(lambda: len(world.seen(place)) == 10)
        with refusing_connections():
            monkeypatch.setattr(clock, "_TRUSTED_FOR_S", 0.0)
            time.sleep(0.8)
            assert pump.is_alive()
        pump.join()
        assert states() == {"delivered": 10}
        assert len(world.seen(place)) == 10


class Breaking(HttpCarrier):
    """Works for a moment, then fails as a bug would make it."""

    polls = 0

    def poll(self, timeout_s: float, clock: Callable[[], datetime]) -> list[Tried]:
        self.polls += 1
        if self.polls > 3:
            raise RuntimeError("a bug")
        return super().poll(timeout_s, clock)


def test_a_carrier_that_breaks_is_told_of_and_another_worker_sends_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_deliveries([channel_at(world.behaving_url("delay_ms=30", "breaking"))], 30)
    with monkeypatch.context() as patched:
        patched.setattr(draining, "carrier_of", lambda lane: Breaking(100, http.default_rules()))
        with pytest.raises(RuntimeError, match="a bug"):
            drain()
    sweep(ahead=30 * SECOND)
    drain()
    assert states() == {"delivered": 30}


class TestPoison:
    """One far end or one notification must never spoil what travels with it."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\nnul\x00!",
            b"HTTP/1.1 404 Oh\r\nContent-Length: 3\r\n\r\n\xff\xfe\xed",
            b"HTTP/1.1 503 Oh\r\nRetry-After: nan\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 429 Oh\r\nRetry-After: -inf\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 429 Oh\r\nRetry-After: 1e999\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 503 Oh\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 -2359\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 503 Oh\r\nRetry-After: 1" + b"0" * 5000 + b"\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 999 Oh\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 099 Oh\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 -5 Oh\r\nContent-Length: 0\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n",
            b"\x00" * 64,
        ],
    )
    def test_whatever_a_far_end_answers_its_neighbours_arrive(self, world: World, answer: bytes) -> None:
        with far_end(always(answer)) as odd_one:
            odd = channel_at(odd_one.url, timeout_s=1.0, retry_jitter=False)
            good = channel_at(world.sink_url("neighbour"))
            many_deliveries([odd, good], 3)
            drain()
        assert states(good) == {"delivered": 3}
        assert states(odd)["sending"] == 0
        for delivery in Delivery.objects.filter(channel=odd):
            assert len(outcomes(delivery)) == 1
            assert delivery.due_at < clock.now() + 36 * 3600 * SECOND

    def test_whatever_a_notification_holds_its_neighbours_arrive(self, world: World) -> None:
        channel = channel_at(world.sink_url("odd-notifications"))
        odd: list[Any] = [{"a": [[[]] * 50] * 50}, {"n": 10**300, "f": 1e308}, {"": {"": ""}}, {"deep": _nested(200)}]
        for data in odd:
            a_delivery(channel, notification=a_notification(data=data, title=""))
        drain()
        assert states() == {"delivered": 4}

    def test_a_delivery_that_loses_every_worker_is_buried_at_last(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.sink_url("killer")), State.SENDING, lost_leases=4)
        Delivery.objects.update(lease_until=clock.now() - SECOND)
        sweep()
        drain()
        assert the_delivery(delivery.channel).state == "dead"
        assert not world.seen("sink/killer")


def _nested(depth: int) -> object:
    value: object = "core"
    for _ in range(depth):
        value = [value]
    return value
