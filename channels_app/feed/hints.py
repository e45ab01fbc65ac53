"""Hints to the live processes that a feed changed: entries on sharded Redis streams, after COMMIT.

Fields of an entry: `u` recipient, `e` epoch, `s` seq, `k` kind (new, updated, deleted, kick, reset), `v` version,
`n` unread, `t` when it was committed (seconds since 1970), `d` the item as JSON (absent when it is large: read it
from Postgres). To everybody: `u=*`, `b` the broadcast's id. A kick: `k=kick`, `u`, and `device` or not.
A reset: `k=reset`, `u`, `e`. A loss: `u=*`, `k=lost`; each stream begins with that, since another may have been there.

A hint may be lost: the numbers of a feed are dense, so that whoever misses one finds out. Where none follows that would
take long; so who could not send some says so as soon as Redis is back, and the live processes compare positions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from random import Random
from zlib import crc32

import msgspec
from django.conf import settings
from prometheus_client import Counter

from channels_app.feed.item import EVERYONE, Change
from channels_app.feed.unread import REST_S, feed_volatile
from channels_app.volatile import Away, Script

#: The largest item that travels in a hint, in bytes of JSON.
MAX_ITEM_BYTES = 16_384
#: Entries that a stream keeps, about.
STREAM_LENGTH = 10_000
#: Of more changes of one feed at once only the last is told: who sees the gap reads the others in one go.
MOST_OF_ONE_FEED = 50

DROPPED = Counter("belfry_feed_hints_dropped_total", "Hints to live processes that Redis did not take.")

_HINT = Script("feed_hint")

#: Of one call, so that none is long: entries, and bytes of items.
_ENTRIES, _BYTES = 500, 512 * 1024

Entry = tuple[str, list[str]]

#: Taken while somebody waits to tell of a loss.
_TELLING = threading.Lock()

#: Not the interpreter's, as in `unread`.
_chance = Random()


def streams(shards: int) -> list[str]:
    """All streams of the bus."""
    return [f"feed:bus:{number}" for number in range(shards)]


def stream(recipient: str, shards: int) -> str:
    """Which of the bus's streams tells of this recipient."""
    return f"feed:bus:{crc32(recipient.encode()) % shards}"


def publish(changes: Sequence[Change]) -> None:
    """Tell the live processes, now. Never raises; what Redis does not take is dropped, and counted."""
    # When it was committed, for those who measure how long it takes from there to a screen.
    committed_at = f"{time.time():.6f}"
    _send(_of(change, committed_at) for change in _worth_telling(changes))


def broadcast(broadcast_id: int) -> None:
    """Tell the live processes that there is something for everybody."""
    _send([(EVERYONE, ["u", EVERYONE, "b", str(broadcast_id), "t", f"{time.time():.6f}"])])


def reset(recipients: Iterable[tuple[str, int]]) -> None:
    """Tell the live processes that feeds begin anew: pairs of recipient and epoch."""
    _send((who, ["u", who, "k", "reset", "e", str(epoch)]) for who, epoch in recipients)


def kick(recipient: str, device: str = "") -> bool:
    """Ask all live processes to close the recipient's connections, or those of one device. False: Redis is away."""
    fields: list[str] = ["u", recipient, "k", "kick"]
    if device:
        fields += ["device", device]
    return _send([(recipient, fields)])


def _worth_telling(changes: Sequence[Change]) -> Iterator[Change]:
    for _, group in groupby(changes, key=attrgetter("recipient")):
        of_one = list(group)
        yield from of_one if len(of_one) <= MOST_OF_ONE_FEED else of_one[-1:]


def _of(change: Change, committed_at: str) -> Entry:
    fields: list[str] = ["u", change.recipient, "e", str(change.epoch), "s", str(change.seq)]
    fields += ["k", change.kind.value, "v", str(change.version), "n", str(change.unread), "t", committed_at]
    item = msgspec.json.encode(change.item)
    if len(item) <= MAX_ITEM_BYTES:
        fields += ["d", item.decode()]
    return change.recipient, fields


def _send(entries: Iterable[Entry]) -> bool:
    answers = [_add(batch) for batch in _batches(entries)]
    return all(answers)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += sum(map(len, entry[1]))
        if len(batch) >= _ENTRIES or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _add(batch: Sequence[Entry]) -> bool:
    shards: int = settings.BELFRY_FEED_SHARDS
    of_each = [stream(recipient, shards) for recipient, _ in batch]
    streams = sorted(set(of_each))
    place = {name: number for number, name in enumerate(streams, 1)}
    packed = [(place[name], fields) for name, (_, fields) in zip(of_each, batch, strict=True)]
    try:
        answers = feed_volatile().run(_HINT, streams, (STREAM_LENGTH, packed))
    except Away:
        answers = [None] * len(batch)
    lost = answers.count(None)
    DROPPED.inc(lost)
    if lost:
        _tell_of_loss_later()
    return not lost


def _tell_of_loss_later() -> None:
    if _TELLING.acquire(blocking=False):
        # Redis is left alone until then.
        timer = threading.Timer(REST_S * _chance.uniform(1.0, 1.2), _tell_of_loss)
        timer.daemon = True
        timer.start()


def _tell_of_loss() -> None:
    # Whatever is lost from now on is told of by somebody else; this too, where it does not get through.
    _TELLING.release()
    _send([(EVERYONE, ["u", EVERYONE, "k", "lost"])])
