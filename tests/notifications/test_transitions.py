"""Each letter's statement, applied where it may not be: nothing changes. And where it may: just what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import clock
from notifications.models import Attempt, DeadLetter, Delivery, transitions
from notifications.models.transitions import NewDelivery, Result, Room
from notifications.states import NEW, TRANSITIONS, IllegalTransition, State
from tests.notifications.scene import (
    HOUR,
    SECOND,
    a_dead_letter,
    a_delivery,
    a_notification,
    channel_at,
    outcomes,
    row_of,
)

pytestmark = pytest.mark.django_db

ROOM = Room(in_all=100, of_a_channel=100)
TOKEN = 7


@pytest.fixture
def channel() -> Channel:
    return channel_at("https://example.org/hook")


def result(delivery: Delivery, state: State, *, token: int = TOKEN, outcome: Outcome | None = None) -> Result:
    now = clock.now()
    return Result(
        delivery_id=delivery.pk, token=token, state=state, outcome=outcome, due_at=now, started_at=now, code=503
    )


def settled(delivery: Delivery, state: State, outcome: Outcome | None = None) -> int:
    return len(transitions.settle([result(delivery, state, outcome=outcome)], now=clock.now()))


def claimed(delivery: Delivery) -> int:
    return len(transitions.claim("http-normal", ROOM, now=clock.now(), lease_s=20))


def claimed_one(delivery: Delivery) -> int:
    return int(transitions.claim_one(delivery.pk, now=clock.now(), lease_s=20) is not None)


def taken_back(delivery: Delivery) -> int:
    Delivery.objects.update(lease_until=clock.now() - SECOND)
    return len(transitions.take_back(now=clock.now(), limit=10, most_lost_leases=5))


def given_back(delivery: Delivery) -> int:
    return transitions.give_back([(delivery.pk, TOKEN)], now=clock.now())


def promoted(delivery: Delivery) -> int:
    return len(transitions.promote(now=clock.now(), until=clock.now(), limit=10))


def replayed(delivery: Delivery) -> int:
    return len(transitions.replay([delivery.pk], by="op", now=clock.now()))


def cancelled(delivery: Delivery) -> int:
    return len(transitions.cancel(ids=[delivery.pk], code="withdrawn", reason="Test.", now=clock.now()))


def expired(delivery: Delivery) -> int:
    Delivery.objects.update(expires_at=clock.now() - SECOND)
    return transitions.cancel_overdue(now=clock.now(), limit=10)


#: Each statement with its letter. `f` and `i` need a verdict.
MOVES: dict[str, tuple[str, Callable[[Delivery], int]]] = {
    "promote": ("d", promoted),
    "claim": ("e", claimed),
    "claim_one": ("e", claimed_one),
    "settle delivered": ("f", lambda delivery: settled(delivery, State.DELIVERED, Outcome.OK)),
    "settle retrying": ("g", lambda delivery: settled(delivery, State.RETRYING, Outcome.TRANSIENT)),
    "settle scheduled": ("h", lambda delivery: settled(delivery, State.SCHEDULED)),
    "settle dead": ("i", lambda delivery: settled(delivery, State.DEAD, Outcome.PERMANENT)),
    "take_back": ("j", taken_back),
    "give_back": ("j", given_back),
    "replay": ("k", replayed),
    "cancel": ("l", cancelled),
    "cancel_overdue": ("l", expired),
}

ALLOWED = [(name, state) for name, (letter, _) in MOVES.items() for state in sorted(TRANSITIONS[letter].sources)]
FORBIDDEN = [
    (name, state)
    for name in MOVES
    for state in State
    if (name, state) not in ALLOWED and (name, state) != ("cancel", State.SENDING)
]


def test_all_moves_of_the_table_have_a_statement() -> None:
    assert {letter for letter, _ in MOVES.values()} == set(TRANSITIONS) - {"a", "b", "c"}


@pytest.mark.parametrize(("move", "state"), ALLOWED)
def test_a_move_of_the_table_happens_once(channel: Channel, move: str, state: State) -> None:
    delivery = a_dead_letter(channel).delivery if state == State.DEAD else a_delivery(channel, State(state))
    letter, run = MOVES[move]
    assert run(delivery) == 1
    delivery.refresh_from_db()
    assert delivery.state == TRANSITIONS[letter].target
    assert (delivery.settled_at is not None) == (delivery.state in ("delivered", "dead", "cancelled"))
    assert (delivery.lease_until is not None) == (delivery.state == "sending")


@pytest.mark.parametrize(("move", "state"), FORBIDDEN)
def test_a_move_that_is_not_in_the_table_changes_nothing(channel: Channel, move: str, state: State) -> None:
    delivery = a_delivery(channel, state)
    changeable = {"expires_at", "lease_until"}
    before = row_of(delivery)
    assert MOVES[move][1](delivery) == 0
    after = row_of(delivery)
    assert {k: v for k, v in after.items() if k not in changeable} == {
        k: v for k, v in before.items() if k not in changeable
    }
    assert not Attempt.objects.exists()
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("target", State)
def test_only_the_states_of_the_table_can_be_new(channel: Channel, target: State) -> None:
    now = clock.now()
    new = NewDelivery(
        notification_id=a_notification().pk,
        channel_id=channel.pk,
        state=target,
        lane="http-normal",
        priority=5,
        reason_code="",
        reason="",
        due_at=now,
        expires_at=None,
    )
    if any(NEW in arrow.sources and arrow.target is target for arrow in TRANSITIONS.values()):
        assert transitions.create([new], now=now) == 1
        assert transitions.create([new, new], now=now) == 0
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.settled_at is not None) == (target, target is State.SUPPRESSED)
    else:
        with pytest.raises(IllegalTransition):
            transitions.create([new], now=now)
        assert not Delivery.objects.exists()


@pytest.mark.parametrize("target", [State.SENDING, State.CANCELLED, State.SUPPRESSED])
def test_a_result_that_leads_nowhere_cannot_even_be_made(channel: Channel, target: State) -> None:
    delivery = a_delivery(channel, State.SENDING)
    with pytest.raises(IllegalTransition):
        result(delivery, target)


class TestFencing:
    @pytest.mark.parametrize("token", [TOKEN - 1, TOKEN + 1, 0, -1])
    @pytest.mark.parametrize("target", [State.DELIVERED, State.RETRYING, State.SCHEDULED, State.DEAD])
    def test_a_result_under_another_token_is_dropped(self, channel: Channel, target: State, token: int) -> None:
        delivery = a_delivery(channel, State.SENDING)
        before = row_of(delivery)
        late = result(delivery, target, token=token, outcome=Outcome.PERMANENT)
        assert transitions.settle([late], now=clock.now()) == frozenset()
        assert row_of(delivery) == before
        assert not Attempt.objects.exists()
        assert not DeadLetter.objects.exists()

    def test_a_late_result_does_not_spoil_the_others_of_its_batch(self, channel: Channel) -> None:
        one, two = a_delivery(channel, State.SENDING), a_delivery(channel, State.SENDING)
        batch = [
            result(one, State.DELIVERED, token=TOKEN - 1, outcome=Outcome.OK),
            result(two, State.DELIVERED, outcome=Outcome.OK),
        ]
        assert transitions.settle(batch, now=clock.now()) == {two.pk}
        assert list(Attempt.objects.values_list("delivery_id", flat=True)) == [two.pk]

    def test_settling_twice_writes_once(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING)
        assert settled(delivery, State.RETRYING, Outcome.TRANSIENT) == 1
        before = row_of(delivery)
        assert settled(delivery, State.RETRYING, Outcome.TRANSIENT) == 0
        assert row_of(delivery) == before
        assert outcomes(delivery) == [("transient", 503)]

    def test_another_token_keeps_and_gives_back_nothing(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING)
        before = row_of(delivery)
        stranger = [(delivery.pk, TOKEN - 1)]
        assert not transitions.renew(stranger, now=clock.now(), lease_s=99)
        assert transitions.give_back(stranger, now=clock.now()) == 0
        assert row_of(delivery) == before

    def test_a_lease_is_renewed_only_while_it_is_held(self, channel: Channel) -> None:
        held, lost = a_delivery(channel, State.SENDING), a_delivery(channel, State.PENDING, token=TOKEN)
        now = clock.now()
        assert transitions.renew([(held.pk, TOKEN), (lost.pk, TOKEN)], now=now, lease_s=99) == {(held.pk, TOKEN)}
        held.refresh_from_db()
        lost.refresh_from_db()
        assert (held.lease_until, lost.lease_until) == (now + timedelta(seconds=99), None)

    def test_the_first_workers_late_result_changes_nothing(self, channel: Channel) -> None:
        """Claimed, lost, taken back, claimed by another, delivered; then the first one wakes."""
        delivery = a_delivery(channel)
        first = transitions.claim_one(delivery.pk, now=clock.now(), lease_s=20)
        assert taken_back(delivery) == 1
        second = transitions.claim_one(delivery.pk, now=clock.now(), lease_s=20)
        assert first
        assert second
        assert (first.token, second.token) == (1, 2)
        late = result(delivery, State.DEAD, token=first.token, outcome=Outcome.PERMANENT)
        assert not transitions.settle([late], now=clock.now())
        assert not transitions.renew([(delivery.pk, first.token)], now=clock.now(), lease_s=99)
        assert transitions.settle(
            [result(delivery, State.DELIVERED, token=second.token, outcome=Outcome.OK)], now=clock.now()
        )
        after = row_of(delivery)
        assert not transitions.settle([late], now=clock.now())
        assert row_of(delivery) == after
        assert after["state"] == "delivered"
        assert outcomes(delivery) == [("unknown", 0), ("ok", 503)]
        assert not DeadLetter.objects.exists()

    def test_tokens_only_grow_also_over_a_replay(self, channel: Channel) -> None:
        delivery = a_dead_letter(channel).delivery
        Delivery.objects.update(token=TOKEN)
        replayed(delivery)
        claimed_one(delivery)
        delivery.refresh_from_db()
        assert delivery.token == TOKEN + 1


class TestLeases:
    def test_a_lease_that_runs_is_not_taken_back(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING)
        before = row_of(delivery)
        assert transitions.take_back(now=clock.now(), limit=10, most_lost_leases=5) == []
        assert row_of(delivery) == before

    def test_five_workers_die_over_it_and_it_is_buried(self, channel: Channel) -> None:
        delivery = a_delivery(channel)
        for lost in range(1, 6):
            assert claimed_one(delivery) == 1
            assert taken_back(delivery) == 1
            delivery.refresh_from_db()
            assert (delivery.lost_leases, delivery.reason_code) == (lost, "lease_lost")
        assert (delivery.state, delivery.lease_until) == ("dead", None)
        assert delivery.settled_at is not None
        letter = DeadLetter.objects.get()
        assert (letter.delivery_id, letter.outcome, letter.is_waiting) == (delivery.pk, "unknown", True)
        assert outcomes(delivery) == [("unknown", 0)] * 5
        assert taken_back(delivery) == 0

    def test_a_replay_forgets_the_lost_leases_and_the_attempts(self, channel: Channel) -> None:
        delivery = a_dead_letter(channel).delivery
        Delivery.objects.update(lost_leases=5, attempts=10, first_attempt_at=clock.now() - 999 * HOUR)
        replayed(delivery)
        delivery.refresh_from_db()
        assert (delivery.lost_leases, delivery.attempts, delivery.first_attempt_at) == (0, 0, None)

    def test_what_is_given_back_is_due_at_once_and_counts_nothing(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING, attempts=3)
        assert given_back(delivery) == 1
        delivery.refresh_from_db()
        assert (delivery.attempts, delivery.lost_leases) == (3, 0)
        assert claimed_one(delivery) == 1


class TestSettling:
    @pytest.mark.parametrize(
        ("outcome", "state", "attempts"),
        [
            (Outcome.OK, State.DELIVERED, 3),
            (Outcome.TRANSIENT, State.RETRYING, 3),
            (Outcome.UNKNOWN, State.RETRYING, 3),
            (Outcome.RATE_LIMITED, State.SCHEDULED, 2),
            (Outcome.PERMANENT, State.DEAD, 3),
            (Outcome.GONE, State.DEAD, 3),
            (None, State.SCHEDULED, 2),
        ],
    )
    def test_counts_attempts_as_the_outcomes_say(
        self, channel: Channel, outcome: Outcome | None, state: State, attempts: int
    ) -> None:
        delivery = a_delivery(channel, State.SENDING, attempts=2)
        assert settled(delivery, state, outcome) == 1
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts) == (state, attempts)
        assert outcomes(delivery) == ([(outcome.value, 503)] if outcome else [])
        assert DeadLetter.objects.filter(attempts=attempts).exists() == (state is State.DEAD)

    def test_writes_row_attempt_and_dead_letter_together_or_not_at_all(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING)
        before = row_of(delivery)
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT before_settling")
            bad = Result(
                delivery_id=delivery.pk,
                token=TOKEN,
                state=State.DEAD,
                outcome=Outcome.PERMANENT,
                fingerprint="f" * 65,
                due_at=clock.now(),
                started_at=clock.now(),
            )
            with pytest.raises(Exception, match="too long"):
                transitions.settle([bad], now=clock.now())
            cursor.execute("ROLLBACK TO SAVEPOINT before_settling")
        assert row_of(delivery) == before
        assert not Attempt.objects.exists()

    def test_nothing_to_settle_asks_nothing(self, django_assert_num_queries: Callable[[int], object]) -> None:
        with django_assert_num_queries(0):  # type: ignore[attr-defined]
            assert transitions.settle([], now=clock.now()) == frozenset()


class TestCancelling:
    def test_what_a_worker_holds_is_marked_and_goes_on(self, channel: Channel) -> None:
        delivery = a_delivery(channel, State.SENDING)
        assert cancelled(delivery) == 1
        delivery.refresh_from_db()
        assert (delivery.state, delivery.cancel_requested, delivery.token) == ("sending", True, TOKEN)
        assert settled(delivery, State.DELIVERED, Outcome.OK) == 1

    @pytest.mark.parametrize("state", [State.PENDING, State.RETRYING, State.SCHEDULED])
    def test_what_is_marked_is_neither_claimed_nor_promoted_but_ended(self, channel: Channel, state: State) -> None:
        delivery = a_delivery(channel, state, cancel_requested=True)
        assert claimed(delivery) + claimed_one(delivery) + promoted(delivery) == 0
        assert transitions.cancel_overdue(now=clock.now(), limit=10) == 1
        delivery.refresh_from_db()
        assert delivery.state == "cancelled"

    def test_cancelling_everything_is_never_meant(self) -> None:
        with pytest.raises(ValueError, match="name a notification or ids"):
            transitions.cancel(code="x", reason="x", now=clock.now())

    def test_an_empty_list_of_ids_cancels_nothing(self, channel: Channel) -> None:
        delivery = a_delivery(channel)
        assert transitions.cancel(ids=[], code="x", reason="x", now=clock.now()) == []
        delivery.refresh_from_db()
        assert delivery.state == "pending"


class TestTime:
    @pytest.mark.parametrize("state", [State.PENDING, State.RETRYING])
    def test_what_is_not_due_is_not_claimed(self, channel: Channel, state: State) -> None:
        delivery = a_delivery(channel, state, due_at=clock.now() + HOUR)
        assert claimed(delivery) + claimed_one(delivery) == 0

    @pytest.mark.parametrize("state", [State.PENDING, State.RETRYING])
    def test_what_has_expired_is_not_claimed(self, channel: Channel, state: State) -> None:
        delivery = a_delivery(channel, state, expires_at=clock.now())
        assert claimed(delivery) + claimed_one(delivery) == 0

    def test_what_waits_is_promoted_when_due_and_keeps_its_time(self, channel: Channel) -> None:
        due_at = clock.now() + SECOND
        delivery = a_delivery(channel, State.SCHEDULED, due_at=due_at)
        assert promoted(delivery) == 0
        assert len(transitions.promote(now=clock.now(), until=due_at, limit=10)) == 1
        delivery.refresh_from_db()
        assert (delivery.state, delivery.due_at) == ("pending", due_at)
        assert claimed_one(delivery) == 0

    @pytest.mark.parametrize("state", [state for state in State if state is not State.SCHEDULED])
    def test_only_what_waits_can_be_postponed(self, channel: Channel, state: State) -> None:
        delivery = a_delivery(channel, state)
        before = row_of(delivery)
        assert transitions.postpone([(delivery.pk, clock.now() + HOUR, "x", "x")]) == 0
        assert row_of(delivery) == before
