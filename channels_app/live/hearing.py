"""What an entry of the bus means for the connections of this process."""

from __future__ import annotations

from collections.abc import Callable

from channels_app.feed.item import EVERYONE, Kind
from channels_app.live.bus import Entry
from channels_app.live.event import Event, place_of
from channels_app.live.hub import Hub

_KINDS = {kind.value.encode(): kind.value for kind in Kind}


class Hearing:
    """Passes hints on to a hub. `broadcast` is called when there is something for everybody."""

    def __init__(self, hub: Hub, *, broadcast: Callable[[], None]) -> None:
        self._hub, self._broadcast = hub, broadcast

    def hear(self, entry: Entry) -> None:
        """Raises `KeyError` or `ValueError` for what is no hint."""
        recipient = entry[b"u"].decode()
        if recipient == EVERYONE and entry.get(b"k") == b"lost":
            self._hub.suspicious.set()
        elif recipient == EVERYONE:
            self._broadcast()
        elif self._hub.knows(recipient):
            self._hear_of(recipient, entry)

    def _hear_of(self, recipient: str, entry: Entry) -> None:
        kind = entry[b"k"]
        if kind == b"kick":
            device = entry.get(b"device")
            self._hub.kick(recipient, device.decode() if device else None)
        elif kind == b"reset":
            self._hub.hear_of(recipient, place_of(int(entry[b"e"]), 0))
        else:
            self._hear_change(recipient, kind, entry)

    def _hear_change(self, recipient: str, kind: bytes, entry: Entry) -> None:
        place, body = place_of(int(entry[b"e"]), int(entry[b"s"])), entry.get(b"d")
        if body is None:
            # Too large for the bus.
            self._hub.hear_of(recipient, place)
        else:
            self._hub.hear(Event(_KINDS[kind], recipient, place, float(entry[b"t"]), body, is_hint=True))
