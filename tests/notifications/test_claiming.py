"""Who is served by a claim: round all channels, each as far as it has room, first tries before later ones."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from django.db import transaction

from channels_app.models import Channel
from notifications import clock
from notifications.models import Delivery, transitions
from notifications.models.transitions import Room, claiming
from notifications.states import State
from tests.notifications.scene import HOUR, SECOND, a_notification, channel_at

pytestmark = pytest.mark.django_db

LANE = "http-normal"


@pytest.fixture
def channels() -> list[Channel]:
    """A dozen with everything that a claim must tell apart: due or not, tried or not, expired, of another lane."""
    random, now = Random(5), clock.now()
    channels = [channel_at("https://example.org") for _ in range(12)]
    notification = a_notification()
    Delivery.objects.bulk_create(
        Delivery(
            notification=notification,
            channel=random.choice(channels[::2] if number % 3 else channels),
            address=f"{number}",
            state=random.choice(["pending", "retrying", "retrying", "scheduled"]),
            lane=random.choice([LANE, LANE, LANE, "http-low"]),
            due_at=now + random.choice([-1, -1, 1]) * random.random() * HOUR,
            expires_at=random.choice([None, None, None, now - SECOND, now + HOUR]),
            cancel_requested=random.random() < 0.1,
            priority=5,
            created_at=now,
        )
        for number in range(300)
    )
    return channels


def expected(room: Room) -> list[int]:
    """The ids that a claim takes, by the words of its description."""
    now = clock.now()
    due = Delivery.objects.filter(lane=LANE, due_at__lte=now, cancel_requested=False).order_by("due_at")
    due = due.exclude(expires_at__lte=now)
    taken: list[int] = []
    for pk in Channel.objects.filter(pk__gt=room.after_channel).order_by("pk").values_list("pk", flat=True):
        size = room.of_channel.get(pk, room.of_a_channel)
        for state, most in ((State.PENDING, size), (State.RETRYING, (size + 3) // 4)):
            taken += due.filter(channel=pk, state=state).values_list("pk", flat=True)[:most]
    return taken[: room.in_all]


def claimed(room: Room) -> list[int]:
    """The ids that a claim takes; it is undone."""
    with transaction.atomic():
        rows = transitions.claim(LANE, room, now=clock.now(), lease_s=20)
        transaction.set_rollback(True)
    return [row.id for row in rows]


@pytest.mark.parametrize("few", [0, 5, 10_000], ids=["many are due", "some are due", "few are due"])
@pytest.mark.parametrize("in_all", [1, 7, 40, 500])
def test_however_many_retries_are_due_it_takes_what_it_says(
    channels: list[Channel], monkeypatch: pytest.MonkeyPatch, few: int, in_all: int
) -> None:
    monkeypatch.setattr(claiming, "_FEW", few)
    for place in (0, 1, 4, 9, 11):
        rooms = {channels[0].pk: 0, channels[2].pk: 100, channels[3].pk: 2}
        after = channels[place].pk if place else 0
        room = Room(in_all=in_all, of_a_channel=5, of_channel=rooms, after_channel=after)
        assert sorted(claimed(room)) == sorted(expected(room))


def test_what_is_due_soon_is_not_taken_yet(channels: list[Channel]) -> None:
    room = Room(in_all=1000, of_a_channel=1000)
    before = set(claimed(room))
    Delivery.objects.filter(state=State.RETRYING).update(due_at=clock.now() + timedelta(minutes=1))
    assert set(claimed(room)) == {pk for pk in before if Delivery.objects.get(pk=pk).state == State.PENDING}
