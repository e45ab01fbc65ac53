"""What runs are measured by."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import chain, repeat

import pytest

from benchmarks.measure import DidNotFinish, cpu_s, percentile, rss_mb, tree, watch

#: Starts a child that works for a while and ends, then says so and stays.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
print("done", flush=True)
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.95) == 96
    assert percentile([3.0], 0.99) == 3


def test_the_cpu_of_a_tree_counts_children_that_live_and_that_have_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "done\n"
        child = int(parent.stdout.readline())
        assert tree(parent.pid) == [parent.pid, child]
        assert cpu_s(parent.pid) >= 0.28
        assert rss_mb(parent.pid) > rss_mb(child) > 1
        parent.communicate("")
    assert tree(parent.pid) == []
    assert rss_mb(parent.pid) == 0


def test_progress_is_steady_in_its_middle() -> None:
    began = time.monotonic()
    progress = watch(lambda: min(1000, int((time.monotonic() - began) * 2000)), total=1000, processes={}, within_s=10)
    assert progress.items == 1000
    assert 0.4 < progress.seconds < 5
    assert progress.steady_per_s == pytest.approx(2000, rel=0.3)


def test_work_that_is_done_at_once_has_a_rate_too() -> None:
    counts = chain([0], repeat(50))
    assert watch(lambda: next(counts), total=50, processes={}, within_s=10).steady_per_s > 0


def test_work_that_does_not_end_is_given_up() -> None:
    with pytest.raises(DidNotFinish, match="7 of 10"):
        watch(lambda: 7, total=10, processes={}, within_s=0.05)
