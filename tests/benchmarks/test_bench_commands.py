"""The commands, with as little as they take: what they print, and that it is plausible. No figure is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.main import BENCHMARKS, table

ROOT = Path(__file__).resolve().parents[2]

DELIVER = {
    "deliveries", "per_s", "plain_per_s", "bare_per_s", "ratio_to_plain", "share_of_bare", "sql_per_delivery",
    "tail_per_s", "tail_plain_per_s", "tail_ratio", "per_s_1000_channels", "per_s_1kb", "per_s_20kb", "per_s_50ms",
    "cpu_us_worker", "cpu_us_postgres", "cpu_us_sink",
}  # fmt: skip


def bench(*arguments: str, within_s: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "manage.py"), "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=within_s)


def figures(*arguments: str, within_s: float = 300) -> dict[str, Any]:
    """The object on the last line, all of whose values are numbers above zero unless they may be otherwise."""
    answer = bench(*arguments, "--json", within_s=within_s)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    may_be_zero = {"change", *(name for name in found if name.startswith("cpu_us_"))}
    assert all(value > 0 for name, value in found.items() if name not in may_be_zero)
    return found


def test_the_readme_lists_every_benchmark_with_its_usual_size() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    for name, benchmark in BENCHMARKS.items():
        assert f"| `{name}` | {benchmark.counts} | {benchmark.size:,} |" in readme


def test_every_benchmark_is_a_module_that_is_there() -> None:
    assert [name for name in BENCHMARKS if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


def test_a_benchmark_that_does_not_exist_is_refused_with_those_that_do() -> None:
    answer = bench("haste")
    assert answer.returncode == 2
    assert "isolation" in answer.stderr


def test_sweep() -> None:
    found = figures("sweep", "2000")
    assert {"idle_ms", "rows"} <= found.keys()
    assert found["rows"] == 2000


def test_without_json_a_table_is_printed() -> None:
    assert table({"rows": 5_000_000, "idle_ms": 4.02}) == "rows        5,000,000\nidle_ms          4.02"


@pytest.mark.slow
def test_deliver() -> None:
    try:
        found = figures("deliver", "1000", "--runs", "1", within_s=200)
    except subprocess.TimeoutExpired:
        # The plain way that runs beside ours has stood still once, for a reason that is not known.
        found = figures("deliver", "1000", "--runs", "1")
    assert found.keys() >= DELIVER
    assert found["deliveries"] == 1000
    assert found["sql_per_delivery"] < 1
    assert found["ratio_to_plain"] > 1


@pytest.mark.slow
def test_intake() -> None:
    found = figures("intake", "3")
    assert {"single_p95_s", "bulk_per_item_s", "per_s", "drf_orm_per_s", "ratio"} <= found.keys()
    assert found["single_p50_s"] <= found["single_p95_s"] <= found["single_p99_s"]


@pytest.mark.slow
def test_latency() -> None:
    found = figures("latency", "2")
    assert {"rate", "p50_s", "p95_s", "p99_s"} <= found.keys()
    assert found["rate"] == 200
    assert found["p50_s"] <= found["p95_s"] <= found["p99_s"]


@pytest.mark.slow
def test_isolation() -> None:
    found = figures("isolation", "3", "--runs", "1")
    assert {"p95_s", "p95_with_hanging_s", "change"} <= found.keys()


@pytest.mark.slow
def test_memory() -> None:
    found = figures("memory", "4000")
    assert {"start_mb", "end_mb", "deliveries"} <= found.keys()
    assert found["deliveries"] == 4000
    assert max(found["fresh_mb"], found["start_mb"], found["end_mb"]) <= found["highest_mb"]
