"""Replaying many while workers die, race and are told to stop: each letter goes on its way once."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.utils import OperationalError

from channels_app.models import Channel
from notifications import clock, dead_letters, replays
from notifications.models import DeadLetter, ReplayJob
from notifications.states import State
from project import env
from project.outside import World
from tests.notifications.replaying import F, advanced, figures, finished, started
from tests.notifications.scene import (
    SECOND,
    a_delivery,
    at_once,
    channel_at,
    drain,
    eventually,
    idempotency_ids,
    many_dead_letters,
    states,
)


@pytest.fixture
def channel(db: None) -> Channel:
    return channel_at("https://example.org/hook", "ops")


def has_replayed(job: ReplayJob, least: int) -> bool:
    job.refresh_from_db()
    return job.replayed >= least


def a_worker_on(job: ReplayJob) -> subprocess.Popen[bytes]:
    """Another process that works on the job, batch after batch."""
    at = connection.settings_dict
    database = f"postgresql://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    environment = {**env.inherited(), "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "project.settings"}
    return subprocess.Popen([sys.executable, "-c", _WORK, str(job.pk)], env=environment, cwd=settings.BASE_DIR)


_WORK = """
import sys, django
django.setup()
from notifications import clock, replays
while replays.advance(int(sys.argv[1]), clock.now()):
    pass
"""


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_cut_off_in_a_batch_it_neither_loses_nor_repeats(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The connection dies after the letters were replayed and before the job has noted it."""
        many_dead_letters(channel, 1500)
        job = advanced(started())
        note = ReplayJob.note

        def die(self: ReplayJob, *args: Any, **kwargs: Any) -> None:
            note(self, *args, **kwargs)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with monkeypatch.context() as patch:
            patch.setattr(ReplayJob, "note", die)
            with pytest.raises(OperationalError):
                advanced(job)
            connection.close()
        job.refresh_from_db()
        assert figures(job) == ("running", 1500, 1000, 0)
        assert states() == {"pending": 1000, "dead": 500}
        assert figures(finished(job)) == ("done", 1500, 1500, 0)

    def test_killed_again_and_again_it_is_done_in_the_end(self, channel: Channel) -> None:
        many_dead_letters(channel, 8000)
        job = started()
        for least in (1, 4000):
            worker = a_worker_on(job)
            eventually(partial(has_replayed, job, least), within_s=30)
            worker.kill()
            worker.wait()
            job.refresh_from_db()
            assert states().get("pending", 0) == job.replayed == DeadLetter.objects.decided().count()
        assert figures(finished(job)) == ("done", 8000, 8000, 0)
        assert states() == {"pending": 8000}

    def test_many_sweeps_at_once_share_nothing(self, channel: Channel) -> None:
        many_dead_letters(channel, 3000)
        job = started()

        def work() -> int:
            return sum(replays.advance(job.pk, clock.now()) for _ in range(20))

        at_once(*[work] * 4)
        job.refresh_from_db()
        assert figures(job) == ("done", 3000, 3000, 0)
        assert states() == {"pending": 3000}

    def test_many_sweeps_at_once_keep_the_pace(self, channel: Channel) -> None:
        many_dead_letters(channel, 500)
        job = started(pace=50.0)
        now = job.created_at + SECOND
        at_once(*[lambda: replays.advance(job.pk, now)] * 6)
        job.refresh_from_db()
        assert job.replayed == 50

    def test_two_jobs_over_the_same_letters_replay_each_once(self, channel: Channel) -> None:
        many_dead_letters(channel, 2000)
        jobs = [started() for _ in range(3)]
        at_once(*[lambda job=job: finished(job) for job in jobs])
        assert sum(job.replayed for job in jobs) == 2000
        assert all(job.replayed + job.skipped == job.total for job in jobs)
        assert states() == {"pending": 2000}

    def test_cancelled_while_it_works_it_stops_at_the_end_of_a_batch(self, channel: Channel) -> None:
        many_dead_letters(channel, 5000)
        job = started()

        def work() -> bool:
            while replays.advance(job.pk, clock.now()):
                pass
            return True

        def stop() -> bool:
            return replays.cancel(ReplayJob.objects.get(pk=job.pk), by="bob", now=clock.now())

        _, cancelled = at_once(work, stop)
        job.refresh_from_db()
        assert cancelled
        assert job.state == "cancelled"
        assert states().get("pending", 0) == job.replayed
        assert DeadLetter.objects.decided().count() == job.replayed

    def test_discarding_and_replaying_the_same_at_once_agree(self, channel: Channel) -> None:
        many_dead_letters(channel, 2000)
        job = started()
        rows = F.of(DeadLetter.objects.all())
        _, discarded = at_once(
            lambda: int(finished(job).replayed),
            lambda: dead_letters.discard_many(rows, reason="x", by="bob", now=clock.now()),
        )
        job.refresh_from_db()
        assert job.replayed + discarded == 2000
        assert job.replayed + job.skipped == 2000
        assert states().get("pending", 0) == job.replayed

    def test_from_a_far_end_that_failed_to_one_that_works_each_arrives_once(self, world: World) -> None:
        """Replayed by a job, by hand and by a second job while it is being sent: none arrives twice."""
        place = channel_at(world.sink_url("many"), "many")
        many_dead_letters(place, 60)
        arrived = a_delivery(place, State.DELIVERED)
        DeadLetter.objects.create(
            delivery=arrived, channel=place, outcome="unknown", fingerprint="f", attempts=1, buried_at=clock.now()
        )
        jobs = [started(pace=None), started(pace=None)]
        letters = list(DeadLetter.objects.all())
        at_once(
            *[lambda job=job: finished(job).pk for job in jobs],
            lambda: dead_letters.replay(letters, by="eve", now=clock.now()),
            lambda: drain(linger_s=0.5).settled,
        )
        drain()
        seen = idempotency_ids(world.seen("sink/many"))
        assert len(seen) == 60
        assert set(seen.values()) == {1}
        assert states() == {"delivered": 61}
        assert math.isclose(sum(job.share for job in ReplayJob.objects.all()), 2.0)
