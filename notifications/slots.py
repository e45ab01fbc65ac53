"""How many deliveries of one channel may be under way: a window that grows with success and halves with failure.

So a channel that answers well gets what it can take, and one that hangs or fails keeps a few slots
and no more, whatever its backlog. What was claimed for a channel whose window is full waits aside
(`park`), so that it stands in nobody's way. Belongs to one pump; `room` may be read from its other
thread.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from channels_app.outcomes import BreakerSignal
from notifications.held import Held, Tried

#: A channel about which nothing is known yet.
FIRST_WINDOW = 10

#: Claimed ahead of need, in windows: keeps a fast channel busy between two claims.
AHEAD = 4


#: Claimed at once of a channel whose deliveries are all held back, so that its backlog is soon aside.
GATED_ROOM = 1000

#: So many channels are told apart in a claim; of more, only those with something in hand.
LATELY = 100


@dataclass(slots=True)
class _Channel:
    window: int
    most: int
    under_way: int = 0
    claimed: int = 0
    parked: deque[Held] = field(default_factory=deque)

    @property
    def is_idle(self) -> bool:
        return not self.under_way and not self.claimed

    @property
    def room(self) -> int:
        """What may be claimed more."""
        return max(0, self.window * AHEAD - self.under_way - self.claimed)


class Slots:
    """The windows of all channels of a pump. `most` is the widest a window gets where a channel does not say."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._channels: dict[int, _Channel] = {}
        #: Those that had something in hand lately: few of many.
        self._lately: dict[int, _Channel] = {}
        #: Those whose deliveries the gates hold back: claimed in bulk, to be put aside.
        self._gated: set[int] = set()

    @property
    def usual_room(self) -> int:
        """What may be claimed of a channel that is not in `rooms`."""
        return min(FIRST_WINDOW, self._most) * AHEAD

    def rooms(self) -> dict[int, int]:
        """What may be claimed of each channel that had something in hand lately."""
        if len(self._lately) > LATELY:
            self._lately = {pk: channel for pk, channel in list(self._lately.items()) if not channel.is_idle}
        rooms = {pk: channel.room for pk, channel in list(self._lately.items())}
        return rooms | dict.fromkeys(self._gated, GATED_ROOM)

    def gated(self, channel_id: int, *, passes: bool) -> None:
        """Whether the gates let anything of the channel pass at the last claim."""
        if passes:
            self._gated.discard(channel_id)
        else:
            self._gated.add(channel_id)

    def claimed(self, one: Held) -> None:
        """It was claimed and will be started."""
        channel = self._of(one)
        channel.claimed += 1
        self._lately[one.channel.id] = channel

    def start(self, one: Held) -> bool:
        """Take a slot for it; False when the window is full: it is parked."""
        channel = self._of(one)
        if channel.under_way >= channel.window:
            channel.parked.append(one)
            return False
        channel.claimed -= 1
        channel.under_way += 1
        return True

    def return_unbegun(self, one: Held) -> None:
        """Give its slot back: the carrier has no room for it yet."""
        channel = self._of(one)
        channel.claimed += 1
        channel.under_way -= 1

    def end(self, tried: Tried) -> list[Held]:
        """Give its slot back and learn from it; what was parked of the channel and now has room, last one first."""
        channel = self._of(tried.held)
        channel.under_way -= 1
        signal = tried.verdict.outcome.breaker_signal
        if signal is BreakerSignal.SUCCESS:
            channel.window = min(channel.most, channel.window + 1)
        elif signal is BreakerSignal.FAILURE:
            channel.window = max(1, channel.window // 2)
        return _let_in(channel)

    def drop(self, one: Held) -> list[Held]:
        """It will not be started after all; what was parked of the channel and now has room."""
        channel = self._of(one)
        channel.claimed -= 1
        return _let_in(channel)

    def unpark(self) -> Iterator[Held]:
        """Take out all that is parked: the pump will not get to it."""
        for channel in self._channels.values():
            while channel.parked:
                channel.claimed -= 1
                yield channel.parked.popleft()

    def parked(self) -> list[Held]:
        """What is parked, to have its lease renewed."""
        return [one for channel in list(self._channels.values()) for one in list(channel.parked)]

    def _of(self, one: Held) -> _Channel:
        channel = self._channels.get(one.channel.id)
        if channel is None:
            most = one.channel.row.max_in_flight or self._most
            channel = self._channels[one.channel.id] = _Channel(min(FIRST_WINDOW, most), most)
        return channel


def _let_in(channel: _Channel) -> list[Held]:
    """What may leave the parking place, the last one first. The other thread may be emptying it (`unpark`)."""
    found: list[Held] = []
    with contextlib.suppress(IndexError):
        while len(found) < channel.window - channel.under_way:
            found.append(channel.parked.popleft())
    return found[::-1]
