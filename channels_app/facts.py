"""Key facts: what of a notification's data a person wants to see beside title and body.

Names and values come out readable (`file_size_bytes: 1932735283` is "File size: 1.8 GiB"), each on one
line; what title and body already say, what is empty and what is nested is left out. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from channels_app.base import Message
from channels_app.plain_text import one_line, shortened

MAX_NAME_CHARS = 40
MAX_VALUE_CHARS = 120

#: Told elsewhere: every transport shows the streamer and the time in a place of their own.
_TOLD_ELSEWHERE = frozenset({"streamer_id", "streamer_name", "timestamp"})
#: No count of anything; nor is what is not a number.
_TOO_LARGE = 2**63
_BYTE_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


class Fact(NamedTuple):
    """Both are single lines and not empty."""

    name: str
    value: str


def facts_of(message: Message, *, at_most: int) -> list[Fact]:
    """The first `at_most` facts: streamer and platform, then the data in the producer's order, ids last."""
    told = f"{message.title}\n{message.body}"
    candidates = [("streamer", message.streamer_name), ("platform", message.platform), *_of_data(message)]
    facts: dict[str, str] = {}
    for name, value in candidates:
        shown = _fact(name, value)
        if shown and shown.name not in facts and shown.value not in told:
            facts[shown.name] = shown.value
        if len(facts) == at_most:
            break
    return [Fact(name, value) for name, value in facts.items()]


def _of_data(message: Message) -> Iterator[tuple[str, Any]]:
    try:
        told = [(name, value) for name, value in message.data.items() if name not in _TOLD_ELSEWHERE]
    except RecursionError:  # Text of JSON that nests too deeply is only noticed when it is read.
        return
    yield from (pair for pair in told if not pair[0].endswith("_id"))
    yield from (pair for pair in told if pair[0].endswith("_id"))


def _fact(name: str, value: Any) -> Fact | None:
    name, text = _readable(name, value)
    label = one_line(name.replace("_", " "))
    line = one_line(text)
    if not label or not line:
        return None
    return Fact(shortened(label[0].upper() + label[1:], MAX_NAME_CHARS), shortened(line, MAX_VALUE_CHARS))


def _readable(name: str, value: Any) -> tuple[str, str]:
    """The name without its unit and the value with it; no value for what is not one."""
    if isinstance(value, bool):
        return name, "yes" if value else "no"
    if isinstance(value, str):
        return name, value
    if not isinstance(value, int | float) or not abs(value) < _TOO_LARGE:
        return name, ""
    for ending, with_unit in _UNITS.items():
        if name.endswith(ending):
            return name.removesuffix(ending), with_unit(value)
    return name, str(value) if isinstance(value, int) else f"{value:g}"


def size(count: float) -> str:
    """`count` bytes for people: `512 bytes`, `1.8 GiB`."""
    unit = 0
    while abs(count) >= 1024 and unit < len(_BYTE_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.1f} {_BYTE_UNITS[unit]}" if unit else f"{count:g} {_BYTE_UNITS[0]}"


def duration(seconds: float) -> str:
    """`seconds` for people, in its two largest units: `2 h 11 min`, `3 d 4 h`, `12.5 s`."""
    if abs(seconds) < 60:
        return f"{seconds:g} s"
    sign, whole = "-" if seconds < 0 else "", round(abs(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    first = next(place for place, (count, _) in enumerate(units) if count)
    return sign + " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count)


#: Endings of names that say what their numbers count.
_UNITS = {"_bytes": size, "_secs": duration, "_seconds": duration}
