"""What failed for good: replayed once whoever asks how often, discarded for good, readable afterwards."""

from __future__ import annotations

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels_app.models import Channel
from notifications import clock, dead_letters
from notifications.models import DeadLetter, Delivery
from notifications.retirement import retire
from notifications.states import State
from notifications.withdrawal import withdraw
from project.outside import World
from tests.notifications.replaying import F
from tests.notifications.scene import (
    HOUR,
    a_dead_letter,
    a_delivery,
    at_once,
    channel_at,
    drain,
    eventually,
    idempotency_ids,
    many_dead_letters,
    outcomes,
    row_of,
    states,
    sweep,
    the_delivery,
)


@pytest.fixture
def channel() -> Channel:
    return channel_at("https://example.org/hook")


def replayed(*letters: DeadLetter, by: str = "ada") -> int:
    return dead_letters.replay(letters, by=by, now=clock.now())


def discarded(*letters: DeadLetter, by: str = "ada") -> int:
    return dead_letters.discard(letters, reason="Known.", by=by, now=clock.now())


@pytest.mark.django_db
class TestReplay:
    def test_it_begins_again_with_all_attempts_and_says_who_asked(self, channel: Channel) -> None:
        letter = a_dead_letter(channel)
        assert replayed(letter) == 1
        delivery = the_delivery(channel)
        assert (delivery.state, delivery.attempts, delivery.reason_code) == ("pending", 0, "replayed")
        assert "ada" in delivery.reason
        assert delivery.settled_at is None
        letter.refresh_from_db()
        assert (letter.is_waiting, letter.decided_by, letter.discarded_at) == (False, "ada", None)

    def test_twice_is_once(self, channel: Channel) -> None:
        letter = a_dead_letter(channel)
        assert (replayed(letter), replayed(letter, by="bob")) == (1, 0)
        letter.refresh_from_db()
        assert letter.decided_by == "ada"

    def test_the_same_letter_twice_in_one_request_is_once(self, channel: Channel) -> None:
        letter = a_dead_letter(channel)
        assert replayed(letter, letter) == 1

    @pytest.mark.parametrize("state", [state for state in State if state is not State.DEAD])
    def test_what_is_not_dead_any_more_is_left_alone(self, channel: Channel, state: State) -> None:
        letter = a_dead_letter(channel)
        Delivery.objects.update(state=state)
        before = row_of(letter.delivery)
        assert replayed(letter) == 0
        assert row_of(letter.delivery) == before
        letter.refresh_from_db()
        assert letter.is_waiting

    def test_what_was_discarded_meanwhile_stays_discarded(self, channel: Channel) -> None:
        """Two people decide on one page: what the second one sees is no longer true."""
        seen = a_dead_letter(channel)
        discarded(DeadLetter.objects.get())
        assert replayed(seen) == 0
        assert states() == {"dead": 1}

    def test_a_persons_word_stands_above_an_expiry(self, channel: Channel) -> None:
        letter = a_dead_letter(channel, expires_at=clock.now() - HOUR)
        assert replayed(letter) == 1
        sweep()
        assert states() == {"pending": 1}

    def test_what_was_withdrawn_after_its_death_stays_dead_and_its_letter_undecided(self, channel: Channel) -> None:
        letter, other = a_dead_letter(channel), a_dead_letter(channel)
        withdraw(letter.delivery.notification, by="bob", now=clock.now())
        before = row_of(letter.delivery)
        assert replayed(letter, other) == 1
        assert row_of(letter.delivery) == before
        letter.refresh_from_db()
        assert letter.is_waiting

    def test_nothing_is_replayed_of_nothing(self) -> None:
        assert replayed() == 0

    def test_only_the_letter_of_this_death_is_marked(self, channel: Channel) -> None:
        first = a_dead_letter(channel)
        replayed(first)
        first.refresh_from_db()
        decided_at = first.replayed_at
        Delivery.objects.update(state="dead")
        second = DeadLetter.objects.create(
            delivery=first.delivery, channel=channel, outcome="gone", fingerprint="g", attempts=2, buried_at=clock.now()
        )
        assert replayed(second, by="bob") == 1
        first.refresh_from_db()
        assert (first.decided_by, first.replayed_at) == ("ada", decided_at)

    def test_into_a_channel_that_was_deleted_it_ends_and_says_why(self, channel: Channel) -> None:
        letter = a_dead_letter(channel)
        retire(channel, by="ada", now=clock.now())
        replayed(letter)
        sweep()
        assert not Delivery.objects.filter(state="delivered").exists()


@pytest.mark.django_db
class TestDiscard:
    def test_it_is_decided_once_and_stays_readable(self, channel: Channel) -> None:
        letter = a_dead_letter(channel)
        assert (discarded(letter), discarded(letter, by="bob")) == (1, 0)
        letter.refresh_from_db()
        assert (letter.is_waiting, letter.decided_by, letter.discard_reason) == (False, "ada", "Known.")
        assert letter.detail == "Not found."
        assert states() == {"dead": 1}

    def test_what_was_replayed_meanwhile_is_not_discarded(self, channel: Channel) -> None:
        seen = a_dead_letter(channel)
        replayed(DeadLetter.objects.get())
        assert discarded(seen) == 0
        assert states() == {"pending": 1}

    def test_waiting_are_those_on_which_nobody_decided(self, channel: Channel) -> None:
        one, two, three = (a_dead_letter(channel) for _ in range(3))
        replayed(one)
        discarded(two)
        assert list(DeadLetter.objects.waiting()) == [three]


@pytest.mark.django_db
class TestDiscardingMany:
    def test_in_batches_with_a_reason_and_a_name(self, channel: Channel) -> None:
        many_dead_letters(channel, 2300)
        decided = dead_letters.discard_many(
            F.of(DeadLetter.objects.all()), reason="Over.", by="ada", now=clock.now(), most=2200
        )
        assert decided == 2200
        assert DeadLetter.objects.waiting().count() == 100
        assert set(DeadLetter.objects.decided().values_list("decided_by", "discard_reason")) == {("ada", "Over.")}
        assert dead_letters.discard_many(F.of(DeadLetter.objects.all()), reason="x", by="b", now=clock.now()) == 100
        assert dead_letters.discard_many(F.of(DeadLetter.objects.all()), reason="x", by="b", now=clock.now()) == 0


@pytest.mark.django_db
class TestGroups:
    def test_a_thousand_equal_failures_are_one_line(self, channel: Channel) -> None:
        many_dead_letters(channel, 1000)
        many_dead_letters(channel, 2, fingerprint="g", code=500, detail="Boom.")
        other = channel_at("https://example.org/other", "other")
        newest = many_dead_letters(other, 3, buried_at=clock.now() + HOUR)[-1]
        with CaptureQueriesContext(connection) as asked:
            found = dead_letters.groups(DeadLetter.objects.waiting().select_related("channel"), limit=10)
            told = [(one.newest.channel.key, one.newest.code, one.newest.detail, one.count) for one in found]
        assert told == [
            (channel.key, 404, "Not found.", 1000),
            ("other", 404, "Not found.", 3),
            (channel.key, 500, "Boom.", 2),
        ]
        assert len(asked) == 2
        assert found[1].newest == newest
        assert found[1].first_at == found[1].last_at


@pytest.mark.django_db(transaction=True)
class TestForReal:
    def test_from_the_far_end_that_failed_to_the_far_end_that_works(self, world: World, broker: redis.Redis) -> None:
        place = "do/missing/replayed"
        channel = channel_at(world.behaving_url("missing", "replayed"))
        delivery = a_delivery(channel)
        drain()
        letter = DeadLetter.objects.get()
        assert (letter.outcome, letter.code, letter.attempts) == ("permanent", 404, 1)
        world.behave(place, "sink")
        broker.flushdb()
        assert replayed(letter) == 1
        assert eventually(lambda: broker.llen("deliver.http-normal")) == 1
        drain()
        assert states() == {"delivered": 1}
        assert outcomes(delivery) == [("permanent", 404), ("ok", 204)]
        assert idempotency_ids(world.seen(place)) == {delivery.idempotency_id: 2}

    def test_a_second_death_is_a_second_letter(self, world: World) -> None:
        channel = channel_at(world.behaving_url("missing", "twice"))
        a_delivery(channel)
        drain()
        replayed(DeadLetter.objects.get())
        drain()
        first, second = DeadLetter.objects.order_by("id")
        assert (first.is_waiting, second.is_waiting) == (False, True)
        assert first.fingerprint == second.fingerprint

    def test_eight_people_replay_at_once_and_it_is_sent_once(self, world: World) -> None:
        channel = channel_at(world.sink_url("crowd"))
        letters = [a_dead_letter(channel) for _ in range(5)]
        assert sum(at_once(*[lambda: replayed(*letters)] * 8)) == 5
        drain()
        assert set(idempotency_ids(world.seen("sink/crowd")).values()) == {1}
        assert len(world.seen("sink/crowd")) == 5

    def test_replay_and_discard_at_once_agree(self, world: World) -> None:
        """Whoever comes second changes nothing: a letter is replayed, or discarded, never both."""
        channel = channel_at(world.sink_url("quarrel"))
        letters = [a_dead_letter(channel) for _ in range(20)]
        at_once(
            *[lambda one=one: replayed(one) for one in letters], *[lambda one=one: discarded(one) for one in letters]
        )
        for letter in DeadLetter.objects.select_related("delivery"):
            assert (letter.replayed_at is None) != (letter.discarded_at is None)
            assert (letter.delivery.state == "pending") == (letter.replayed_at is not None)

    def test_replay_and_withdrawal_at_once_agree(self, world: World) -> None:
        """Whoever comes second knows of the first: nothing that was withdrawn is on its way."""
        letters = many_dead_letters(channel_at(world.sink_url("regretted")), 40)
        told = [letter.delivery.notification for letter in DeadLetter.objects.select_related("delivery__notification")]
        at_once(
            *[lambda some=letters[n::4]: replayed(*some) for n in range(4)],
            *[lambda some=told[n::4]: sum(withdraw(one, by="bob", now=clock.now()) for one in some) for n in range(4)],
        )
        assert set(states()) <= {"dead", "cancelled"}
        assert set(Delivery.objects.filter(dead_letters__replayed_at=None).values_list("state", flat=True)) <= {"dead"}
