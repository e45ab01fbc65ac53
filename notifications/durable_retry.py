"""Celery's retry, with the schedule kept in Postgres instead of in a message.

`autoretry_for`, `retry_backoff`, `retry_backoff_max`, `retry_jitter` and `max_retries` are
declared on the task as always, and Celery computes the countdown as always. But an ETA message
would sit in a worker's memory (8 KB each), hold up live traffic, come twice after the visibility
timeout and vanish with a full Redis; a row does none of that, and can be seen, re-timed and
cancelled. So `retry` writes the row, and raises Celery's own `Retry`, by which signals, events and
the log line stay what they are.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NoReturn

from celery import Task
from celery.exceptions import Retry

from notifications import clock, dispatch
from notifications.errors import DeliveryFailed
from notifications.held import Tried
from notifications.models.transitions import Result
from notifications.retry import Schedule
from notifications.states import State


def declared_schedule(task: Any) -> Schedule:
    """The retry policy as it is declared on a Celery task: the one source for all ways of sending."""
    return Schedule(
        max_attempts=task.max_retries + 1,
        base_s=float(task.retry_backoff),
        cap_s=float(task.retry_backoff_max),
        jitter=bool(task.retry_jitter),
    )


class DurableRetryTask(Task):  # type: ignore[type-arg]
    """Base of tasks whose retries and burials are rows. They raise `DeliveryFailed` and nothing else on purpose."""

    abstract = True

    def retry(  # type: ignore[override]
        self, args: Any = None, kwargs: Any = None, exc: Exception | None = None, **options: Any
    ) -> NoReturn:
        """Write when the next try is due and raise `Retry`, or raise `exc` when it is over.

        The countdown that Celery computed is taken; a channel with a schedule of its own, and a far
        end that named a time, go before it.
        """
        if not isinstance(exc, DeliveryFailed):
            raise TypeError("only a failed delivery is tried again") from exc
        now = clock.now()
        result = self._next(exc.tried, options.get("countdown"), now)
        if result.state is State.DEAD:
            raise exc
        dispatch.settle([result], [exc.tried], now)
        raise Retry(exc=exc, when=result.due_at)

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Bury it: the try was permanent, or the last one. Other errors leave the row to its lease."""
        if isinstance(exc, DeliveryFailed):
            now = clock.now()
            dispatch.settle([self._next(exc.tried, None, now)], [exc.tried], now)

    def _next(self, tried: Tried, countdown: float | None, now: datetime) -> Result:
        declared = declared_schedule(self)
        result = dispatch.conclude(tried, declared, now, dispatch.draw())
        own_time = dispatch.schedule_of(tried.held.channel, declared) != declared or tried.verdict.retry_after_s
        if countdown is None or own_time or result.state is not State.RETRYING:
            return result
        return result.due(now + timedelta(seconds=countdown))
