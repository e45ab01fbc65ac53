"""Forgetting: what ended long ago goes with all that hangs on it; what is open or undecided stays for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings
from structlog.testing import capture_logs

from channels_app.models import Channel, InboxItem
from notifications import clock, dead_letters, pruning
from notifications.models import Attempt, DeadLetter, Delivery, Notification, retention, statement
from notifications.states import OPEN, State
from tests.notifications.scene import (
    a_delivery,
    a_notification,
    accept,
    at_once,
    channel_at,
    in_background,
    many_dead_letters,
    route,
    states,
)

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
    """However much there is to forget: the broker gives a task that takes too long to somebody else."""
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(3):
        an_old_one(channel, State.DELIVERED)
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "BUDGET_S", 0.0)
        assert pruned() == 2
    assert [pruned(), pruned()] == [1, 0]


def test_everything_that_hangs_on_a_notification_is_known_to_it() -> None:
    """It is deleted by statements that name the tables; a new one must be named there too."""
    known = {Notification: {Delivery}, Delivery: {Attempt, DeadLetter}, Attempt: set(), DeadLetter: set()}
    for model, children in known.items():
        assert {relation.related_model for relation in model._meta.related_objects} == children


def lapsed_letters(channel: Channel, count: int) -> list[DeadLetter]:
    """Letters of old notifications, on which nobody has decided for so long that they may go."""
    return many_dead_letters(
        channel, count, buried_at=clock.now() - timedelta(days=91), about={"accepted_at": clock.now() - OLD}
    )


def replayed(letters: list[DeadLetter]) -> int:
    return dead_letters.replay(letters, by="ada", now=clock.now())


class Holding:
    """Somebody in another thread who does something in a transaction, and ends it when told to."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._done, self._end = threading.Event(), threading.Event()
        self._thread = in_background(partial(self._run, act))
        assert self._done.wait(10)

    def _run(self, act: Callable[[], object]) -> None:
        with transaction.atomic():
            act()
            self._done.set()
            self._end.wait(10)

    def end(self) -> None:
        self._end.set()
        self._thread.join()


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_what_is_being_replayed_stays_and_is_not_waited_for(self, channel: Channel) -> None:
        letters = lapsed_letters(channel, 3)
        replay = Holding(lambda: replayed(letters[:1]))
        began = time.monotonic()
        assert pruned() == 2
        assert time.monotonic() - began < 5
        replay.end()
        assert states() == {"pending": 1}
        assert pruned() == 0

    def test_what_is_being_discarded_stays_until_that_is_done(self, channel: Channel) -> None:
        letters = lapsed_letters(channel, 1)
        discard = Holding(lambda: dead_letters.discard(letters, reason="x", by="ada", now=clock.now()))
        assert pruned() == 0
        discard.end()
        assert pruned() == 1

    @pytest.mark.parametrize(
        ("after", "stays"),
        [("_LOOK", 1), ("_CHOOSE", 1), ("_LOCK_DELIVERIES", 1), ("_LOCK_LETTERS", 0), ("_KEPT", 0)],
    )
    def test_what_is_replayed_between_two_steps_goes_or_stays_as_a_whole(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch, after: str, stays: int
    ) -> None:
        """Whoever locks the letter first decides."""
        letters = lapsed_letters(channel, 3)
        counts: list[int] = []
        others: list[threading.Thread] = []
        run = statement.run

        def run_and_let_somebody_in(sql: str, *args: Any, **more: Any) -> list[Any]:
            rows = run(sql, *args, **more)
            if sql == getattr(retention, after):
                others.append(in_background(lambda: counts.append(replayed(letters[:1]))))
                others[-1].join(0.3)
            return rows

        monkeypatch.setattr(statement, "run", run_and_let_somebody_in)
        gone = pruned()
        for other in others:
            other.join()
        assert len(others) == 1
        assert (gone, counts) == (3 - stays, [stays])
        assert list(states()) == ["pending"] * stays

    def test_replaying_and_forgetting_at_once_lose_nothing(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pruning, "BATCH", 20)
        letters = lapsed_letters(channel, 400)
        gone, *sent = at_once(
            pruned, *[lambda n=n: sum(replayed([letter]) for letter in letters[n::3][:60]) for n in range(3)]
        )
        assert gone + sum(sent) + DeadLetter.objects.waiting().count() == 400
        assert states()["pending"] == sum(sent) == DeadLetter.objects.decided().count()
        assert Notification.objects.count() == Delivery.objects.count() == 400 - gone

    def test_only_one_in_a_process_forgets(self, channel: Channel) -> None:
        an_old_one(channel, State.DELIVERED)
        with pruning._pruning:
            assert pruned() == 0
        assert pruned() == 1

    def test_only_one_of_many_processes_forgets(self, channel: Channel) -> None:
        an_old_one(channel, State.DELIVERED)
        before = clock.now() - timedelta(days=30)
        other = Holding(lambda: retention.forget(before=before - OLD, undecided_before=before, limit=1))
        assert pruned() == 0
        other.end()
        assert pruned() == 1

    def test_many_at_once_forget_each_once(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pruning, "BATCH", 5)
        for _ in range(20):
            an_old_one(channel, State.DELIVERED)
        assert sum(at_once(*[pruned] * 4)) == 20


def test_feeds_are_pruned_in_the_same_run(settings: Settings) -> None:
    accept(recipients=["ann"])
    route()
    pruning.prune(clock.now() + timedelta(days=settings.BELFRY_FEED_UNREAD_DAYS - 1))
    assert InboxItem.objects.filter(deleted_at=None).count() == 1
    pruning.prune(clock.now() + timedelta(days=settings.BELFRY_FEED_UNREAD_DAYS + 1))
    assert InboxItem.objects.filter(deleted_at=None).count() == 0
