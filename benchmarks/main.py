"""`./belfry bench NAME`: runs one benchmark on a stage of its own and prints its figures.

The last line on standard output is one JSON object with `--json`, else a table; progress goes to
standard error.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import django

from benchmarks.measure import DidNotFinish
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage
from project import env
from project.embedded.process import StartFailed
from project.roles import DELIVERING


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A module of this package with `run(stage, options) -> Figures`, and what it needs."""

    about: str
    #: What `size` counts, and how many it is unless one says otherwise.
    counts: str
    size: int
    runs: int = 1
    #: The roles that run from beginning to end.
    processes: Sequence[str] = ()


BENCHMARKS = {
    "deliver": Benchmark(
        about="deliveries a second, beside the plain way and the bare pump", counts="deliveries", size=40_000, runs=3
    ),
    "intake": Benchmark(
        about="accepting over HTTP, beside DRF serializer and ORM", counts="seconds", size=15, processes=["web"]
    ),
    "latency": Benchmark(
        about="accept to first attempt at 200 notifications a second", counts="seconds", size=20, processes=DELIVERING
    ),
    "isolation": Benchmark(
        about="what one hanging channel of 100 does to the others",
        counts="seconds",
        size=30,
        runs=3,
        processes=DELIVERING,
    ),
    "memory": Benchmark(about="a worker's memory over many deliveries", counts="deliveries", size=1_000_000),
    "live": Benchmark(
        about="live connections: memory, commit to socket, coming back at once", counts="connections", size=5_000
    ),
    "sweep": Benchmark(about="an idle sweep over many finished deliveries", counts="rows", size=5_000_000),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `bench`."""
    lines = [f"{name} ({each.counts}, {each.size:,}): {each.about}" for name, each in BENCHMARKS.items()]
    parser.add_argument("name", choices=list(BENCHMARKS), metavar="NAME", help="; ".join(lines))
    parser.add_argument("size", type=int, nargs="?", help="how many of what it counts")
    parser.add_argument("--connections", type=int, help="the same, for live")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--runs", type=int, help="rounds; the figures are medians")
    parser.add_argument("--workers", type=int, default=2, help="processes that deliver (deliver)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="belfry bench", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        figures = _run(BENCHMARKS[options.name], options)
    except (DidNotFinish, StartFailed) as error:
        print(f"belfry bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(json.dumps(figures) if options.json else table(figures), flush=True)
    return 0


def _run(benchmark: Benchmark, options: argparse.Namespace) -> Figures:
    size = options.size or options.connections or benchmark.size
    wanted = Options(size=size, runs=options.runs or benchmark.runs, workers=options.workers)
    with Stage(benchmark.processes) as stage:
        # Before Django's settings are read: this process speaks to the engines of the stage.
        env.put({**stage.belfry.env, "DJANGO_SETTINGS_MODULE": "project.settings"})
        django.setup()
        # Imported only now, because it imports Django's models.
        run = import_module(f"benchmarks.{options.name}").run
        figures: Figures = run(stage, wanted)
        return figures


def table(figures: Figures) -> str:
    """Figures for people: one a line."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {value:>12,}" for name, value in figures.items())
