"""Forgetting: what ended long ago goes with all that hangs on it; what is open or undecided stays for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs

from channels_app.models import Channel
from notifications import clock, dead_letters, pruning
from notifications.models import Attempt, DeadLetter, Delivery, Notification
from notifications.states import OPEN, State
from tests.notifications.scene import a_delivery, a_notification, channel_at

pytestmark = pytest.mark.django_db

OLD = timedelta(days=31)


@pytest.fixture
def channel() -> Channel:
    return channel_at("https://example.org/hook")


def an_old_one(channel: Channel, *states: State) -> Notification:
    notification = a_notification(accepted_at=clock.now() - OLD)
    for state in states:
        delivery = a_delivery(channel_at("https://example.org"), state, notification=notification)
        Attempt.objects.create(delivery=delivery, started_at=clock.now(), duration_ms=1, outcome="ok")
        if state is State.DEAD:
            DeadLetter.objects.create(
                delivery=delivery, channel=channel, outcome="gone", fingerprint="f", attempts=1, buried_at=clock.now()
            )
    return notification


def pruned() -> int:
    return pruning.prune(clock.now())


def test_what_ended_goes_with_everything(channel: Channel) -> None:
    an_old_one(channel, State.DELIVERED, State.SUPPRESSED, State.CANCELLED)
    an_old_one(channel)
    assert pruned() == 2
    assert not Notification.objects.exists()
    assert not Delivery.objects.exists()
    assert not Attempt.objects.exists()
    assert Channel.objects.filter(pk=channel.pk).exists()


@pytest.mark.parametrize("state", sorted(OPEN))
def test_one_open_delivery_keeps_it(channel: Channel, state: State) -> None:
    an_old_one(channel, State.DELIVERED, State(state))
    assert pruned() == 0
    assert Attempt.objects.count() == 2


def test_an_undecided_dead_letter_keeps_it_and_a_decided_one_does_not(channel: Channel) -> None:
    an_old_one(channel, State.DEAD)
    assert pruned() == 0
    dead_letters.discard(list(DeadLetter.objects.all()), reason="x", by="ada", now=clock.now())
    assert pruned() == 1
    assert not DeadLetter.objects.exists()


def test_a_letter_on_which_nobody_decides_keeps_it_for_a_long_time_and_not_for_ever(
    channel: Channel, settings: Settings
) -> None:
    kept, lapsed = an_old_one(channel, State.DEAD), an_old_one(channel, State.DEAD)
    for notification, days in ((kept, 89), (lapsed, 91)):
        letters = DeadLetter.objects.filter(delivery__notification=notification)
        letters.update(buried_at=clock.now() - timedelta(days=days))
    assert pruned() == 1
    assert list(Notification.objects.all()) == [kept]
    settings.BELFRY_DEAD_LETTER_RETENTION_DAYS = 40
    assert pruned() == 1


def test_what_lapses_is_told_in_the_log(channel: Channel) -> None:
    an_old_one(channel, State.DEAD, State.DEAD)
    an_old_one(channel, State.DELIVERED)
    DeadLetter.objects.update(buried_at=clock.now() - timedelta(days=91))
    with capture_logs() as logged:
        assert pruned() == 2
    assert {"event": "dead_letters_lapsed", "log_level": "warning", "undecided": 2, "after_days": 90} in logged


def test_one_undecided_letter_among_decided_ones_keeps_it(channel: Channel) -> None:
    """A delivery that died, was replayed and died again has two letters."""
    an_old_one(channel, State.DEAD)
    first = DeadLetter.objects.get()
    dead_letters.discard([first], reason="x", by="ada", now=clock.now())
    first.pk = None
    first.discarded_at = None
    first.save()
    assert pruned() == 0


def test_what_is_young_stays(channel: Channel) -> None:
    a_delivery(channel, State.DELIVERED)
    assert pruned() == 0


def test_what_was_never_routed_stays(channel: Channel) -> None:
    a_notification(accepted_at=clock.now() - OLD, routed_at=None)
    assert pruned() == 0


def test_the_operator_says_how_long(channel: Channel, settings: Settings) -> None:
    settings.BELFRY_RETENTION_DAYS = 40
    an_old_one(channel, State.DELIVERED)
    assert pruned() == 0
    settings.BELFRY_RETENTION_DAYS = 30
    assert pruned() == 1


def test_what_is_kept_does_not_hide_what_can_go(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(4):
        an_old_one(channel, State.PENDING)
    for _ in range(5):
        an_old_one(channel, State.DELIVERED)
    assert pruned() == 5
    assert Notification.objects.count() == 4


def test_a_run_ends_and_the_next_goes_on(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 1)
    monkeypatch.setattr(pruning, "MOST_BATCHES", 2)
    for _ in range(3):
        an_old_one(channel, State.DELIVERED)
    assert [pruned(), pruned(), pruned()] == [2, 1, 0]
