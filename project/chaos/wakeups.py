"""Wake-ups come twice, in another order, or not at all; sweeps run at the same time, or nobody asks for one."""

from __future__ import annotations

import time

from celery import Celery

from project import env
from project.broker import broker_settings
from project.chaos.case import CONTROL, DELIVERER, Case, Scene
from project.queues import QUEUES, SWEEP


def _duplicated_and_reordered(scene: Scene) -> int:
    """What has gathered in the queues comes back three times, shuffled."""
    for _ in range(4):
        for worker in (DELIVERER, CONTROL):
            scene.belfry.freeze(worker)
        scene.pause(0.3, 0.8)
        with scene.redis(0) as broker:
            for queue in QUEUES:
                messages = [*broker.lrange(queue, 0, -1)] * 3
                scene.random.shuffle(messages)
                if messages:
                    broker.pipeline().delete(queue).rpush(queue, *messages).execute()
        for worker in (DELIVERER, CONTROL):
            scene.belfry.thaw(worker)
        scene.pause(0.3, 0.8)
    return 0


def _told_in_two_ways(scene: Scene) -> int:
    """The pump has them, and the task for single deliveries is told of each of them, three times."""
    publisher = _publisher(scene)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        for delivery in scene.observer.open_deliveries(20) * 3:
            publisher.send_task("notifications.deliver", (delivery,), queue="deliver.http-normal")
        scene.pause(0.01, 0.1)
    publisher.close()
    return 0


def _two_sweeps(scene: Scene) -> int:
    """A second beat and a second worker that sweeps run, and sweeps are asked for again and again."""
    publisher = _publisher(scene)
    with scene.beside("beat", "second-beat"), scene.beside(CONTROL, "second-control"):
        for _ in range(40):
            for _ in range(5):
                publisher.send_task("notifications.sweep", queue=SWEEP)
            scene.pause(0.05, 0.2)
    publisher.close()
    return 0


def _beat_dead(scene: Scene) -> int:
    scene.belfry.kill("beat", restart=False)
    time.sleep(8)
    scene.belfry.start("beat")
    return 0


def _publisher(scene: Scene) -> Celery:
    publisher = Celery("chaos", set_as_current=False)
    publisher.conf.update(broker_settings(scene.belfry.env[env.BROKER_URL.name], sentinel_master=""))
    publisher.conf.task_ignore_result = True
    return publisher


CASES = (
    Case(
        name="wakeups-repeated",
        what="wake-ups come three times and in another order",
        fault=_duplicated_and_reordered,
        lasts_s=5,
    ),
    Case(
        name="told-in-two-ways",
        what="each delivery is sent by the pump and by single tasks at once",
        fault=_told_in_two_ways,
        lasts_s=4,
    ),
    Case(
        name="two-sweeps",
        what="two beats, two workers that sweep, and many sweeps at once",
        fault=_two_sweeps,
        lasts_s=8,
    ),
    Case(name="beat-dead", what="nobody asks for sweeps for 8 s", fault=_beat_dead, lasts_s=8),
)
