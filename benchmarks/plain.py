"""The plain way, as a Celery app: one task for each delivery. Its task is in `plain_task`.

    celery -A benchmarks.plain worker -P prefork -c 2

The broker, `acks_late` and JSON as Belfry has them; no results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from project import env

env.put({"DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings"})

app = Celery("plain", broker=env.BROKER_URL.read(), include=["benchmarks.plain_task"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue="plain",
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # Without it Celery closes the database connection before and after every task, whatever CONN_MAX_AGE says,
    # and a plain delivery costs eighteen milliseconds of CPU instead of two.
    CELERY_DB_REUSE_MAX=1_000_000_000,
)


@worker_ready.connect
def _say_ready(**_: Any) -> None:
    Path(env.READY_FILE.read()).touch()
