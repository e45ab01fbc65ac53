"""The recorded evening: `evening.jsonl`, one notification a line, in the order in which they were told.

| key | what it is |
|---|---|
| `at` | seconds since the evening began (18:30 UTC) |
| `key` | names the line; a line that comes twice with the same key is one notification |
| `event_type`, `data`, `streamer`, `priority`, `title`, `body` | as the API takes them; the last four may be missing |
| `scheduled_after`, `expires_after`, `withdraw_after` | seconds after `at`; 0: at that very moment |

All channels and programmes in it are made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

EVENING = Path(__file__).with_name("evening.jsonl")
#: A recorder tells what happened within so many seconds of the evening in one request.
TELLING_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the recording; all times in seconds."""

    at: float
    key: str
    event_type: str
    data: dict[str, Any]
    streamer: str = ""
    priority: str = ""
    title: str = ""
    body: str = ""
    scheduled_after: float | None = None
    expires_after: float | None = None
    withdraw_after: float | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """Lines that are told in one request, when the last of them has happened."""

    lines: Sequence[Line] = field(default_factory=tuple)

    @property
    def at(self) -> float:
        """When it is told, in seconds since the evening began."""
        return self.lines[-1].at


def read(path: Path = EVENING) -> list[Line]:
    """The lines of a recording. Raises `TypeError` for a key that means nothing."""
    with path.open(encoding="utf-8") as file:
        return [Line(**json.loads(text)) for text in file]


def tellings(lines: Iterable[Line]) -> Iterator[Telling]:
    """The lines gathered into requests: those of one minute together, but a repeated line alone."""
    told: set[str] = set()
    for _, minute in groupby(lines, key=lambda line: line.at // TELLING_S):
        fresh: list[Line] = []
        again: list[Line] = []
        for line in minute:
            (again if line.key in told else fresh).append(line)
            told.add(line.key)
        if fresh:
            yield Telling(tuple(fresh))
        yield from (Telling((line,)) for line in again)
