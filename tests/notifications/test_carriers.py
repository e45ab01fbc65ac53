"""What blocks: threads of its own, each channel its own calls, and nothing that a library does stops the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest

from channels_app import http
from channels_app.base import CannotBuild, Config, HttpTransport, Message, Request, Response, setting
from channels_app.models import Channel
from channels_app.outcomes import Outcome, Verdict
from channels_app.registry import AnyTransport
from notifications import clock, delivering
from notifications.carriers import BlockingCarrier, Carrier, HttpCarrier
from notifications.held import Held, Tried
from notifications.models import Attempt, DeadLetter, Delivery
from project.outside import World
from tests.notifications.crier import Crier
from tests.notifications.scene import (
    a_delivery,
    channel_at,
    configured,
    drain,
    eventually,
    in_background,
    many_deliveries,
    outcomes,
    states,
    sweep,
)

LANE = "blocking-normal"


def square(place: str, *, fields: dict[str, Any] | None = None, **settings: Any) -> Channel:
    """A channel of the kind that blocks."""
    return configured("crier", {"place": place, **settings}, **(fields or {}))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("crier")
class TestWhatBlocks:
    def test_everything_due_is_sent_once_and_remembered(self, crier: type[Crier]) -> None:
        many_deliveries([square("market"), square("harbour")], 50, lane=LANE)
        drain(LANE)
        assert states() == {"delivered": 100}
        assert len(set(crier.cried)) == len(crier.cried) == 100
        assert set(Attempt.objects.values_list("outcome", "code")) == {("ok", 250)}

    def test_a_hanging_library_holds_up_nobody(self, crier: type[Crier]) -> None:
        bad = square("mute", manner="hang", fields={"timeout_s": 0.3, "max_attempts": 1})
        good = [square(f"open-{number}") for number in range(6)]
        many_deliveries([bad], 10, lane=LANE)
        many_deliveries(good, 10, lane=LANE)
        pump = in_background(lambda: drain(LANE))
        eventually(lambda: Delivery.objects.filter(channel__in=good, state="delivered").count() == 60)
        crier.released.set()
        pump.join()
        assert states(bad)["sending"] == 0

    def test_a_library_that_hangs_again_and_again_holds_up_nobody(self, crier: type[Crier]) -> None:
        """Every abandoned call leaves a thread that never comes back."""
        bad = [square(f"mute-{n}", manner="hang", fields={"timeout_s": 0.1, "max_attempts": 1}) for n in range(12)]
        good = square("late-but-fine")
        many_deliveries(bad, 1, lane=LANE)
        many_deliveries([good], 5, lane=LANE)
        began = time.monotonic()
        drain(LANE)
        assert states(good) == {"delivered": 5}
        assert time.monotonic() - began < 10
        crier.released.set()

    def test_waiting_for_a_thread_is_not_taking_too_long(self, crier: type[Crier]) -> None:
        """More channels than threads: the last ones begin after the first have ended, and have their time then."""
        many = [square(f"queue-{n}", takes_s=0.3, fields={"timeout_s": 0.5}) for n in range(24)]
        many_deliveries(many, 1, lane=LANE)
        drain(LANE)
        assert states() == {"delivered": 24}
        assert len(crier.cried) == len(set(crier.cried)) == 24

    def test_what_expires_while_it_waits_for_a_thread_is_not_sent(self, crier: type[Crier]) -> None:
        many = [square(f"expiring-{n}", takes_s=0.4) for n in range(24)]
        many_deliveries(many, 1, lane=LANE, expires_at=clock.now() + timedelta(milliseconds=600))
        drain(LANE)
        sweep()
        assert states() == {"delivered": len(crier.cried), "cancelled": 24 - len(crier.cried)}
        assert 8 <= len(crier.cried) <= 16

    def test_what_expires_soon_does_not_wait_within_a_call(self, crier: type[Crier]) -> None:
        """A library tells the messages of a call one after the other, and knows nothing of expiry."""
        many_deliveries([square("hasty", takes_s=0.4)], 10, lane=LANE, expires_at=clock.now() + timedelta(seconds=0.7))
        drain(LANE)
        sweep()
        assert 2 <= len(crier.cried) <= 4
        assert states() == {"delivered": len(crier.cried), "cancelled": 10 - len(crier.cried)}

    def test_a_call_that_was_abandoned_is_unknown_and_tried_again(self, crier: type[Crier]) -> None:
        channel = square("slow", takes_s=0.8, fields={"timeout_s": 0.1})
        delivery = a_delivery(channel, lane=LANE)
        drain(LANE)
        assert states() == {"retrying": 1}
        assert outcomes(delivery) == [("unknown", 0)]

    @pytest.mark.parametrize("manner", ["raise", "too few", "no verdicts"])
    def test_a_library_that_breaks_is_unknown_and_its_neighbours_arrive(self, manner: str) -> None:
        broken, good = square("broken", manner=manner, password="canary-9f3a"), square("beside")
        many_deliveries([broken, good], 3, lane=LANE)
        drain(LANE)
        assert states(good) == {"delivered": 3}
        assert states(broken) == {"retrying": 3}
        attempts = Attempt.objects.filter(delivery__channel=broken)
        assert set(attempts.values_list("outcome", flat=True)) == {"unknown"}
        assert not attempts.filter(detail__contains="canary").exists()

    def test_codes_that_no_column_holds_spoil_nothing(self) -> None:
        odd, good = square("odd", manner="odd codes"), square("beside-odd")
        many_deliveries([odd, good], 2, lane=LANE)
        drain(LANE)
        assert states(good) == {"delivered": 2}
        assert states(odd) == {"retrying": 2}

    def test_a_busy_far_end_is_tried_again_to_the_end(self) -> None:
        channel = square("busy", manner="busy", fields={"retry_base_s": 0.0, "max_attempts": 3})
        delivery = a_delivery(channel, lane=LANE)
        drain(LANE, linger_s=0.4)
        assert outcomes(delivery) == [("transient", 451)] * 3
        assert DeadLetter.objects.get().attempts == 3

    def test_one_channel_does_not_take_all_threads(self, crier: type[Crier]) -> None:
        greedy = square("greedy", takes_s=0.05, fields={"max_in_flight": 1})
        many_deliveries([greedy], 10, lane=LANE)
        drain(LANE)
        assert states() == {"delivered": 10}
        assert crier.most_at_the_same_time["greedy"] == 1

    def test_stopping_gives_back_what_was_not_begun(self, crier: type[Crier]) -> None:
        many_deliveries([square("stopping", takes_s=0.3, fields={"max_in_flight": 1})], 10, lane=LANE)
        stop = threading.Event()
        pump = in_background(lambda: drain(LANE, stop=stop))
        eventually(lambda: crier.cried)
        stop.set()
        pump.join()
        found = states()
        assert found["sending"] == 0
        assert found["delivered"] == len(crier.cried)
        assert found["delivered"] + found["pending"] == 10

    def test_a_call_that_outlasts_the_grace_of_a_worker_is_given_up(self) -> None:
        delivery = a_delivery(square("outlasting", manner="hang", fields={"timeout_s": 20.0}), lane=LANE)
        stop = threading.Event()
        pump = in_background(lambda: drain(LANE, stop=stop, grace_s=0.3))
        eventually(lambda: Crier.cried)
        stop.set()
        pump.join(5)
        assert not pump.is_alive()
        assert outcomes(delivery) == [("unknown", 0)]
        assert states() == {"retrying": 1}


@pytest.mark.django_db
class TestTheContract:
    """What the pump relies on, for both kinds of carrier."""

    @pytest.fixture(params=["http", "blocking"])
    def carrier(self, request: pytest.FixtureRequest, crier: type[Crier]) -> Iterator[Carrier]:
        carrier: Carrier = BlockingCarrier() if request.param == "blocking" else HttpCarrier(10, http.default_rules())
        yield carrier
        carrier.close()

    def held(self, carrier: Carrier, world: World) -> Held:
        blocks = isinstance(carrier, BlockingCarrier)
        channel = square("contract") if blocks else channel_at(world.sink_url("contract"))
        held = delivering.take(a_delivery(channel).pk, clock.now())
        assert held is not None
        return held

    def test_what_is_started_comes_back_once(self, carrier: Carrier, world: World) -> None:
        held = [self.held(carrier, world) for _ in range(3)]
        carrier.start(held, clock.now())
        ended = polled(carrier, 3)
        assert sorted(tried.held.lease for tried in ended) == sorted(one.lease for one in held)
        assert {tried.verdict.outcome for tried in ended} == {Outcome.OK}
        assert all(0 <= tried.duration_ms < 5000 for tried in ended)
        assert carrier.poll(0.05, clock.now) == []

    def test_an_idle_one_waits_no_longer_than_it_was_told(self, carrier: Carrier) -> None:
        began = time.monotonic()
        assert carrier.poll(0.1, clock.now) == []
        assert 0.05 < time.monotonic() - began < 2

    def test_it_is_woken_from_another_thread(self, carrier: Carrier) -> None:
        began = time.monotonic()
        threading.Timer(0.1, carrier.wake).start()
        carrier.poll(10.0, clock.now)
        assert time.monotonic() - began < 5

    def test_it_can_be_closed_with_something_under_way(self, world: World, crier: type[Crier]) -> None:
        for carrier, channel in (
            (BlockingCarrier(), square("left", manner="hang")),
            (HttpCarrier(10, http.default_rules()), channel_at(world.behaving_url("hang", "left"))),
        ):
            held = delivering.take(a_delivery(channel).pk, clock.now())
            assert held is not None
            carrier.start([held], clock.now())
            carrier.poll(0.05, clock.now)
            carrier.close()
        crier.released.set()


def polled(carrier: Carrier, count: int) -> list[Tried]:
    ended: list[Tried] = []
    deadline = time.monotonic() + 5
    while len(ended) < count and time.monotonic() < deadline:
        ended += carrier.poll(0.1, clock.now)
    return ended


class OracleConfig(Config):
    url: Annotated[str, setting("Where to ask.", example="https://example.org")]
    riddle: Annotated[str, setting("How it fails.")] = ""


class Oracle(HttpTransport[OracleConfig]):
    """A transport with every bug that a transport can have."""

    kind = "oracle"
    label = "Oracle"
    Config = OracleConfig

    def build(self, message: Message, config: OracleConfig, *, now: datetime) -> Request:
        if config.riddle == "build raises":
            raise KeyError(config.url)
        if config.riddle == "cannot build":
            raise CannotBuild("Too long, even shortened.")
        nothing: Any = None
        headers: Any = {"x": 5} if config.riddle == "header is no text" else {}
        request = Request(url=config.url, body=b"{}", headers=headers)
        return nothing if config.riddle == "build gives nothing" else request

    def interpret(self, response: Response, *, now: datetime) -> Verdict:
        nothing: Any = None
        if response.status == 204:
            return nothing  # type: ignore[no-any-return]
        raise ZeroDivisionError


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("riddle", "status", "state", "outcome"),
    [
        ("build raises", 204, "dead", "permanent"),
        ("cannot build", 204, "dead", "permanent"),
        ("build gives nothing", 204, "dead", "permanent"),
        ("header is no text", 204, "dead", "permanent"),
        ("interpret gives nothing", 204, "retrying", "unknown"),
        ("interpret raises", 500, "retrying", "unknown"),
    ],
)
def test_a_transport_with_a_bug_stops_nobody_else(
    world: World, install: Callable[[AnyTransport], None], riddle: str, status: int, state: str, outcome: str
) -> None:
    install(Oracle())
    bad = configured("oracle", {"url": world.behaving_url(f"status={status}", "oracle"), "riddle": riddle})
    good = channel_at(world.sink_url("beside-oracle"))
    many_deliveries([bad, good], 2)
    drain()
    assert states(good) == {"delivered": 2}
    assert states(bad) == {state: 2}
    assert set(Attempt.objects.filter(delivery__channel=bad).values_list("outcome", flat=True)) == {outcome}
