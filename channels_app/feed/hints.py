"""Hints to the live processes that a feed changed: entries on sharded Redis streams, after COMMIT.

Fields of an entry: `u` recipient, `e` epoch, `s` seq, `k` kind (new, updated, deleted, kick, reset), `v` version,
`n` unread, `t` when it was committed (seconds since 1970), `d` the item as JSON (absent when it is large: read it
from Postgres). To everybody: `u=*`, `b` the broadcast's id. A kick: `k=kick`, `u`, and `device` or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from channels_app.feed.item import Change

#: The largest item that travels in a hint, in bytes of JSON.
MAX_ITEM_BYTES = 16_384
#: Entries that a stream keeps, about.
STREAM_LENGTH = 10_000


def stream(recipient: str, shards: int) -> str:
    """Which of the bus's streams tells of this recipient."""
    return f"feed:bus:{crc32(recipient.encode()) % shards}"


def publish(changes: Sequence[Change]) -> None:
    """Tell the live processes, now. Never raises; what Redis does not take is dropped, and counted."""
    raise NotImplementedError


def kick(recipient: str, device: str = "") -> bool:
    """Ask all live processes to close the recipient's connections, or those of one device. False: Redis is away."""
    raise NotImplementedError
