"""A broker's URL becomes the settings that its failures have taught."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from celery import Celery, current_app

from notifications.lanes import MOST_WAITING
from project.broker import broker_settings
from project.queues import MOST_OF_BEAT, QUEUES, SWEEP
from tests.rabbitmq import RabbitMQ


def test_redis_gives_up_on_a_connection_that_hangs() -> None:
    options = broker_settings("redis://localhost/0", sentinel_master="m")["broker_transport_options"]
    assert options["socket_timeout"] == 5
    assert options["health_check_interval"] == 5


def test_rabbitmq_confirms_and_replicates() -> None:
    settings = broker_settings("amqp://localhost//", sentinel_master="m")
    assert settings["broker_transport_options"]["confirm_publish"] is True
    assert {queue.queue_arguments["x-queue-type"] for queue in settings["task_queues"]} == {"quorum"}


def test_rabbitmq_bounds_every_queue_and_keeps_the_last() -> None:
    """Of sweeps a few: one does the work of all. Messages are wake-ups, and none of them is missed."""
    queues = broker_settings("amqp://localhost//", sentinel_master="m")["task_queues"]
    bounds = {queue.name: queue.queue_arguments["x-max-length"] for queue in queues}
    assert {queue.queue_arguments["x-overflow"] for queue in queues} == {"drop-head"}
    assert bounds.pop(SWEEP) == MOST_OF_BEAT
    assert set(bounds.values()) == {MOST_WAITING}


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_a_real_rabbitmq_drops_what_nobody_takes(tmp_path: Path) -> None:
    with RabbitMQ(tmp_path) as broker:
        app = Celery("test", set_as_current=False)
        app.conf.update(**broker_settings(broker.url, sentinel_master="m"))
        for number in range(20):
            app.send_task("notifications.sweep", (number,), queue=SWEEP)
        with app.connection_for_write() as connection:
            queue = app.amqp.queues[SWEEP](connection.default_channel)
            kept = [json.loads(str(message.body))[0][0] for _ in range(20) if (message := queue.get(no_ack=True))]
    assert kept == [17, 18, 19]


def test_sentinel_is_told_its_master() -> None:
    settings = broker_settings("sentinel://a:26379;sentinel://b:26379", sentinel_master="belfry")
    assert settings["broker_transport_options"]["master_name"] == "belfry"


@pytest.mark.parametrize("url", ["", "memory://", "kafka://x", "sqs://"])
def test_another_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="BROKER_URL"):
        broker_settings(url, sentinel_master="m")


@pytest.mark.parametrize("url", ["redis://localhost/0", "amqp://localhost//"])
def test_every_broker_has_every_queue(url: str) -> None:
    assert tuple(queue.name for queue in broker_settings(url, sentinel_master="m")["task_queues"]) == QUEUES


def test_the_schedule_names_only_tasks_that_exist() -> None:
    current_app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in current_app.conf.beat_schedule.values()}
    assert scheduled <= set(current_app.tasks)
    assert set(current_app.conf.task_routes) <= set(current_app.tasks)
