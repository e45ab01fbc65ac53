"""What clients say over a WebSocket, in JSON."""

from __future__ import annotations

from uuid import UUID

import msgspec

from channels_app.live.event import place_at

#: Items that one frame may name.
MOST_IDS = 200


class BadFrame(ValueError):
    """A frame that says nothing that could be understood. The message says why."""


class ClientFrame(msgspec.Struct, frozen=True):
    """Any frame of a client: `t` says which of the others mean something.

    auth   ticket, last, device      ack    upto or ids (of items, or cursors)
    read   n, ids or upto or all     seen   n, ids or upto
    pong   n                         focus  on
    """

    t: str
    n: int | None = None
    ticket: str = ""
    last: str = ""
    device: str = ""
    upto: str = ""
    ids: tuple[str, ...] = ()
    all: bool = False
    on: bool = False

    @property
    def place(self) -> int | None:
        """The place that `upto` names. Raises `BadFrame`."""
        try:
            return place_at(self.upto) if self.upto else None
        except ValueError as error:
            raise BadFrame(str(error)) from None

    @property
    def items(self) -> list[UUID]:
        """The items that `ids` names. Raises `BadFrame`."""
        try:
            return [UUID(text) for text in self.ids]
        except ValueError:
            raise BadFrame("ids are those of items") from None


_decoder = msgspec.json.Decoder(ClientFrame)


def read(text: str) -> ClientFrame:
    """The frame. Raises `BadFrame`."""
    try:
        frame = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrame(str(error)) from None
    if len(frame.ids) > MOST_IDS:
        raise BadFrame(f"at most {MOST_IDS} ids")
    return frame
