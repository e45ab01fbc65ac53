"""What failed for good: list by cause, replay, discard.

One code for admin, API and command. Replaying is safe to repeat: a delivery that is not dead any
more is left alone, so what has arrived meanwhile is not sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from channels_app.models import Channel
from notifications.models import DeadLetter, transitions
from notifications.wake import wake


def replay(letters: Sequence[DeadLetter], *, by: str, now: datetime) -> int:
    """Send what these letters are about once more, with all attempts. Returns how many went on their way.

    What was for a channel that has been deleted stays where it is: nobody would take it.
    """
    channel_ids = Channel.objects.current().filter(pk__in={letter.channel_id for letter in letters})
    there = set(channel_ids.values_list("pk", flat=True))
    delivery_ids = [letter.delivery_id for letter in letters if letter.is_waiting and letter.channel_id in there]
    with transaction.atomic():
        moved = transitions.replay(delivery_ids, by=by, now=now)
        for lane in {row.lane for row in moved}:
            transaction.on_commit(lambda lane=lane: wake(lane))  # type: ignore[misc]
    return len(moved)


def discard(letters: Sequence[DeadLetter], *, reason: str, by: str, now: datetime) -> int:
    """Decide that these will not be sent. They stay readable. Returns how many were decided now."""
    return DeadLetter.objects.discard([letter.pk for letter in letters], reason=reason, by=by, now=now)
