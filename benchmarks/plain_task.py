"""One delivery, the plain way: ORM get, `requests.post`, ORM save, one attempt row.

The message is rendered and signed by the functions that Belfry uses. To be fair to it, an opened
channel is remembered, connections to Postgres are kept, and nothing is claimed, leased or guarded.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import requests
from celery import shared_task
from django.utils import timezone

from channels_app.base import HttpTransport, Message
from channels_app.models import Channel
from channels_app.registry import get
from notifications import priority
from notifications.models import Attempt, Delivery


@shared_task(name="plain.deliver")
def deliver(delivery_id: int) -> None:
    """Send one delivery and write what came of it."""
    delivery = Delivery.objects.select_related("notification__streamer", "channel").get(pk=delivery_id)
    started_at, started = timezone.now(), time.monotonic()
    transport, config = _opened(delivery.channel)
    request = transport.build(_message_of(delivery), config, now=started_at)
    response = requests.post(request.url, data=request.body, headers=dict(request.headers), timeout=15)
    delivered = response.status_code < 300
    delivery.state = "delivered" if delivered else "retrying"
    delivery.attempts += 1
    delivery.first_attempt_at = delivery.first_attempt_at or started_at
    delivery.settled_at = timezone.now()
    delivery.save(update_fields=["state", "attempts", "first_attempt_at", "settled_at"])
    Attempt.objects.create(
        delivery=delivery,
        started_at=started_at,
        duration_ms=int((time.monotonic() - started) * 1000),
        outcome="ok" if delivered else "transient",
        code=response.status_code,
    )


@lru_cache(maxsize=4096)
def _opened(channel: Channel) -> tuple[HttpTransport[Any], Any]:
    transport = get(channel.kind)
    assert isinstance(transport, HttpTransport)
    return transport, channel.typed_config()


def _message_of(delivery: Delivery) -> Message:
    """What `rendering.message_of` makes of a claimed row, of ORM objects."""
    notification, streamer = delivery.notification, delivery.notification.streamer
    return Message(
        idempotency_id=delivery.idempotency_id,
        notification_id=str(notification.pk),
        event_type=notification.event_type,
        priority=notification.priority,
        priority_label=priority.label(notification.priority),
        title=notification.title,
        body=notification.body,
        data=notification.data,
        accepted_at=notification.accepted_at,
        streamer_key=streamer.key if streamer else "",
        streamer_name=streamer.name if streamer else "",
        platform=streamer.platform if streamer else "",
        address=delivery.address,
    )
