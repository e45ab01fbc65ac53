"""Channels out of service, for tests of how they get there and back."""

from __future__ import annotations

from datetime import timedelta

from channels_app.models import Channel
from notifications import clock
from notifications.models import Delivery, Notification
from notifications.states import State
from tests.notifications.scene import (
    HOUR,
    SECOND,
    forget_the_rules,
    make_due,
    sweep,
)

#: An address that may be reached, and is not.
HERE = "http://127.0.0.1:9/"


def fresh(channel: Channel) -> Channel:
    return Channel.objects.get(pk=channel.pk)


def out_of_service(channel: Channel, *, probe_in: timedelta = HOUR, probes: int = 0) -> Channel:
    """Quarantined, as a worker leaves it."""
    now = clock.now()
    assert Channel.objects.quarantine(channel.pk, reason="It said 410.", now=now, probe_at=now + probe_in)
    Channel.objects.filter(pk=channel.pk).update(probes=probes)
    return fresh(channel)


def probe_is_due(channel: Channel) -> None:
    Channel.objects.filter(pk=channel.pk).update(probe_at=clock.now() - SECOND)
    forget_the_rules()


def told() -> list[str]:
    events = Notification.objects.filter(event_type__startswith="channel_").order_by("id")
    return list(events.values_list("event_type", flat=True))


def what_waits_is_due() -> None:
    make_due(*Delivery.objects.in_state(State.SCHEDULED))
    sweep()
