"""Beat keeps its pace by the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from project.beat import SteadyScheduler
from project.celery import app
from project.queues import MOST_OF_BEAT, SWEEP
from tests.notifications.brokers import no_broker


class Recorder(SteadyScheduler):
    """Notes what it would send."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[str] = []
        super().__init__(*args, **kwargs)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)

    @property
    def producer(self) -> None:  # type: ignore[override]
        return None


@pytest.fixture
def scheduler() -> Recorder:
    celery = Celery("test", set_as_current=False)
    celery.conf.beat_schedule = {
        "often": {"task": "often", "schedule": 0.1},
        "seldom": {"task": "seldom", "schedule": 3600.0},
    }
    return Recorder(celery)


def test_everything_is_sent_at_the_start_and_then_when_its_time_has_passed(scheduler: Recorder) -> None:
    assert 0.0 < scheduler.tick() <= 0.1
    assert sorted(scheduler.sent) == ["often", "seldom"]
    scheduler.tick()
    assert len(scheduler.sent) == 2
    time.sleep(0.11)
    scheduler.tick()
    assert sorted(scheduler.sent) == ["often", "often", "seldom"]


def test_a_wall_clock_that_is_set_changes_nothing(scheduler: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler.tick()
    real = scheduler.app.now()
    for jump in (timedelta(hours=-1), timedelta(hours=2)):
        monkeypatch.setattr(scheduler.app, "now", lambda jump=jump: real + jump)
        scheduler.tick()
        assert len(scheduler.sent) == 2
    time.sleep(0.11)
    scheduler.tick()
    assert sorted(scheduler.sent) == ["often", "often", "seldom"]


def test_what_was_missed_is_not_made_up_for(scheduler: Recorder) -> None:
    scheduler.tick()
    time.sleep(0.5)
    scheduler.tick()
    scheduler.tick()
    assert scheduler.sent.count("often") == 2


def test_it_gives_a_sign_of_life(tmp_path: Path) -> None:
    file = tmp_path / "beat-alive"
    Recorder(Celery("test", set_as_current=False), schedule_filename=str(file)).tick()
    assert file.exists()


def test_no_message_of_beats_is_thrown_away_by_somebody_elses_clock() -> None:
    assert app.conf.beat_scheduler == "project.beat:SteadyScheduler"
    assert not [name for name, entry in app.conf.beat_schedule.items() if "expires" in entry["options"]]


class TestWhatNobodyTakes:
    @pytest.fixture
    def broker(self) -> Iterator[redis.Redis]:
        client = redis.Redis.from_url(app.conf.broker_url)
        client.flushdb()
        yield client
        client.flushdb()
        client.close()

    def test_a_few_sweeps_gather_and_no_more(self, broker: redis.Redis) -> None:
        scheduler = SteadyScheduler(app)
        sweep = scheduler.schedule["sweep"]
        for _ in range(10):
            scheduler.apply_entry(sweep, producer=scheduler.producer)
        assert broker.llen(SWEEP) == MOST_OF_BEAT
        broker.lpop(SWEEP)
        scheduler.apply_entry(sweep, producer=scheduler.producer)
        assert broker.llen(SWEEP) == MOST_OF_BEAT

    def test_what_is_taken_goes_on_being_sent(self, broker: redis.Redis) -> None:
        scheduler = SteadyScheduler(app)
        for _ in range(10):
            scheduler.apply_entry(scheduler.schedule["sweep"], producer=scheduler.producer)
            assert broker.lpop(SWEEP)

    def test_one_that_gathers_holds_up_no_other(self, broker: redis.Redis) -> None:
        scheduler = SteadyScheduler(app)
        broker.rpush(SWEEP, *["{}"] * 100)
        scheduler.tick()
        assert (broker.llen(SWEEP), broker.llen("control")) == (100, 1)

    @pytest.mark.slow
    def test_it_outlives_a_broker_that_is_away(self, broker: redis.Redis) -> None:
        with no_broker():
            scheduler = SteadyScheduler(app)
            sweep = scheduler.schedule["sweep"]
            producer = app.amqp.Producer(app.connection_for_write(), auto_declare=False)
            scheduler.apply_entry(sweep, producer=producer)
        assert broker.llen(SWEEP) == 0
        scheduler.apply_entry(sweep, producer=scheduler.producer)
        assert broker.llen(SWEEP) == 1
