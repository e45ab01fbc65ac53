"""How many deliveries of one channel may be under way: a window that grows with success and halves with failure.

So a channel that answers well gets what it can take, and one that hangs or fails keeps a few slots
and no more, whatever its backlog. What was claimed for a channel whose window is full waits aside
(`park`), so that it stands in nobody's way.

A channel that says `max_in_flight` is shared with all other pumps (`channels_app.in_flight`): of it
no more is begun than is ours at the moment.

Belongs to one pump: `start` and what follows it to the thread that sends, the rest to the one that claims.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from channels_app.in_flight import Use
from channels_app.outcomes import BreakerSignal
from notifications.held import Held, Tried
from notifications.rulebook import ChannelInUse

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
    def width(self) -> int:
        """How many may be under way now."""
        return self.window

    @property
    def room(self) -> int:
        """What may be claimed more."""
        return max(0, max(1, self.width) * AHEAD - self.under_way - self.claimed)

    def take(self) -> bool:
        """A slot for one more, if there is one."""
        if self.under_way >= self.window:
            return False
        self.under_way += 1
        return True


@dataclass(slots=True)
class _Shared(_Channel):
    """A channel that all pumps together have `most` slots of."""

    #: Those that we may use now.
    ours: int = 0
    #: Whether the others have to be told when we need none any more.
    is_told: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def width(self) -> int:
        return min(self.window, self.ours)

    def take(self) -> bool:
        with self.lock:
            return self.under_way < self.ours and _Channel.take(self)

    def use(self, channel_id: int) -> Use:
        """What we make of it. Nothing is begun from now on until the answer is here."""
        with self.lock:
            self.ours = min(self.ours, self.under_way)
            wanted = max(self.under_way, min(self.window, self.under_way + self.claimed))
            return Use(channel_id, self.most, self.under_way, wanted)


class Slots:
    """The windows of all channels of a pump. `most` is the widest a window gets where a channel does not say."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._channels: dict[int, _Channel] = {}
        #: Those of them that other pumps use too.
        self._shared: dict[int, _Shared] = {}
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
            self._lately = {pk: channel for pk, channel in self._lately.copy().items() if not channel.is_idle}
        rooms = {pk: channel.room for pk, channel in self._lately.copy().items()}
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
        if not channel.take():
            channel.parked.append(one)
            return False
        channel.claimed -= 1
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

    def uses(self) -> list[Use]:
        """What we make of shared channels, to be told to the others; then `allow` what they answer."""
        told = [pk for pk, channel in self._shared.items() if channel.is_told or not channel.is_idle]
        return [self._shared[pk].use(pk) for pk in told]

    def allow(self, uses: list[Use], shares: Mapping[int, int]) -> list[Held]:
        """Use so many slots of shared channels, by id; what was parked of them and now has room, last one first."""
        found: list[Held] = []
        for use in uses:
            channel = self._shared[use.channel_id]
            channel.ours, channel.is_told = shares[use.channel_id], use.wanted > 0
            found += _let_in(channel)
        return found

    def unpark(self) -> Iterator[Held]:
        """Take out all that is parked: the pump will not get to it. From any thread."""
        for channel in list(self._channels.values()):
            with contextlib.suppress(IndexError):
                while True:
                    one = channel.parked.popleft()
                    channel.claimed -= 1
                    yield one

    def parked(self) -> list[Held]:
        """What is parked, to have its lease renewed."""
        return [one for channel in list(self._channels.values()) for one in list(channel.parked)]

    def _of(self, one: Held) -> _Channel:
        channel = self._channels.get(one.channel.id)
        return channel if channel is not None else self._make(one.channel)

    def _make(self, of: ChannelInUse) -> _Channel:
        most = of.row.max_in_flight
        if most:
            self._shared[of.id] = self._channels[of.id] = shared = _Shared(min(FIRST_WINDOW, most), most)
            return shared
        channel = self._channels[of.id] = _Channel(min(FIRST_WINDOW, self._most), self._most)
        return channel


def _let_in(channel: _Channel) -> list[Held]:
    """What may leave the parking place, the last one first. The other thread may be emptying it (`unpark`)."""
    found: list[Held] = []
    with contextlib.suppress(IndexError):
        while len(found) < channel.width - channel.under_way:
            found.append(channel.parked.popleft())
    return found[::-1]
