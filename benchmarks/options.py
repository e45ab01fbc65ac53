"""What a benchmark is asked for."""

from __future__ import annotations

from dataclasses import dataclass

#: Name of a figure to its value, as it is printed.
Figures = dict[str, float | int | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`size` is the number that the benchmark counts by (deliveries, rows, seconds)."""

    size: int
    runs: int
    workers: int
