"""`python -m project.chaos.live.producer`: writes into feeds in bulk. It is asked by `beside.Beside`.

begin   people, rate, seed, marks   write so many changes a second, until `end`; without `marks` new items alone
heap    people, bytes               from now on half of what is new is for these, and so long; nobody: no more
count                               how many changes were committed
end                                 stop; what was committed, by recipient the highest number

Most of it is new items, for several recipients each. Now and then something is marked, edited, withdrawn, or told to
everybody.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from uuid import UUID, uuid4

import django
from django.db import Error, connection

from project import env
from project.chaos.live.beside import Words, answer_all

env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})
django.setup()

from channels_app.feed import marking, writing  # noqa: E402  models exist only now
from channels_app.feed.item import EVERYONE, Change, Kind, NewItem  # noqa: E402

_TICK_S = 0.1
_PAUSE_S = 0.2
#: Recipients of one item, and how many of the latest items are marked, edited or withdrawn.
_AT_ONCE, _REMEMBERED = 5, 1_000
#: Of what is done beside writing new items: how often in a tick, and how often something is told to everybody.
_MARKS_OF_A_TICK, _EVERYONE_SHARE = 3, 0.01


class Producer:
    """Writes on a thread of its own. When the database is away it tries again, and does not make up for the time."""

    def __init__(self, said: Words) -> None:
        self._people: list[str] = said["people"]
        self._mine = frozenset(self._people)
        self._rate, self._random = float(said["rate"]), Random(said["seed"])
        self._marks = _MARKS_OF_A_TICK if said["marks"] else 0
        self._heaped: list[str] = []
        self._large = ""
        self._latest: deque[tuple[str, UUID, UUID]] = deque(maxlen=_REMEMBERED)
        self.heads: dict[str, int] = {}
        self.committed = self.failed = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="producer")
        self._thread.start()

    def heap(self, people: list[str], size: int) -> None:
        self._large = "x" * size
        self._heaped = people

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _write_on(self) -> None:
        owed, before = 0.0, time.monotonic()
        while not self._over.wait(_TICK_S):
            now = time.monotonic()
            # After an outage it goes on as before: those who write into feeds keep what waits, not this.
            owed, before = min(owed + self._rate * (now - before), self._rate), now
            try:
                owed -= self._write(int(owed))
            except Error:
                self.failed += 1
                connection.close()
                self._over.wait(_PAUSE_S)

    def _write(self, wanted: int) -> int:
        """Write about `wanted` changes; how many were written."""
        before = self.committed
        for _ in range(self._marks):
            if self._latest and self.committed - before < wanted:
                self._note(self._change_something())
        items: list[NewItem] = []
        while self.committed - before + len(items) < wanted:
            items += self._something_new()
        if items:
            self._note(writing.publish(items, now=_now()))
        return self.committed - before

    def _something_new(self) -> list[NewItem]:
        heaped, source = self._heaped, uuid4()
        # Fewer at once, so more often.
        heaps = bool(heaped) and self._random.random() < _AT_ONCE / (_AT_ONCE + min(_AT_ONCE, len(heaped)))
        people = heaped if heaps else self._people
        return [
            NewItem(
                recipient=recipient,
                event_type=self._random.choice(("stream.online", "recording.done", "disk.full")),
                source=source,
                priority=self._random.randrange(11),
                title=f"Something new, {source.hex[:6]}",
                body=self._large if heaps else "What happened, in a few words.",
                payload=b'{"number": 1}',
                wants_ack=self._random.random() < 0.2,
            )
            for recipient in self._random.sample(people, min(_AT_ONCE, len(people)))
        ]

    def _change_something(self) -> Sequence[Change]:
        if self._random.random() < _EVERYONE_SHARE:
            told = NewItem(recipient=EVERYONE, event_type="all.told", source=uuid4(), title="To everybody")
            return writing.publish([told], now=_now())
        recipient, item, source = self._random.choice(self._latest)
        ids, now = [item], _now()
        ways: list[tuple[int, Callable[[], Sequence[Change]]]] = [
            (30, lambda: marking.read(recipient, ids=ids, now=now)),
            (20, lambda: marking.seen(recipient, ids=ids, now=now)),
            (15, lambda: marking.unread(recipient, ids, now=now)),
            (10, lambda: marking.archive(recipient, ids, now=now)),
            (10, lambda: marking.delete(recipient, ids, now=now)),
            (10, lambda: writing.edit(source, title=f"Changed, {uuid4().hex[:6]}", now=now)),
            (4, lambda: writing.withdraw(source, now=now)),
            (1, lambda: marking.read(recipient, everything=True, now=now)),
        ]
        weights = [weight for weight, _ in ways]
        return self._random.choices([way for _, way in ways], weights)[0]()

    def _note(self, changes: Sequence[Change]) -> None:
        for change in changes:
            # What is told to everybody goes into feeds of earlier cases, too.
            if change.recipient in self._mine:
                self.committed += 1
                self.heads[change.recipient] = max(change.seq, self.heads.get(change.recipient, 0))
                if change.kind is Kind.NEW and change.item["source"]:
                    where = (change.recipient, UUID(change.item["id"]), UUID(change.item["source"]))
                    self._latest.append(where)


class _Desk:
    """Answers what is asked."""

    producer: Producer | None = None

    def answer(self, what: str, said: Words) -> Words:
        if self.producer is None:
            self.producer = Producer(said)
        if what == "heap":
            self.producer.heap(said["people"], said["bytes"])
        if what == "end":
            self.end()
        return {
            "committed": self.producer.committed,
            "failed": self.producer.failed,
            "heads": self.producer.heads if what == "end" else {},
        }

    def end(self) -> None:
        if self.producer is not None:
            self.producer.end()


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    desk = _Desk()
    try:
        answer_all(desk.answer)
    finally:
        desk.end()
