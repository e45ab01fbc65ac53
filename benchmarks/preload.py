"""What there is to deliver: channels, notifications and pending deliveries, made by Belfry's own statements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import connection

from benchmarks.sink import Sink
from channels_app import signing
from channels_app.models import Channel
from notifications import clock, intake, lanes
from notifications.draft import Draft
from notifications.models import ApiKey, Delivery, Notification, transitions
from notifications.models.transitions import NewDelivery
from notifications.states import State

#: Where all deliveries of these benchmarks travel.
LANE = "http-normal"

_PRIORITY = 5
_BATCH = 1000


def channels(count: int, sink: Sink, place: str, *, key: str = "bench") -> list[Channel]:
    """Signed webhooks, each with an address of its own at `place` of the sink."""
    rows = []
    for number in range(count):
        row = Channel(key=f"{key}-{number}", name=f"{key} {number}", kind="webhook")
        row.configure({"url": sink.url(f"{place}/{number}"), "secret": signing.new_secret()})
        row.save()
        rows.append(row)
    return rows


def notifications(count: int, *, body_bytes: int) -> None:
    """Accept so many notifications; what is sent of each is about `body_bytes` long."""
    assert lanes.lane_of("http", _PRIORITY) == LANE
    # The rest of a webhook's body, names and all, is some 330 bytes.
    text = "Somebody has gone live, and this says so at some length. " * (body_bytes // 50)
    data = {"text": text[: max(0, body_bytes - 330)]}
    draft = partial(Draft, event_type="stream_online", title="Live now", body="Come and see.", priority=_PRIORITY)
    for first in range(0, count, _BATCH):
        drafts = [draft(data=data) for _ in range(min(_BATCH, count - first))]
        intake.accept(drafts, producer=None, now=clock.now())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE notifications_notification SET routed_at = accepted_at")


def forget_all() -> None:
    """Empty the tables, so that every run finds them the same."""
    _sql("TRUNCATE notifications_notification, notifications_delivery, notifications_attempt, notifications_deadletter")


def deliveries(count: int, to: Sequence[Channel]) -> None:
    """So many pending deliveries of the notifications there are, by turns to `to`; all others are forgotten."""
    _sql("TRUNCATE notifications_delivery, notifications_attempt, notifications_deadletter")
    now = clock.now()
    ids = list(Notification.objects.order_by("id").values_list("id", flat=True))
    assert count <= len(ids) * len(to), "no notification goes to one channel twice"
    for first in range(0, count, _BATCH):
        transitions.create(
            [
                NewDelivery(
                    notification_id=ids[place % len(ids)],
                    # Another channel in each round of the notifications.
                    channel_id=to[(place + place // len(ids)) % len(to)].pk,
                    state=State.PENDING,
                    lane=LANE,
                    priority=_PRIORITY,
                    reason_code="",
                    reason="",
                    due_at=now,
                    expires_at=None,
                )
                for place in range(first, min(count, first + _BATCH))
            ],
            now=now,
        )
    _sql("VACUUM ANALYZE")
    _sql("CHECKPOINT")


def attempts_so_far() -> int:
    """How many attempts were committed since `deliveries`, cheaply: their ids have no gaps where nothing fails."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id) - min(id) + 1, 0) FROM notifications_attempt")
        return int(cursor.fetchone()[0])


def check_all_delivered(count: int) -> None:
    """Raise `AssertionError` unless there are `count` deliveries, all delivered, with one attempt each."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT delivery_id) FROM notifications_attempt WHERE outcome = 'ok'")
        attempts, tried = cursor.fetchone()
    delivered = Delivery.objects.in_state(State.DELIVERED).count()
    assert delivered == attempts == tried == count, f"{delivered} delivered, {attempts} attempts, of {count}"


def api_key() -> str:
    """The text of a new operator's key."""
    return ApiKey.objects.issue("bench", role=ApiKey.Role.OPERATOR)[1]


def _sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
