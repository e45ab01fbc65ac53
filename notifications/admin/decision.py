"""What a decision on dead letters would touch, looked at before it is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Now

from notifications.models import DeadLetter
from notifications.states import State

_WAITS = Q(replayed_at__isnull=True, discarded_at__isnull=True)
_DEAD = Q(delivery__state=State.DEAD)
_IN_SERVICE = Q(channel__deleted_at__isnull=True)


@dataclass(frozen=True, slots=True)
class Preview:
    """Of the letters that were chosen: how many would be sent again, how many would not, and why not."""

    chosen: QuerySet[DeadLetter]
    count: int
    decided: int
    not_dead: int
    channel_deleted: int
    expired: int
    newest: int
    channels: list[dict[str, Any]]

    @property
    def to_replay(self) -> int:
        return sum(channel["count"] for channel in self.channels)

    @property
    def to_discard(self) -> int:
        return self.count - self.decided

    def waiting(self) -> QuerySet[DeadLetter]:
        """Those that nobody has decided on."""
        return self.chosen.filter(_WAITS)

    def replayable(self) -> QuerySet[DeadLetter]:
        """Those that wait, whose delivery is still dead, and whose channel is still there."""
        return self.chosen.filter(_WAITS & _DEAD & _IN_SERVICE)


def preview(letters: QuerySet[DeadLetter]) -> Preview:
    """Look at `letters`. Two queries."""
    rows = letters.order_by()
    replayable = _WAITS & _DEAD & _IN_SERVICE
    counts = rows.aggregate(
        count=Count("pk"),
        decided=Count("pk", filter=~_WAITS),
        not_dead=Count("pk", filter=_WAITS & ~_DEAD),
        channel_deleted=Count("pk", filter=_WAITS & _DEAD & ~_IN_SERVICE),
        expired=Count("pk", filter=replayable & Q(delivery__expires_at__lt=Now())),
        newest=Max("pk"),
    )
    by_channel = rows.filter(replayable).values("channel", "channel__name", "channel__key", "channel__enabled")
    channels: list[Any] = list(by_channel.annotate(count=Count("pk")).order_by("-count"))
    return Preview(chosen=letters, channels=channels, **{**counts, "newest": counts["newest"] or 0})
