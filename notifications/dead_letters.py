"""What failed for good: list by cause, replay, discard.

One code for admin, API and command. Replaying is safe to repeat: a delivery that is not dead any
more is left alone, so what has arrived meanwhile is not sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Max, Min

from channels_app.models import Channel
from notifications.models import DeadLetter, transitions
from notifications.models.dead_letter import DeadLetterQuerySet
from notifications.states import State
from notifications.wake import wake

#: Letters that are decided on in one transaction.
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Group:
    """Equal failures of one channel. `newest` stands for them all."""

    newest: DeadLetter
    count: int
    first_at: datetime
    last_at: datetime


def groups(letters: DeadLetterQuerySet, *, limit: int) -> list[Group]:
    """Equal failures as one line each, the most frequent first. Two queries, however many letters there are."""
    found = list(
        letters.order_by()
        .values("channel_id", "fingerprint")
        .annotate(count=Count("id"), first=Min("buried_at"), last=Max("buried_at"), newest=Max("id"))
        .order_by("-count", "-last", "channel_id", "fingerprint")[:limit]
    )
    newest = letters.in_bulk([group["newest"] for group in found])
    return [
        Group(newest[group["newest"]], group["count"], group["first"], group["last"])
        for group in found
        if group["newest"] in newest
    ]


def replay(letters: Sequence[DeadLetter], *, by: str, now: datetime) -> int:
    """Send what these letters are about once more, with all attempts. Returns how many went on their way.

    What was for a channel that has been deleted stays where it is: nobody would take it. So does what its
    producer has withdrawn.
    """
    channel_ids = Channel.objects.current().filter(pk__in={letter.channel_id for letter in letters})
    there = set(channel_ids.values_list("pk", flat=True))
    delivery_ids = [letter.delivery_id for letter in letters if letter.is_waiting and letter.channel_id in there]
    with transaction.atomic():
        moved = transitions.replay(delivery_ids, by=by, now=now)
        for lane in {row.lane for row in moved}:
            transaction.on_commit(lambda lane=lane: wake(lane))  # type: ignore[misc]
    return len(moved)


def obstacle(letter: DeadLetter) -> str:
    """Why replaying this letter changes nothing as things stand now, as a sentence; "" where it would."""
    now = DeadLetter.objects.select_related("channel", "delivery__notification").filter(pk=letter.pk).first()
    if now is None:
        return "It is no longer kept."
    reasons = {
        "Somebody has decided on it already.": not now.is_waiting,
        "Its delivery is no longer dead.": now.delivery.state != State.DEAD,
        "Its channel was deleted.": now.channel.deleted_at is not None,
        "Its notification was withdrawn.": now.delivery.notification.withdrawn_at is not None,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def discard(letters: Sequence[DeadLetter], *, reason: str, by: str, now: datetime) -> int:
    """Decide that these will not be sent. They stay readable. Returns how many were decided now."""
    return DeadLetter.objects.discard([letter.pk for letter in letters], reason=reason, by=by, now=now)


def discard_many(letters: DeadLetterQuerySet, *, reason: str, by: str, now: datetime, most: int | None = None) -> int:
    """Discard those of `letters` that wait, oldest first, in batches; `most` of them. Returns how many.

    What is buried meanwhile is not meant.
    """
    waiting = letters.waiting().order_by("pk")
    newest = waiting.aggregate(newest=Max("pk"))["newest"] or 0
    behind, decided = 0, 0
    while most is None or decided < most:
        size = BATCH if most is None else min(BATCH, most - decided)
        ids = list(waiting.filter(pk__gt=behind, pk__lte=newest).values_list("pk", flat=True)[:size])
        if not ids:
            break
        decided += DeadLetter.objects.discard(ids, reason=reason, by=by, now=now)
        behind = ids[-1]
    return decided
