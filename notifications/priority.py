"""How urgent a notification is: 0 to 10, Gotify's scale, with words for the steps that people use.

Two vocabularies are in use around recorders and bots (debug, info, high and low, normal, high,
critical); both are accepted, and so is every integer of the scale. Pure.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType

LOWEST, HIGHEST = 0, 10


class Priority(IntEnum):
    """The four steps that have a name."""

    LOW = 2
    NORMAL = 5
    HIGH = 8
    CRITICAL = 10


#: Word → number, in any letter case.
WORDS = MappingProxyType(
    {
        "debug": Priority.LOW,
        "low": Priority.LOW,
        "info": Priority.NORMAL,
        "normal": Priority.NORMAL,
        "high": Priority.HIGH,
        "critical": Priority.CRITICAL,
    }
)


class NotAPriority(ValueError):
    """The value is neither a word of the vocabularies nor an integer of the scale."""

    def __init__(self) -> None:
        super().__init__(f"Use one of {', '.join(WORDS)}, or an integer from {LOWEST} to {HIGHEST}.")


def parse(value: object) -> int:
    """The number of a word or of an integer of the scale. Raises `NotAPriority`."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in WORDS:
            return int(WORDS[word])
        # Python refuses to read numbers of thousands of digits, with an error of another kind.
        value = int(word) if word.isdecimal() and len(word) < 10 else None
    if isinstance(value, bool) or not isinstance(value, int) or not LOWEST <= value <= HIGHEST:
        raise NotAPriority
    return value


def label(priority: int) -> str:
    """The word for a number: 0-3 low, 4-6 normal, 7-9 high, 10 critical."""
    if priority <= 3:
        return "low"
    if priority <= 6:
        return "normal"
    return "high" if priority < Priority.CRITICAL else "critical"


def lane_class(priority: int) -> str:
    """The class of lane that a priority travels in: high, normal or low."""
    return "high" if priority >= 7 else "normal" if priority >= 4 else "low"
