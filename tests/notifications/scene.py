"""What tests of the engine set up and do: channels, notifications, deliveries, and the steps of the way.

Everything here is the engine itself on real engines; the only shortcut is `a_delivery`, which puts
a row into any state, also into those that take a fault to reach.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.db import connection
from django.utils.text import slugify
from uuid_utils.compat import uuid7

from channels_app.models import Channel
from notifications import clock, draining, intake, rulebook
from notifications.draft import Draft
from notifications.durable_retry import declared_schedule
from notifications.models import Attempt, DeadLetter, Delivery, Notification
from notifications.pump import Drained, Pace
from notifications.routing import route_batch
from notifications.states import State
from notifications.sweep import Swept
from notifications.sweep import sweep as sweep_once
from notifications.tasks import deliver
from project.outside.journal import Received

T = TypeVar("T")

#: A pump that looks often and gives up soon, so that tests are quick.
QUICK = Pace(linger_s=0.05, look_every_s=0.01, budget_s=15.0)

#: Far more failures than a test makes: its breaker stays closed.
UNBROKEN: dict[str, Any] = {"breaker_consecutive_failures": 1_000_000, "breaker_min_calls": 1_000_000}

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def channel_at(url: str, key: str = "", *, settings: dict[str, Any] | None = None, **fields: Any) -> Channel:
    """A webhook channel that posts to `url`; `fields` are those of the model."""
    return configured("webhook", {"url": url, **(settings or {})}, key=key, **fields)


def configured(kind: str, settings: dict[str, Any], *, key: str = "", **fields: Any) -> Channel:
    """A saved channel of any kind."""
    key = key or f"{slugify(kind)}-{uuid7().hex[-12:]}"
    channel = Channel(key=key, name=key, kind=kind, **{**UNBROKEN, **fields})
    channel.configure(settings)
    channel.save()
    return channel


def a_draft(**fields: Any) -> Draft:
    """A draft of priority normal that needs nothing else to exist."""
    return Draft(**{"event_type": "test_event", "title": "A test", **fields})


def accept(**fields: Any) -> UUID:
    """Accept one notification, as the API does."""
    return intake.accept([a_draft(**fields)], producer=None, now=clock.now())[0].id


def accept_many(count: int, **fields: Any) -> list[UUID]:
    """Accept `count` equal notifications."""
    return [one.id for one in intake.accept([a_draft(**fields)] * count, producer=None, now=clock.now())]


def route() -> int:
    """Route until nothing is left. Returns how many deliveries were made."""
    made = 0
    while (routed := route_batch(clock.now())).notifications:
        made += routed.deliveries
    return made


def drain(lane: str = "http-normal", *, stop: threading.Event | None = None, **pace: Any) -> Drained:
    """Work a lane until it is empty."""
    drained = draining.drain(
        lane,
        declared=declared_schedule(deliver),
        clock=clock.now,
        stop=stop or threading.Event(),
        pace=QUICK if not pace else Pace(**{**settings_of(QUICK), **pace}),
    )
    assert drained is not None
    return drained


def settings_of(pace: Pace) -> dict[str, Any]:
    return {name: getattr(pace, name) for name in Pace.__slots__}


def sweep(*, ahead: timedelta = timedelta()) -> Swept:
    """Sweep once, as if it were `ahead` of now."""
    return sweep_once(clock.now() + ahead)


def a_notification(**fields: Any) -> Notification:
    """A routed notification without deliveries."""
    now = clock.now()
    usual = {"event_type": "test_event", "priority": 5, "title": "A test", "accepted_at": now, "routed_at": now}
    return Notification.objects.create(**{**usual, **fields})


def a_delivery(channel: Channel, state: State = State.PENDING, **fields: Any) -> Delivery:
    """A delivery in any state, due since a second."""
    now = clock.now()
    usual = {
        "notification": fields.pop("notification", None) or a_notification(),
        "lane": "http-normal",
        "priority": 5,
        "due_at": now - SECOND,
        "created_at": now - SECOND,
        "token": 7 if state is State.SENDING else 0,
        "lease_until": now + HOUR if state is State.SENDING else None,
        "first_attempt_at": now - SECOND if state in (State.SENDING, State.RETRYING) else None,
        "settled_at": now if state in (State.DELIVERED, State.DEAD, State.SUPPRESSED, State.CANCELLED) else None,
    }
    return Delivery.objects.create(channel=channel, state=state.value, **{**usual, **fields})


def a_dead_letter(channel: Channel, **fields: Any) -> DeadLetter:
    """A dead delivery with its letter, as settling writes them."""
    delivery = a_delivery(channel, State.DEAD, attempts=1, **fields)
    return DeadLetter.objects.create(
        delivery=delivery,
        channel=channel,
        outcome="permanent",
        code=404,
        detail="Not found.",
        fingerprint="f",
        attempts=1,
        buried_at=clock.now(),
    )


def many_dead_letters(channel: Channel, count: int, **fields: Any) -> list[DeadLetter]:
    """`count` dead deliveries of as many notifications, each with its letter, written at once; oldest first."""
    now = clock.now()
    about = fields.pop("about", {})
    usual = {"event_type": "test_event", "priority": 5, "accepted_at": now, "routed_at": now}
    told = Notification.objects.bulk_create(Notification(title=f"Test {n}", **{**usual, **about}) for n in range(count))
    died = {"lane": "http-normal", "priority": 5, "state": "dead", "due_at": now, "created_at": now, "attempts": 1}
    dead = Delivery.objects.bulk_create(
        Delivery(notification=one, channel=channel, settled_at=now, **died) for one in told
    )
    cause = {"outcome": "permanent", "code": 404, "detail": "Not found.", "fingerprint": "f", "buried_at": now}
    return DeadLetter.objects.bulk_create(
        DeadLetter(delivery=one, channel=channel, attempts=1, **{**cause, **fields}) for one in dead
    )


def many_deliveries(channels: Sequence[Channel], each: int, **fields: Any) -> None:
    """`each` due deliveries on each channel, written at once."""
    now = clock.now()
    notification = a_notification()
    notifications = Notification.objects.bulk_create(
        Notification(event_type="test_event", priority=5, title=f"Test {n}", accepted_at=now, routed_at=now)
        for n in range(each)
    )
    usual = {"lane": "http-normal", "priority": 5, "state": "pending", "due_at": now - SECOND, "created_at": now}
    Delivery.objects.bulk_create(
        Delivery(notification=one, channel=channel, **{**usual, **fields})
        for one in notifications
        for channel in channels
    )
    notification.delete()


def row_of(delivery: Delivery) -> dict[str, Any]:
    """All columns of a delivery as they stand now: equal before and after where nothing may change."""
    return dict(Delivery.objects.values().get(pk=delivery.pk))


def states(channel: Channel | None = None) -> Counter[str]:
    """How many deliveries stand in which state, on `channel` or everywhere."""
    rows = Delivery.objects.all() if channel is None else Delivery.objects.filter(channel=channel)
    return Counter(rows.values_list("state", flat=True))


def the_delivery(channel: Channel) -> Delivery:
    """The only delivery of a channel."""
    return Delivery.objects.get(channel=channel)


def outcomes(delivery: Delivery) -> list[tuple[str, int]]:
    """The tries of a delivery, in order, as (outcome, code)."""
    return list(Attempt.objects.filter(delivery=delivery).order_by("id").values_list("outcome", "code"))


def make_due(*deliveries: Delivery) -> None:
    """Let waiting time pass at once: they are due now."""
    Delivery.objects.filter(pk__in=[one.pk for one in deliveries]).update(due_at=clock.now())


def forget_the_rules() -> None:
    """Read the rulebook anew, as a worker that starts does."""
    rulebook._kept.book = None


def eventually(holds: Callable[[], T], *, within_s: float = 10.0) -> T:
    """What `holds` returns, once it is true."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return found


def suspended_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Wake up as the machine does that slept so long: its monotonic clock stood still, its uptime went on."""
    awake = time.clock_gettime
    monkeypatch.setattr(clock, "_DIFFERENCE", copy.copy(clock._DIFFERENCE))  # what it measures holds for this test
    monkeypatch.setattr(time, "clock_gettime", lambda which: awake(which) + seconds * (which == time.CLOCK_BOOTTIME))


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Run all `calls` at the same moment, each in a thread with a connection of its own. Raises what they raise."""
    together = threading.Barrier(len(calls))
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(place: int, call: Callable[[], T]) -> None:
        try:
            together.wait(10)
            results[place] = call()
        except BaseException as error:  # noqa: BLE001  Raised again in the test's own thread.
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]
    return [results[place] for place in range(len(calls))]


def in_background(call: Callable[[], object]) -> threading.Thread:
    """Run `call` in a thread with a connection of its own; `join` it."""

    def run() -> None:
        try:
            call()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def idempotency_ids(rows: Iterable[Any]) -> Counter[str]:
    """How often each delivery's id occurs in what a place of the world saw."""
    return Counter(row.idempotency_id for row in rows)


def most_at_once(seen: list[Received], answered_after: timedelta) -> int:
    """How many requests were open at the same time, where each is answered so long after it came."""
    times = [one.received_at for one in seen]
    return max(sum(other <= time < other + answered_after for other in times) for time in times)


def moment(text: str) -> datetime:
    """An aware time from ISO 8601."""
    return datetime.fromisoformat(text)
