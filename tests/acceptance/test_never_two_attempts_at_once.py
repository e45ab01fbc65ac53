"""Promise 2: never two attempts of one delivery at the same time, and a worker that wakes late changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from channels_app import http
from channels_app.outcomes import Outcome
from notifications import clock
from notifications.carriers import HttpCarrier
from notifications.durable_retry import declared_schedule
from notifications.models import Attempt, Delivery, transitions
from notifications.models.transitions import Result, Room
from notifications.pump import Pump
from notifications.states import State
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.scene import (
    QUICK,
    SECOND,
    a_delivery,
    at_once,
    channel_at,
    idempotency_ids,
    many_deliveries,
    outcomes,
    states,
    sweep,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("here")]


def claimed(limit: int = 7) -> list[Any]:
    """Claim again and again until nothing is left, as a worker would."""
    rows: list[Any] = []
    after = 0
    empty_rounds = 0
    while empty_rounds < 3:
        room = Room(in_all=limit, of_a_channel=limit, after_channel=after)
        found = transitions.claim("http-normal", room, now=clock.now(), lease_s=60)
        after = max((row.channel_id for row in found), default=0)
        empty_rounds = 0 if found else empty_rounds + 1
        rows += found
    return rows


@pytest.mark.parametrize("channels", [1, 5])
def test_eight_workers_claim_at_once_and_none_gets_what_another_has(channels: int) -> None:
    places = [channel_at(f"https://example.org/{number}") for number in range(channels)]
    many_deliveries(places, 200 // channels)
    hands = at_once(*[claimed] * 8)
    assert sum(map(len, hands)) == 200
    assert set(Counter(row.id for rows in hands for row in rows).values()) == {1}
    assert set(Delivery.objects.values_list("token", flat=True)) == {1}


def test_single_and_bulk_claims_at_once_share_nothing() -> None:
    many_deliveries([channel_at("https://example.org")], 60)
    ids = list(Delivery.objects.values_list("pk", flat=True))

    def one_by_one() -> list[Any]:
        found = [transitions.claim_one(pk, now=clock.now(), lease_s=60) for pk in ids]
        return [row for row in found if row is not None]

    hands = at_once(one_by_one, claimed, one_by_one, claimed)
    assert Counter(row.id for rows in hands for row in rows) == dict.fromkeys(ids, 1)


def test_four_pumps_on_one_lane_send_each_once(world: World) -> None:
    """As in four processes: each with hands and connections of its own."""
    place = "do/delay_ms=10/four-pumps"
    many_deliveries([channel_at(world.behaving_url("delay_ms=10", "four-pumps"))], 300)

    def pump() -> int:
        carrier = HttpCarrier(50, http.default_rules())
        declared = declared_schedule(deliver)
        stop = threading.Event()
        return Pump("http-normal", carrier, declared=declared, clock=clock.now, stop=stop, pace=QUICK).run().settled

    assert sum(at_once(*[pump] * 4)) == 300
    assert states() == {"delivered": 300}
    assert set(idempotency_ids(world.seen(place)).values()) == {1}
    assert Attempt.objects.count() == 300


def test_taking_back_and_settling_at_once_agree() -> None:
    """Whichever comes first, the row has one story: delivered, or given to the next worker."""
    channel = channel_at("https://example.org")
    rows = [a_delivery(channel, State.SENDING, lease_until=clock.now() - SECOND) for _ in range(60)]
    now = clock.now()

    def settle_all() -> int:
        written = 0
        for row in rows:
            result = Result(
                delivery_id=row.pk, token=7, state=State.DELIVERED, outcome=Outcome.OK, due_at=now, started_at=now
            )
            written += len(transitions.settle([result], now=now))
        return written

    def take_back_all() -> int:
        return sum(len(transitions.take_back(now=now, limit=5, most_lost_leases=5)) for _ in range(30))

    written, taken = at_once(settle_all, take_back_all)
    assert written + taken == 60
    assert states() == {state: n for state, n in (("delivered", written), ("pending", taken)) if n}
    for row in rows:
        row.refresh_from_db()
        assert outcomes(row) == [("ok", 0) if row.state == "delivered" else ("unknown", 0)]


def test_two_results_under_one_token_are_one() -> None:
    delivery = a_delivery(channel_at("https://example.org"), State.SENDING)
    now = clock.now()

    def settle(state: State, outcome: Outcome) -> int:
        result = Result(delivery_id=delivery.pk, token=7, state=state, outcome=outcome, due_at=now, started_at=now)
        return len(transitions.settle([result], now=now))

    written = at_once(lambda: settle(State.DELIVERED, Outcome.OK), lambda: settle(State.RETRYING, Outcome.TRANSIENT))
    assert sorted(written) == [0, 1]
    assert len(outcomes(delivery)) == 1


def test_a_worker_that_sleeps_through_its_lease_changes_nothing(world: World) -> None:
    """It sends, sleeps, and wakes when another has delivered: its result, its renewal and its return are refused."""
    delivery = a_delivery(channel_at(world.sink_url("sleeper")))
    asleep = transitions.claim_one(delivery.pk, now=clock.now(), lease_s=0.0)
    sweep(ahead=SECOND)
    deliver.apply(args=(delivery.pk,))
    before = Delivery.objects.values().get()
    assert asleep is not None
    now = clock.now()
    late = Result(
        delivery_id=asleep.id, token=asleep.token, state=State.DEAD, outcome=Outcome.GONE, due_at=now, started_at=now
    )
    assert not transitions.settle([late], now=now)
    assert not transitions.renew([(asleep.id, asleep.token)], now=now, lease_s=99)
    assert not transitions.give_back([(asleep.id, asleep.token)], now=now)
    assert Delivery.objects.values().get() == before
    assert before["state"] == "delivered"
