"""Another rate limit: what was told its turn by the old one keeps its place, and comes at the new pace."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from uuid_utils.compat import uuid7

from channels_app.models import Channel
from channels_app.ratelimit import Ask, default_limits
from notifications import channel_control, clock, gates
from notifications.models import Delivery
from notifications.rulebook import ChannelInUse
from notifications.states import State
from project.outside import World
from tests.notifications.scene import HOUR, a_delivery, channel_at, drain, eventually, many_deliveries, states, sweep

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 40


@pytest.fixture
def limited(world: World) -> Channel:
    """One request a second; one of its deliveries has gone, the others were told the turns behind it."""
    place = f"limited-{uuid7().hex[-12:]}"
    channel = channel_at(world.sink_url(place), place, rate_per_s=1.0, rate_burst=1)
    default_limits().forget(channel.pk)
    many_deliveries([channel], COUNT)
    drain()
    assert states(channel) == {"delivered": 1, "scheduled": COUNT - 1}
    return channel


def change(channel: Channel, **columns: Any) -> None:
    for name, value in columns.items():
        setattr(channel, name, value)
    channel_control.change_settings(channel, channel.save, by="ada", now=clock.now())


def turns(channel: Channel) -> list[tuple[int, float]]:
    """What waits for its turn, in its order, and for how many seconds."""
    now = clock.now()
    rows = Delivery.objects.filter(channel=channel, reason_code=gates.LIMIT, state="scheduled")
    return [(row.pk, (row.due_at - now).total_seconds()) for row in rows.order_by("due_at")]


@pytest.mark.parametrize(("rate_per_s", "last_s"), [(10.0, 3.9), (0.1, 390.0), (0.5, 78.0)])
def test_turns_keep_their_order_and_come_at_the_new_pace(limited: Channel, rate_per_s: float, last_s: float) -> None:
    before = turns(limited)
    assert before[-1][1] == pytest.approx(39, abs=3)
    change(limited, rate_per_s=rate_per_s)
    after = turns(limited)
    assert [pk for pk, _ in after] == [pk for pk, _ in before]
    assert after[-1][1] == pytest.approx(last_s, rel=0.1)


def test_what_waited_arrives_at_the_new_pace_and_not_faster(limited: Channel, world: World) -> None:
    change(limited, rate_per_s=40.0)

    def all_arrived() -> bool:
        sweep()
        drain()
        return states(limited) == {"delivered": COUNT}

    eventually(all_arrived)
    seen = sorted(one.received_at for one in world.seen(f"sink/{limited.key}"))
    assert len(seen) == COUNT
    assert (seen[-1] - seen[1]).total_seconds() >= (COUNT - 3) / 40.0


def test_what_comes_meanwhile_comes_behind(limited: Channel) -> None:
    change(limited, rate_per_s=2.0)
    limit = ChannelInUse(limited).limit
    grant = default_limits().reserve_many([Ask(limited.pk, fresh=1, limit=limit)])[limited.pk]
    assert grant.granted == 0
    assert grant.waits_s[0] == pytest.approx(turns(limited)[-1][1] + 0.5, abs=1.5)


def test_without_a_limit_everything_follows_and_no_turn_is_remembered(limited: Channel) -> None:
    change(limited, rate_per_s=None)
    assert turns(limited)[-1][1] <= channel_control.SPREAD_S
    change(limited, rate_per_s=1.0)
    limit = ChannelInUse(limited).limit
    assert default_limits().reserve_many([Ask(limited.pk, fresh=1, limit=limit)])[limited.pk].granted == 1


@pytest.mark.parametrize("columns", [{"rate_burst": 5}, {"name": "Another"}, {"max_attempts": 3}])
def test_a_change_of_something_else_moves_nothing(limited: Channel, columns: dict[str, Any]) -> None:
    before = turns(limited)
    change(limited, **columns)
    after = turns(limited)
    assert [pk for pk, _ in after] == [pk for pk, _ in before]
    assert after[-1][1] == pytest.approx(before[-1][1], abs=2)


def test_what_waits_for_something_else_goes_on_waiting(limited: Channel) -> None:
    paused = a_delivery(limited, State.SCHEDULED, reason_code=gates.PAUSE, due_at=clock.now() + HOUR)
    other = channel_at("https://example.org", rate_per_s=1.0)
    elsewhere = a_delivery(other, State.SCHEDULED, reason_code=gates.LIMIT, due_at=clock.now() + HOUR)
    change(limited, rate_per_s=100.0)
    due = dict(Delivery.objects.filter(pk__in=[paused.pk, elsewhere.pk]).values_list("pk", "due_at"))
    assert due == {paused.pk: paused.due_at, elsewhere.pk: elsewhere.due_at}


def test_a_change_that_is_taken_back_moves_nothing(limited: Channel) -> None:
    before = turns(limited)
    with transaction.atomic():
        change(limited, rate_per_s=100.0)
        transaction.set_rollback(True)
    assert turns(limited)[-1][1] == pytest.approx(before[-1][1], abs=2)


def test_turns_beyond_every_calendar_are_told_for_next_year(limited: Channel) -> None:
    far = a_delivery(limited, State.SCHEDULED, reason_code=gates.LIMIT, due_at=clock.now() + 24 * 300 * HOUR)
    change(limited, rate_per_s=0.0001)
    far.refresh_from_db()
    assert far.due_at <= clock.now() + 24 * 366 * HOUR
