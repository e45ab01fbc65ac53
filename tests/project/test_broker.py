"""A broker's URL becomes the settings that its failures have taught."""

from __future__ import annotations

import pytest
from celery import current_app

from project.broker import broker_settings
from project.queues import QUEUES


def test_redis_gives_up_on_a_connection_that_hangs() -> None:
    options = broker_settings("redis://localhost/0", sentinel_master="m")["broker_transport_options"]
    assert options["socket_timeout"] == 5
    assert options["health_check_interval"] == 5


def test_rabbitmq_confirms_and_replicates() -> None:
    settings = broker_settings("amqp://localhost//", sentinel_master="m")
    assert settings["broker_transport_options"]["confirm_publish"] is True
    assert {queue.queue_arguments["x-queue-type"] for queue in settings["task_queues"]} == {"quorum"}


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
