"""Replaying many: what the preview says is what happens, once, at the pace, whatever is cut off on the way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from channels_app.models import Channel
from notifications import clock, dead_letters, replays
from notifications.models import DeadLetter, Delivery, ReplayJob, Streamer
from notifications.retirement import retire
from notifications.selection import Narrowed, Selection
from notifications.states import State
from notifications.withdrawal import withdraw
from tests.notifications.replaying import F, advanced, figures, finished, started
from tests.notifications.scene import (
    HOUR,
    SECOND,
    a_dead_letter,
    channel_at,
    many_dead_letters,
    states,
    sweep,
)


@pytest.fixture
def channel(db: None) -> Channel:
    return channel_at("https://example.org/hook", "ops")


class TestAJob:
    def test_it_replays_what_fits_and_ends(self, channel: Channel) -> None:
        many_dead_letters(channel, 2500)
        other = a_dead_letter(channel)
        DeadLetter.objects.filter(pk=other.pk).update(fingerprint="g")
        job = started()
        sizes = []
        while job.is_running:
            before = job.replayed
            sizes.append(advanced(job).replayed - before)
        assert figures(job) == ("done", 2500, 2500, 0)
        assert sizes == [1000, 1000, 500]
        assert states() == {"pending": 2500, "dead": 1}
        assert set(DeadLetter.objects.decided().values_list("decided_by", flat=True)) == {"ada"}
        assert job.finished_at is not None

    def test_a_job_over_nothing_ends_at_once(self, channel: Channel) -> None:
        assert figures(advanced(started())) == ("done", 0, 0, 0)

    def test_a_full_last_batch_ends_too(self, channel: Channel) -> None:
        many_dead_letters(channel, 1000)
        assert figures(finished(started())) == ("done", 1000, 1000, 0)

    def test_what_dies_again_is_not_met_again(self, channel: Channel) -> None:
        """Otherwise a job over a channel that still fails would go round for ever."""
        many_dead_letters(channel, 3)
        job = advanced(started(pace=1.0), clock.now() + SECOND)
        assert job.replayed == 1
        Delivery.objects.in_state(State.PENDING).update(state="dead")
        again = Delivery.objects.get(dead_letters__replayed_at__isnull=False)
        DeadLetter.objects.create(
            delivery=again, channel=channel, outcome="gone", fingerprint="f", attempts=1, buried_at=clock.now()
        )
        job.pace_per_s = None
        job.save()
        assert figures(finished(job)) == ("done", 3, 3, 0)
        assert DeadLetter.objects.waiting().count() == 1

    def test_after_its_end_nothing_moves(self, channel: Channel) -> None:
        job = finished(started())
        many_dead_letters(channel, 2)
        assert figures(advanced(job)) == ("done", 0, 0, 0)
        assert states() == {"dead": 2}

    def test_everything_is_never_meant_by_naming_nothing(self, channel: Channel) -> None:
        many_dead_letters(channel, 1)
        with pytest.raises(replays.NothingNamed):
            started(Selection())
        assert not ReplayJob.objects.exists()

    def test_what_was_not_yet_there_when_one_looked_is_left_alone(self, channel: Channel) -> None:
        looked_at = many_dead_letters(channel, 2)[-1].pk
        many_dead_letters(channel, 2)
        assert figures(finished(started(upto=looked_at))) == ("done", 2, 2, 0)

    def test_one_that_cannot_be_read_holds_up_no_other(self, channel: Channel) -> None:
        many_dead_letters(channel, 2)
        broken, good = started(), started()
        ReplayJob.objects.filter(pk=broken.pk).update(selection={"colour": "red"})
        assert replays.advance_all(clock.now()) == 2
        good.refresh_from_db()
        assert good.state == "done"


class TestSelections:
    @pytest.fixture
    def wanted(self, channel: Channel) -> DeadLetter:
        a_dead_letter(channel_at("https://example.org/other", "other"))
        streamer = Streamer.objects.create(key="nightowl", name="NightOwl")
        return many_dead_letters(
            channel,
            1,
            fingerprint="w",
            outcome="gone",
            buried_at=clock.now() - HOUR,
            about={"streamer": streamer, "event_type": "stream_online"},
        )[0]

    @pytest.mark.parametrize(
        "named",
        [
            {"channel": "ops"},
            {"fingerprint": "w"},
            {"outcome": "gone"},
            {"streamer": "nightowl"},
            {"event_type": "stream_online"},
            {"until": -HOUR / 2},
            {"since": -2 * HOUR, "until": -HOUR / 2},
            {"channel": "ops", "fingerprint": "w", "outcome": "gone", "streamer": "nightowl"},
        ],
    )
    def test_each_field_finds_it_alone(self, wanted: DeadLetter, named: dict[str, Any]) -> None:
        fields: dict[str, Any] = {
            name: clock.now() + value if isinstance(value, timedelta) else value for name, value in named.items()
        }
        job = finished(started(Selection(**fields)))
        assert figures(job) == ("done", 1, 1, 0)
        wanted.refresh_from_db()
        assert wanted.decided_by == "ada"

    def test_by_ids(self, wanted: DeadLetter) -> None:
        assert finished(started(Selection(ids=[wanted.pk, 10**15]))).replayed == 1

    def test_a_channel_is_told_from_its_successor_under_the_same_key(self, channel: Channel) -> None:
        many_dead_letters(channel, 2)
        retire(channel, by="ada", now=clock.now())
        heir = channel_at("https://example.org/hook", "ops")
        many_dead_letters(heir, 3)
        assert replays.preview(Narrowed(channel_id=heir.pk).of(DeadLetter.objects.waiting())).count == 3
        assert finished(started(Narrowed(channel_id=heir.pk))).total == 3

    @pytest.mark.parametrize("named", [{"channel": "nobody"}, {"streamer": "nobody"}, {"since": HOUR}])
    def test_what_fits_nothing_replays_nothing(self, wanted: DeadLetter, named: dict[str, Any]) -> None:
        fields: dict[str, Any] = {
            name: clock.now() + value if isinstance(value, timedelta) else value for name, value in named.items()
        }
        assert figures(finished(started(Selection(**fields)))) == ("done", 0, 0, 0)

    def test_it_is_told_in_words(self, channel: Channel) -> None:
        since = datetime.fromisoformat("2030-01-01T12:00:00+02:00")
        told = str(Narrowed(channel_id=channel.pk, ids=[1, 2], since=since))
        assert told == "ids 1, 2, channel ops, since 2030-01-01 10:00:00 UTC"


class TestPreview:
    def test_it_tells_what_then_happens(self, channel: Channel) -> None:
        """Of each kind: replayed, expired, withdrawn, no longer dead, decided on, for a channel that was deleted."""
        many_dead_letters(channel, 6)
        expired, alive, decided, withdrawn, *_ = DeadLetter.objects.order_by("pk")
        Delivery.objects.filter(pk=expired.delivery_id).update(expires_at=clock.now() - HOUR)
        Delivery.objects.filter(pk=alive.delivery_id).update(state="delivered")
        dead_letters.discard([decided], reason="x", by="bob", now=clock.now())
        withdraw(withdrawn.delivery.notification, by="bob", now=clock.now())
        deleted = channel_at("https://example.org/gone", "gone")
        many_dead_letters(deleted, 2)
        retire(deleted, by="ada", now=clock.now())
        seen = replays.preview(F.of(DeadLetter.objects.all()))
        assert (seen.count, seen.decided, seen.not_dead, seen.channel_deleted, seen.expired) == (8, 1, 1, 2, 1)
        assert (seen.withdrawn, seen.to_replay, seen.to_discard) == (1, 3, 7)
        assert [(one.key, one.count) for one in seen.channels] == [("ops", 3)]
        assert sorted(group.count for group in seen.groups) == [2, 5]
        job = finished(started(upto=seen.newest))
        assert job.replayed == seen.to_replay
        assert job.skipped == seen.not_dead + seen.channel_deleted + seen.withdrawn
        assert states() == {"pending": 3, "delivered": 1, "dead": 4}

    def test_it_changes_nothing_and_asks_little(self, channel: Channel) -> None:
        many_dead_letters(channel, 1200)
        with CaptureQueriesContext(connection) as asked:
            assert replays.preview(F.of(DeadLetter.objects.waiting())).to_replay == 1200
        assert len(asked) <= 5
        assert all(query["sql"].startswith("SELECT") for query in asked)

    def test_of_nothing_there_is_nothing_to_see(self, channel: Channel) -> None:
        seen = replays.preview(F.of(DeadLetter.objects.waiting()))
        assert (seen.count, seen.to_replay, seen.newest, seen.groups, seen.sample) == (0, 0, 0, [], [])


class TestSkipping:
    def test_what_others_decide_on_meanwhile_is_skipped(self, channel: Channel) -> None:
        letters = many_dead_letters(channel, 4)
        job = started()
        dead_letters.discard(letters[:1], reason="x", by="bob", now=clock.now())
        dead_letters.replay(letters[1:2], by="bob", now=clock.now())
        assert figures(finished(job)) == ("done", 4, 2, 2)
        assert DeadLetter.objects.filter(decided_by="ada").count() == 2

    def test_what_arrived_meanwhile_is_not_sent_again(self, channel: Channel) -> None:
        many_dead_letters(channel, 3)
        job = started()
        Delivery.objects.filter(pk=DeadLetter.objects.earliest("pk").delivery_id).update(state="delivered")
        assert figures(finished(job)) == ("done", 3, 2, 1)
        assert states() == {"delivered": 1, "pending": 2}

    def test_a_channel_that_is_deleted_meanwhile_is_left_out(self, channel: Channel) -> None:
        many_dead_letters(channel, 3)
        job = started()
        retire(channel, by="bob", now=clock.now())
        assert figures(finished(job)) == ("done", 3, 0, 3)


class TestPace:
    @pytest.mark.parametrize(("pace", "seconds"), [(50.0, 10), (7.0, 10), (0.5, 10), (2.5, 30)])
    def test_it_is_kept_over_the_sweeps_of_a_while(self, channel: Channel, pace: float, seconds: int) -> None:
        many_dead_letters(channel, 600)
        job = started(pace=pace)
        for second in range(1, seconds + 1):
            advanced(job, job.created_at + second * SECOND)
            assert job.replayed <= pace * second
        assert job.replayed >= pace * seconds - max(1.0, pace)

    def test_two_sweeps_in_one_moment_are_one(self, channel: Channel) -> None:
        many_dead_letters(channel, 600)
        job = started(pace=50.0)
        for _ in range(5):
            advanced(job, job.created_at + SECOND)
        assert job.replayed == 50

    def test_a_job_that_was_left_alone_does_not_make_up_for_it(self, channel: Channel) -> None:
        many_dead_letters(channel, 600)
        job = started(pace=10.0)
        assert advanced(job, job.created_at + HOUR).replayed == 20
        assert advanced(job, job.created_at + HOUR + SECOND).replayed <= 40

    def test_a_clock_that_goes_back_stops_nothing_for_long(self, channel: Channel) -> None:
        many_dead_letters(channel, 100)
        job = advanced(started(pace=10.0), clock.now() - HOUR)
        assert job.replayed == 0
        assert advanced(job, job.created_at + SECOND).replayed == 10

    def test_without_one_it_is_as_fast_as_possible(self, channel: Channel) -> None:
        many_dead_letters(channel, 2100)
        job = started(pace=None)
        assert sweep().replay_jobs == 1
        job.refresh_from_db()
        assert job.replayed >= 1000

    def test_one_sweep_goes_round_all_jobs(self, channel: Channel) -> None:
        """A large one that came first does not hold up a small one."""
        many_dead_letters(channel, 2500)
        many_dead_letters(channel, 5, fingerprint="g")
        started()
        small = started(Selection(fingerprint="g"))
        sweep()
        small.refresh_from_db()
        assert figures(small) == ("done", 5, 5, 0)


class TestCancel:
    def test_midway_what_is_done_stays_done(self, channel: Channel) -> None:
        many_dead_letters(channel, 1500)
        job = advanced(started())
        assert replays.cancel(job, by="bob", now=clock.now())
        assert figures(advanced(job)) == ("cancelled", 1500, 1000, 0)
        assert (job.cancelled_by, job.finished_at is not None) == ("bob", True)
        assert states() == {"pending": 1000, "dead": 500}

    def test_only_once_and_never_after_its_end(self, channel: Channel) -> None:
        job = started()
        assert replays.cancel(job, by="bob", now=clock.now())
        assert not replays.cancel(job, by="eve", now=clock.now())
        assert job.cancelled_by == "bob"
        done = finished(started())
        assert not replays.cancel(done, by="bob", now=clock.now())
        assert done.state == "done"

    def test_what_was_left_can_be_replayed_by_another_job(self, channel: Channel) -> None:
        many_dead_letters(channel, 1500)
        replays.cancel(advanced(started()), by="bob", now=clock.now())
        assert figures(finished(started())) == ("done", 500, 500, 0)


class TestTheSweep:
    def test_without_a_job_it_asks_one_question_of_an_index(self, channel: Channel) -> None:
        finished(started())
        with CaptureQueriesContext(connection) as asked:
            assert replays.advance_all(clock.now()) == 0
        assert len(asked) == 1
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {asked[0]['sql']}")
            assert "replay_job_running" in str(cursor.fetchall())
