"""What the statements read that run every second and more often: what they need, however full the tables are."""

from __future__ import annotations

import pytest

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import clock, lanes
from notifications.models import Delivery, due, transitions
from notifications.models.transitions import Result, Room
from notifications.states import State
from tests.notifications.plans import analyze, blocks_of, plans_of, whole_tables
from tests.notifications.scene import HOUR, a_delivery, channel_at, many_deliveries

pytestmark = pytest.mark.django_db

LANE = "http-normal"


@pytest.fixture
def channels() -> list[Channel]:
    return [channel_at("https://example.org") for _ in range(500)]


def claimed() -> list[int]:
    room = Room(in_all=400, of_a_channel=40)
    return [row.channel_id for row in transitions.claim(LANE, room, now=clock.now(), lease_s=20)]


def lanes_due() -> list[str]:
    return due.lanes(lanes.LANES, until=clock.now())


class TestRetriesThatWait:
    """20,000 of them, on 500 channels, and none is due."""

    @pytest.fixture(autouse=True)
    def _retries(self, channels: list[Channel]) -> None:
        many_deliveries(channels, 40, state="retrying", due_at=clock.now() + HOUR)
        analyze()

    def test_a_claim_visits_none_of_them(self) -> None:
        assert claimed() == []
        assert blocks_of(claimed) < 30

    def test_a_claim_visits_those_channels_that_have_something_due(self, channels: list[Channel]) -> None:
        a_delivery(channels[100])
        a_delivery(channels[200], State.RETRYING)
        assert blocks_of(claimed) < 100
        assert sorted(claimed()) == [channels[100].pk, channels[200].pk]

    def test_a_sweep_visits_none_of_them(self) -> None:
        assert blocks_of(lanes_due) < 50


def test_a_sweep_does_not_read_a_backlog(channels: list[Channel]) -> None:
    many_deliveries(channels, 20)
    many_deliveries(channels, 20, state="retrying", lane="http-low")
    analyze()
    assert set(lanes_due()) == {"http-normal", "http-low"}
    assert blocks_of(lanes_due) < 50


def test_workers_find_what_they_hold_by_index(channels: list[Channel]) -> None:
    many_deliveries(channels, 40, state="delivered", settled_at=clock.now())
    many_deliveries(channels[:20], 10, state="sending", token=7, lease_until=clock.now() + HOUR)
    analyze()
    ids, now = list(Delivery.objects.in_state(State.SENDING).values_list("pk", flat=True)), clock.now()
    results = [
        Result(delivery_id=pk, token=7, state=State.RETRYING, outcome=Outcome.TRANSIENT, due_at=now, started_at=now)
        for pk in ids
    ]
    for plan in (
        *plans_of(lambda: transitions.renew([(pk, 7) for pk in ids], now=now, lease_s=20)),
        *plans_of(lambda: transitions.give_back([(pk, 7) for pk in ids], now=now)),
        *plans_of(lambda: transitions.settle(results, now=now)),
    ):
        assert whole_tables(plan) == []
