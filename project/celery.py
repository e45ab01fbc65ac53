"""The Celery app: a message is a wake-up, never the data, so losing or repeating one costs at most a sweep."""

from __future__ import annotations

import gc
import resource
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.apps.worker import Worker
from celery.platforms import EX_FAILURE
from celery.signals import (
    beat_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_ready,
    worker_shutting_down,
)
from celery.worker import state
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from notifications.lanes import queue_of
from project import connections, env
from project.broker import broker_settings
from project.logs import configure_logs
from project.production import refuse_without_secrets
from project.queues import CONTROL, ROUTE, SWEEP

env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})

app = Celery("belfry")
app.conf.update(
    **broker_settings(settings.BELFRY_BROKER_URL, sentinel_master=env.SENTINEL_MASTER.read()),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Publishing never holds anybody up: what is not published is found by the sweep.
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    result_backend=None,
    task_ignore_result=True,
    # A message is done when its work is done. The row counts the attempts, so that nothing loops for ever.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_disable_rate_limits=True,
    # What pumps keep by themselves (`worker_shutting_down`), also for a worker that is ended the cold way.
    worker_soft_shutdown_timeout=settings.BELFRY_SHUTDOWN_GRACE_S,
    worker_hijack_root_logger=False,
    timezone="UTC",
    enable_utc=True,
    task_default_queue=CONTROL,
    task_routes={
        "notifications.route": {"queue": ROUTE},
        "notifications.sweep": {"queue": SWEEP},
        "notifications.prune": {"queue": CONTROL},
        # `notifications.drain` is sent to the queue of its lane by whoever wakes the lane.
        "notifications.deliver": {"queue": queue_of("http-normal")},
    },
    beat_scheduler="project.beat:SteadyScheduler",
    # Without `expires`, which compares the wall clocks of two machines: a worker whose clock is ahead
    # would throw every sweep away. What has gathered is one sweep (`sweep.sweep_once_of_many`), and no more than a few
    # gather (`beat.SteadyScheduler`).
    beat_schedule={
        "sweep": {"task": "notifications.sweep", "schedule": 1.0, "options": {"queue": SWEEP}},
        "prune": {"task": "notifications.prune", "schedule": 3600.0, "options": {"queue": CONTROL}},
    },
)
# Celery would close the database connection before and after every task, and a new one costs more
# than the task. It stays; `connections` replaces one that broke.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000
app.autodiscover_tasks()


class _Worker(Worker):
    """Celery's own, but for its cold end (SIGQUIT)."""

    def wait_for_soft_shutdown(self) -> bool:
        """Tell pumps to stop when the wait begins, not after it; and end it when they have. Whether they have."""
        worker_shutting_down.send(sender=self, sig="SIGQUIT", how="Cold", exitcode=EX_FAILURE)
        give_up_at = time.monotonic() + self.app.conf.worker_soft_shutdown_timeout
        while state.active_requests and time.monotonic() < give_up_at:
            time.sleep(0.1)
        return not state.active_requests


app.Worker = app.subclass_with_self(_Worker)  # type: ignore[misc]  # Celery's way to another class of workers


@setup_logging.connect
def _use_our_logs(**_: Any) -> None:
    configure_logs(level=env.LOG_LEVEL.read(), style=env.LOG_FORMAT.read())


@worker_init.connect
@beat_init.connect
def _check_secrets(**_: Any) -> None:
    try:
        refuse_without_secrets()
    except ImproperlyConfigured as error:
        # Any other exception of a signal's receiver is logged, and the worker starts all the same.
        raise SystemExit(f"{error}") from error


@worker_init.connect
def _make_room(**_: Any) -> None:
    """For hundreds of requests at once beside threads that compute.

    A thread that computes keeps the interpreter for 5 ms by default, in which a pump could have made
    two hundred exchanges. What is made for a delivery is freed without the collector, so it need not
    look often. And every request under way is an open file.
    """
    sys.setswitchinterval(0.0005)
    gc.set_threshold(20_000, 20, 50)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@task_prerun.connect
@task_postrun.connect
def _replace_broken_connections(**_: Any) -> None:
    connections.replace_broken()


@worker_ready.connect
def _say_ready(**_: Any) -> None:
    ready_file = env.READY_FILE.read()
    if ready_file:
        Path(ready_file).touch()
