"""Chance that can be repeated: every place draws from a source of its own."""

from __future__ import annotations

from random import Random


def chance(seed: int, place: str) -> Random:
    """The source of draws of one place. Others do not disturb it, whatever the order of arrival."""
    return Random(f"{seed}:{place}")
