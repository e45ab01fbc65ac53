"""What the outside world saw: one line for each thing that reached it, taken or refused.

The journal is the other side's word in every account of Belfry: it is written by the far ends
alone and knows nothing of deliveries. Lines are only ever appended.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: How Belfry names a delivery to the world: `msg_<notification, 32 hex digits>_<delivery>`.
IDEMPOTENCY_ID = re.compile(r"msg_[0-9a-f]{32}_\d+")


@dataclass(frozen=True, slots=True)
class Received:
    """One thing that arrived at a place.

    `accepted` says whether the far end took responsibility. It did so also where the sender could
    not learn of it (the connection was reset after the message was taken).
    """

    #: Where: `hooks/<name>`, `discord/<name>`, `mail`, `sink` ...
    place: str
    #: What the sender says makes it the same thing when it comes again; "" where it said nothing.
    idempotency_id: str
    received_at: datetime
    accepted: bool
    #: HTTP status or SMTP reply code; 0 when nothing was answered.
    status: int
    body: bytes
    #: Why it was refused, or which misbehaviour it met.
    note: str = ""

    def as_json(self, *, with_body: bool) -> dict[str, Any]:
        """The line for other processes; times are ISO 8601, bodies are text with bad bytes replaced."""
        line: dict[str, Any] = {
            "place": self.place,
            "idempotency_id": self.idempotency_id,
            "received_at": self.received_at.isoformat(),
            "accepted": self.accepted,
            "status": self.status,
            "note": self.note,
        }
        return line | {"body": self.body.decode("utf-8", "replace")} if with_body else line

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Received:
        """The line as `as_json` wrote it."""
        return cls(
            place=line["place"],
            idempotency_id=line["idempotency_id"],
            received_at=datetime.fromisoformat(line["received_at"]),
            accepted=line["accepted"],
            status=line["status"],
            body=line.get("body", "").encode(),
            note=line["note"],
        )


@dataclass(frozen=True, slots=True)
class Count:
    """How many arrived at one place."""

    accepted: int = 0
    refused: int = 0


class Journal:
    """All that was seen, in order of arrival.

    One thread writes (the world's), any thread reads: appending to a list and copying one are
    each a single step of the interpreter, so that no lock is needed.
    """

    def __init__(self) -> None:
        self._lines: list[Received] = []
        self._only_counted: Counter[str] = Counter()

    def write(self, received: Received) -> None:
        """Append one line."""
        self._lines.append(received)

    def count(self, place: str) -> None:
        """Note that `place` accepted something, and nothing else of it."""
        self._only_counted[place] += 1

    def __len__(self) -> int:
        return len(self._lines)

    def seen(self, place: str = "", *, after: int = 0) -> list[Received]:
        """What reached `place` or a place below it ("" for everywhere), from line number `after` on."""
        name = place.strip("/")
        lines = self._lines[after:]
        if not name:
            return lines
        below = name + "/"
        return [line for line in lines if line.place == name or line.place.startswith(below)]

    def counts(self) -> dict[str, Count]:
        """How many each place took and refused."""
        tally = Counter((line.place, line.accepted) for line in self.seen())
        only_counted = self._only_counted.copy()
        places = sorted({place for place, _ in tally} | set(only_counted))
        return {place: Count(tally[place, True] + only_counted[place], tally[place, False]) for place in places}


def accepted_ids(lines: Iterable[Received]) -> Counter[str]:
    """How often each idempotency id was accepted; things that bore none are left out."""
    return Counter(line.idempotency_id for line in lines if line.accepted and line.idempotency_id)


def duplicates(lines: Iterable[Received]) -> dict[str, int]:
    """The idempotency ids that were accepted more than once, and how often.

    The same message may rightly reach several places: an id of Belfry's names one delivery to one
    channel, so that a second acceptance anywhere is a duplicate.
    """
    return {name: times for name, times in accepted_ids(lines).items() if times > 1}
