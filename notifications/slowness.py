"""Channels that answer slowly get a lane of their own, and come back by themselves.

Each request of a slow channel keeps a slot for seconds in which a quick one has had hundreds. So
each worker keeps a moving average of how long a channel takes; above `SLOW_S` the channel is marked,
and what is meant for it goes to the slow lane; below `QUICK_S` the mark goes. Between the two lies
room enough that nobody moves to and fro.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from channels_app.models import Channel
from notifications import lanes
from notifications.held import Tried
from notifications.models import transitions
from notifications.rulebook import ChannelInUse, Rulebook

SLOW_S, QUICK_S = 2.0, 0.5

#: Weight of the newest answer; about the last ten count.
_NEWEST = 0.2
#: Answers before anything is believed.
_AT_LEAST = 5

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Slowness:
    """What one worker has seen of each channel."""

    _averages_s: dict[int, float] = field(default_factory=dict)
    _answers: dict[int, int] = field(default_factory=dict)

    def learn(self, tried: Iterable[Tried], now: datetime) -> None:
        """Take in how long tries took. Touches the database only where a channel becomes slow or quick."""
        seen: dict[int, ChannelInUse] = {}
        for one in tried:
            channel = one.held.channel
            average_s = self._averages_s.get(channel.id, 0.0)
            self._averages_s[channel.id] = average_s + _NEWEST * (one.duration_ms / 1000 - average_s)
            self._answers[channel.id] = self._answers.get(channel.id, 0) + 1
            seen[channel.id] = channel
        for channel in seen.values():
            self._judge(channel, now)

    def _judge(self, channel: ChannelInUse, now: datetime) -> None:
        if self._answers[channel.id] < _AT_LEAST:
            return
        average_s, is_slow = self._averages_s[channel.id], channel.row.slow_since_at is not None
        if average_s > SLOW_S and not is_slow:
            _log.info("channel_slow", channel=channel.row.key, average_s=round(average_s, 2))
            Channel.objects.note_slow(channel.id, now)
        elif average_s < QUICK_S and is_slow:
            _log.info("channel_quick_again", channel=channel.row.key, average_s=round(average_s, 2))
            Channel.objects.note_quick(channel.id)


def lane_of(channel: ChannelInUse, priority: int) -> str:
    """The lane in which a delivery on this channel travels."""
    if channel.row.slow_since_at is not None and channel.lane_group == lanes.HTTP:
        return lanes.SLOW
    return lanes.lane_of(channel.lane_group, priority)


def move_aside(book: Rulebook, *, limit: int) -> int:
    """Send what already waits for slow channels to the slow lane. Returns how many deliveries that were."""
    slow = [pk for pk, channel in book.channels.items() if channel.row.slow_since_at is not None]
    http = [lane for lane in lanes.LANES if lanes.group_of(lane) == lanes.HTTP and lane != lanes.SLOW]
    return transitions.change_lane(slow, from_lanes=http, to=lanes.SLOW, limit=limit) if slow else 0
