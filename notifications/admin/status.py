"""How things stand, in four numbers, and the first steps that are still to be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from channels_app.models import Channel
from notifications.admin.paginator import MOST_COUNTED
from notifications.models import ApiKey, DeadLetter, Delivery, Notification
from notifications.states import OPEN, State


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the strip, bounded, with its page. `tone` is a class of `admin.css`."""

    label: str
    count: int
    url: str
    tone: str
    hint: str

    @property
    def shown(self) -> str:
        return f"{self.count:,}" if self.count < MOST_COUNTED else f"{MOST_COUNTED:,}+"


@dataclass(frozen=True, slots=True)
class FirstStep:
    """Something a new house needs."""

    text: str
    url: str
    done: bool


def figures() -> list[Figure]:
    """The strip. Four cheap queries, over partial indexes, none of which counts without end."""
    deliveries, letters = _list("notifications_delivery"), _list("notifications_deadletter")
    waiting = _counted(Delivery.objects.filter(state__in=OPEN - {State.RETRYING})) + _counted(
        Notification.objects.filter(routed_at__isnull=True)
    )
    retrying = _counted(Delivery.objects.in_state(State.RETRYING))
    dead = _counted(DeadLetter.objects.waiting())
    troubled = _counted(troubled_channels())
    return [
        Figure("waiting", waiting, f"{deliveries}?state=open", "wait", "not sent yet, or not routed yet"),
        Figure(
            "retrying", retrying, f"{deliveries}?state=retrying", "warn" if retrying else "good", "failed, tried again"
        ),
        Figure("dead letters", dead, letters, "bad" if dead else "good", "wait for your decision"),
        Figure(
            "channels in trouble",
            troubled,
            f"{_list('channels_app_channel')}?service=trouble",
            "bad" if troubled else "good",
            "quarantined, or failing now",
        ),
    ]


def troubled_channels() -> QuerySet[Channel]:
    """Out of service, or failing: their breaker has opened and not closed again."""
    return Channel.objects.current().filter(Q(quarantined_at__isnull=False) | Q(failing_since_at__isnull=False))


def first_steps() -> list[FirstStep]:
    """What to do in a new house; empty once it has been done."""
    steps = [
        FirstStep(
            "Add a channel: a place that is told, such as a Discord webhook or a mailbox.",
            reverse("admin:channels_app_channel_add"),
            Channel.objects.current().exists(),
        ),
        FirstStep(
            "Issue an API key for the program that sends.",
            reverse("admin:notifications_apikey_add"),
            ApiKey.objects.filter(revoked_at__isnull=True).exists(),
        ),
        FirstStep(
            "Send a first notification: POST /api/v1/notifications.", "/api/docs/", Notification.objects.exists()
        ),
    ]
    return [] if all(step.done for step in steps) else steps


def _counted(rows: QuerySet[Any]) -> int:
    return int(rows.order_by()[:MOST_COUNTED].count())


def _list(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
