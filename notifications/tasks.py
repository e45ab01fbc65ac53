"""Celery's doors to the engine: each task is a few lines and decides nothing.

Arguments are ids and names; every task may come twice, late, or never.
"""

from __future__ import annotations

import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from notifications import clock, delivering, draining, pruning
from notifications.durable_retry import DurableRetryTask, declared_schedule
from notifications.errors import TransientError
from notifications.routing import route_until_idle
from notifications.sweep import sweep_once_of_many

_stopping = threading.Event()


@worker_shutting_down.connect
def _stop_pumps(**_: Any) -> None:
    _stopping.set()


@shared_task(
    bind=True,
    base=DurableRetryTask,
    name="notifications.deliver",
    autoretry_for=(TransientError,),
    retry_backoff=10,
    retry_backoff_max=6 * 3600,
    retry_jitter=True,
    max_retries=9,
)
def deliver(self: DurableRetryTask, delivery_id: int) -> None:
    """One delivery, once. The retry policy of all ways of sending is declared here."""
    held = delivering.take(delivery_id, clock.now())
    if held is not None:
        self.request.retries = held.row.attempts  # Celery's backoff counts from what the row knows.
        delivering.send(held, clock.now)


@shared_task(name="notifications.drain")
def drain(lane: str, **_: Any) -> None:
    """Work a lane until it is empty or the time is up."""
    draining.drain(lane, declared=declared_schedule(deliver), clock=clock.now, stop=_stopping)


@shared_task(name="notifications.route")
def route(**_: Any) -> None:
    """Decide on what was accepted, until nothing is left."""
    route_until_idle(clock.now, stop=_stopping)


@shared_task(name="notifications.sweep")
def sweep(**_: Any) -> None:
    """Find what should have moved and did not."""
    sweep_once_of_many(clock.now)


@shared_task(name="notifications.prune")
def prune(**_: Any) -> None:
    """Forget what is older than it needs to be kept."""
    pruning.prune(clock.now())
