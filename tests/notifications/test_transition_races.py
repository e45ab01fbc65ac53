"""Statements over the same deliveries at the same moment: they wait for each other, and never in a circle."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import clock
from notifications.models import Delivery, transitions
from notifications.models.transitions import Result
from notifications.states import State
from tests.notifications.locks import is_free, locked, wait_until_waiting
from tests.notifications.scene import (
    HOUR,
    a_dead_letter,
    a_delivery,
    a_notification,
    at_once,
    channel_at,
    in_background,
    many_deliveries,
    states,
)

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = 7
CODE = "paused"


@pytest.fixture
def channel() -> Channel:
    return channel_at("https://example.org/hook")


def settled(ids: list[int], state: State = State.DELIVERED) -> int:
    now = clock.now()
    results = [
        Result(delivery_id=pk, token=TOKEN, state=state, outcome=Outcome.OK, code=200, due_at=now, started_at=now)
        for pk in ids
    ]
    return len(transitions.settle(results, now=now))


def renewed(ids: list[int]) -> int:
    return len(transitions.renew([(pk, TOKEN) for pk in ids], now=clock.now(), lease_s=99))


def given_back(ids: list[int]) -> int:
    return transitions.give_back([(pk, TOKEN) for pk in ids], now=clock.now())


def cancelled(ids: list[int]) -> int:
    return len(transitions.cancel(ids=ids, code="x", reason="x", now=clock.now()))


def withdrawn(ids: list[int]) -> int:
    notification_id = Delivery.objects.get(pk=ids[0]).notification_id
    return len(transitions.cancel(notification_id=notification_id, code="x", reason="x", now=clock.now()))


def retired(ids: list[int]) -> int:
    channel_id = Delivery.objects.get(pk=ids[0]).channel_id
    return len(transitions.cancel_of_channel(channel_id, reason="x", now=clock.now(), behind=0, limit=9))


def released(ids: list[int]) -> int:
    return transitions.release(Delivery.objects.get(pk=ids[0]).channel_id, code=CODE, now=clock.now(), spread_s=1)


def restored(ids: list[int]) -> int:
    return transitions.release_restored(ids, code=CODE, now=clock.now(), spread_s=1)


def postponed(ids: list[int]) -> int:
    return transitions.postpone([(pk, clock.now() + HOUR, "x", "x") for pk in ids])


def replayed(ids: list[int]) -> int:
    return len(transitions.replay(ids, by="op", now=clock.now()))


@pytest.mark.parametrize(
    ("move", "state"),
    [
        (settled, State.SENDING),
        (renewed, State.SENDING),
        (given_back, State.SENDING),
        (cancelled, State.PENDING),
        (cancelled, State.SENDING),
        (withdrawn, State.RETRYING),
        (retired, State.SENDING),
        (released, State.SCHEDULED),
        (restored, State.SCHEDULED),
        (postponed, State.SCHEDULED),
        (replayed, State.DEAD),
    ],
)
def test_rows_are_locked_in_the_order_of_their_ids(
    channel: Channel, move: Callable[[list[int]], int], state: State
) -> None:
    """Whatever the order in which they are named, lie in the table, or come in an index."""
    about = {"notification": a_notification(), "reason_code": CODE}
    if state is State.DEAD:
        first, second = a_dead_letter(channel).delivery, a_dead_letter(channel).delivery
    else:
        first = a_delivery(channel, state, **about)
        second = a_delivery(channel, state, address="another", **about)
    later = {"due_at": first.due_at + HOUR, "lease_until": first.lease_until and first.lease_until + HOUR}
    Delivery.objects.filter(pk=first.pk).update(**later)
    counted: list[int] = []
    with locked(first):
        moving = in_background(lambda: counted.append(move([second.pk, first.pk])))
        wait_until_waiting()
        assert is_free(second)
    moving.join()
    assert counted == [2]


def test_workers_and_those_who_withdraw_never_wait_in_a_circle(channel: Channel) -> None:
    for _ in range(3):
        many_deliveries([channel], 300, state="sending", token=TOKEN, lease_until=clock.now() + HOUR)
        ids = list(Delivery.objects.in_state(State.SENDING).values_list("pk", flat=True))

        def shuffled(move: Callable[[list[int]], int], ids: list[int] = ids) -> int:
            return move(random.sample(ids, len(ids)))

        found = at_once(lambda: shuffled(renewed), lambda: shuffled(cancelled), lambda: shuffled(settled))
        assert found[2] == 300
        assert states(channel).keys() == {"delivered"}
