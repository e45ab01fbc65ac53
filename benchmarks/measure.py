"""What a run is measured by: CPU and memory of process trees, progress in the database, medians and percentiles."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: What the kernel counts CPU time in: less than this looks like nothing.
TICK_S = 1 / _TICKS_PER_S
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


class DidNotFinish(Exception):
    """The work was not done in the time it was given; the message says how far it came."""


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of a process and its descendants, including those that have ended."""
    return sum(sum(map(int, stat[11:15])) for stat in map(_stat, tree(pid))) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its descendants, in MB."""
    return sum(int(stat[21]) for stat in map(_stat, tree(pid)) if stat) * _PAGE_MB


def highest_rss_mb(pid: int) -> float:
    """The most resident memory that a process ever had, in MB. Its descendants do not count."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def tree(pid: int) -> list[int]:
    """The process and its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, open_ = [], [pid]
    while open_:
        found.append(open_.pop())
        open_ += children.get(found[-1], [])
    return [each for each in found if _stat(each)]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name, from the state on; empty when it is gone."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a piece of work went: seconds from its start, and CPU microseconds an item in its middle."""

    items: int
    seconds: float
    #: Items a second between 10 % and 95 %.
    steady_per_s: float
    cpu_us: Mapping[str, float]

    @property
    def per_s(self) -> float:
        return self.items / self.seconds


def watch(done: Callable[[], int], *, total: int, processes: Mapping[str, Sequence[int]], within_s: float) -> Progress:
    """Follow work until `done()` says `total`. `processes`: roots of process trees by name.

    Raises `DidNotFinish` after `within_s`.
    """
    began = time.perf_counter()
    marks = [int(total * 0.1), int(total * 0.95)]
    # Asking costs CPU that those who are measured would like to have: some hundred times are enough.
    pause_s = 0.01
    passed: list[tuple[float, int, dict[str, float]]] = []
    while True:
        count, now = done(), time.perf_counter()
        if marks and count >= marks[0]:
            while marks and count >= marks[0]:
                marks.pop(0)
            cpu = {name: sum(cpu_s(pid) for pid in pids) for name, pids in processes.items()}
            passed.append((now, count, cpu))
        if count >= total:
            break
        if now - began > within_s:
            raise DidNotFinish(f"{count} of {total} were done after {within_s:.0f} s")
        time.sleep(pause_s)
        pause_s = min(0.1, max(0.01, (now - began) / 50))
    (first_at, first, cpu_then), (last_at, last, cpu_now) = passed[0], passed[-1]
    between = max(1, last - first)
    return Progress(
        items=total,
        seconds=now - began,
        steady_per_s=between / (last_at - first_at) if last_at > first_at else total / (now - began),
        cpu_us={name: (cpu_now[name] - cpu_then[name]) / between * 1e6 for name in processes},
    )
