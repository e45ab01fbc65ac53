"""How many requests a channel may have open at once, over all workers: slots, shared among those who send to it.

Who sends to a channel with so many slots says again and again how many requests it has open and how
many it could have, and is told how many it may have. Shares are fair; where there are fewer slots
than senders, they take turns. Nothing is broken off: who has more than its share begins nothing
until enough has ended. The slots of one that has not asked for a lease's time are free again: it died.

All of it is in Redis, by the clock of Redis, and may be lost: then each sender soon tells anew what it
has open. When Redis is away each sender may use all slots, and that is counted in
`belfry_in_flight_unavailable_total`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Counter

from channels_app.volatile import Away, Script, Volatile, default_volatile

UNAVAILABLE = Counter(
    "belfry_in_flight_unavailable_total", "Questions for slots of channels that Redis did not answer."
)

_SHARE = Script("in_flight_share")


@dataclass(frozen=True, slots=True)
class Use:
    """What a sender makes of a channel's `most` slots: requests `open` now, and `wanted`, which counts those too.

    Nothing wanted: it leaves.
    """

    channel_id: int
    most: int
    open: int
    wanted: int


class InFlight:
    """The slots of all channels of one Redis. `now` is for tests; without it the clock of Redis counts."""

    def __init__(self, volatile: Volatile) -> None:
        self._volatile = volatile

    def share_many(
        self, sender: str, uses: Sequence[Use], *, lease_s: float, now: datetime | None = None
    ) -> dict[int, int]:
        """By channel id, how many requests `sender` may have open from now on. One round trip. Never raises.

        Between counting what is open and the answer it must not begin any. A channel may stand in a call once.
        """
        if not uses:
            return {}
        keys = [f"belfry:in_flight:{use.channel_id}" for use in uses]
        rows = [(use.most, use.open, use.wanted) for use in uses]
        now_ms = int(now.timestamp() * 1000) if now else False
        try:
            answers = self._volatile.run(_SHARE, keys, (now_ms, lease_s * 1000, sender, rows))
        except Away:
            UNAVAILABLE.inc()
            return {use.channel_id: use.most for use in uses}
        UNAVAILABLE.inc(answers.count(None))
        return {
            use.channel_id: use.most if share is None else int(share) for use, share in zip(uses, answers, strict=True)
        }


def default_in_flight() -> InFlight:
    """Those in the Redis of the settings."""
    return InFlight(default_volatile())
