"""Deliveries a second: Belfry, the plain way (`plain_task`), and the same pump without Celery (`bare`).

All wait in the database, pending, before the clock starts; they are done when they stand there as
delivered, each with its attempt. The ways take turns, round by round, and the figures are medians.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks import preload, statements
from benchmarks.measure import TICK_S, Progress, watch
from benchmarks.options import Figures, Options
from benchmarks.plain import app as plain_app
from benchmarks.stage import Stage, say
from channels_app.models import Channel
from notifications.models import Delivery
from notifications.wake import publish
from project.embedded.supervisor import ROOT

#: A body as notifications usually have it.
USUAL_BYTES = 500
#: Plain deliveries for one of ours: it takes its time.
_PLAIN_SHARE = 20
_TAIL_TIMES = 3
_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Load:
    """So many deliveries, over these channels."""

    deliveries: int
    channels: Sequence[Channel]


def run(stage: Stage, options: Options) -> Figures:
    """Measure everything that `README.md` lists under `deliver`."""
    bench = _Bench(stage, options.workers)
    count = options.size
    preload.notifications(count, body_bytes=USUAL_BYTES)
    usual = Load(count, preload.channels(20, stage.sink, "now", key="usual"))
    figures = bench.compare(usual, options.runs)
    many = preload.channels(1000, stage.sink, "now", key="many")
    figures["per_s_1000_channels"] = round(bench.belfry(Load(count, many)).per_s)
    late = preload.channels(100, stage.sink, "ms/50", key="late")
    figures["per_s_50ms"] = round(bench.belfry(Load(count, late)).per_s)
    # Enough of them that the slow ones have come to their number in flight.
    figures |= bench.compare_tail(Load(count * _TAIL_TIMES, preload.channels(100, stage.sink, "tail", key="tail")))
    figures["sql_per_delivery"] = round(bench.statements(usual), 4)
    for name, body_bytes in {"1kb": 1000, "20kb": 20_000}.items():
        fewer = count if body_bytes < 5000 else count // 4
        preload.forget_all()
        preload.notifications(fewer, body_bytes=body_bytes)
        figures[f"per_s_{name}"] = round(bench.belfry(Load(fewer, usual.channels)).per_s)
    return figures


class _Bench:
    def __init__(self, stage: Stage, workers: int) -> None:
        self._stage, self._workers = stage, workers

    def compare(self, load: Load, runs: int) -> Figures:
        plain, belfry, bare = [], [], []
        for number in range(runs):
            plain.append(self.plain(self._fewer(load), threads=0))
            belfry.append(self.belfry(load))
            bare.append(self.bare(load))
            say(f"round {number + 1} of {runs} done")
        per_s = median(each.per_s for each in belfry)
        plain_per_s = median(each.steady_per_s for each in plain)
        bare_per_s = median(each.per_s for each in bare)
        cpu = {
            f"cpu_us_{prefix}{name}": round(median(each.cpu_us[name] for each in way), 1)
            for prefix, way in (("", belfry), ("bare_", bare), ("plain_", plain))
            for name in way[0].cpu_us
        }
        return {
            "deliveries": load.deliveries,
            "per_s": round(per_s),
            "plain_per_s": round(plain_per_s),
            "bare_per_s": round(bare_per_s),
            "ratio_to_plain": round(median(a.per_s / b.steady_per_s for a, b in zip(belfry, plain, strict=True)), 1),
            "share_of_bare": round(median(a.per_s / b.per_s for a, b in zip(belfry, bare, strict=True)), 3),
            "ratio_of_cpu": round(_cpu_us(plain) / max(_cpu_us(belfry), TICK_S / load.deliveries * 1e6), 1),
            "steady_per_s": round(median(each.steady_per_s for each in belfry)),
            "workers": self._workers,
            **cpu,
        }

    def compare_tail(self, load: Load) -> Figures:
        plain = self.plain(self._fewer(load), threads=100)
        belfry = self.belfry(load)
        # Both steady: at the end of either there is a wait of three seconds for the last slow answer.
        return {
            "tail_per_s": round(belfry.steady_per_s),
            "tail_plain_per_s": round(plain.steady_per_s),
            "tail_ratio": round(belfry.steady_per_s / plain.steady_per_s, 1),
        }

    def belfry(self, load: Load) -> Progress:
        """Workers as production runs them, woken as routing wakes them."""
        with self._stage.deliver_workers(self._workers) as pids:
            return self._measure("belfry", load, pids, begin=lambda: _wake(self._workers))

    def statements(self, load: Load) -> float:
        """SQL statements a delivery, counted by Postgres in a run of its own: writing them down costs time."""
        with self._stage.deliver_workers(self._workers) as pids:
            preload.deliveries(load.deliveries, load.channels)
            with statements.counted(self._stage) as counted:
                _wake(self._workers)
                watch(preload.attempts_so_far, total=load.deliveries, processes={"worker": pids}, within_s=_WITHIN_S)
        return counted.total / load.deliveries

    def bare(self, load: Load) -> Progress:
        with ExitStack() as stack:
            processes = [stack.enter_context(_bare_process()) for _ in range(self._workers)]

            def begin() -> None:
                for process in processes:
                    _tell(process)

            return self._measure("bare", load, [process.pid for process in processes], begin=begin)

    def plain(self, load: Load, *, threads: int) -> Progress:
        """The messages wait in the broker before the worker starts."""
        preload.deliveries(load.deliveries, load.channels)
        plain_app.control.purge()
        for pk in Delivery.objects.order_by("id").values_list("id", flat=True):
            plain_app.send_task("plain.deliver", (pk,))
        pool = ["-P", "threads", "-c", str(threads)] if threads else ["-P", "prefork", "-c", "2"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.plain", "-q", "worker", *pool, *quiet]
        environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings"}
        with self._stage.process("plain", command, extra_env=environment, ready=True) as pid:
            return self._follow("plain", load, [pid])

    @staticmethod
    def _fewer(load: Load) -> Load:
        return Load(max(200, load.deliveries // _PLAIN_SHARE), load.channels)

    def _measure(self, name: str, load: Load, pids: Sequence[int], *, begin: Callable[[], None]) -> Progress:
        preload.deliveries(load.deliveries, load.channels)
        begin()
        return self._follow(name, load, pids)

    def _follow(self, name: str, load: Load, pids: Sequence[int]) -> Progress:
        stage, before = self._stage, self._stage.sink.total()
        processes = {
            "worker": pids,
            "postgres": [stage.pid("postgres")],
            "valkey": [stage.pid("valkey")],
            "sink": [stage.sink.pid],
        }
        progress = watch(preload.attempts_so_far, total=load.deliveries, processes=processes, within_s=_WITHIN_S)
        preload.check_all_delivered(load.deliveries)
        cpu = ", ".join(f"{part} {us:.1f}" for part, us in progress.cpu_us.items())
        say(
            f"{name:<7} {load.deliveries} over {len(load.channels)} channels: {progress.per_s:.0f}/s, "
            f"steady {progress.steady_per_s:.0f}/s, CPU us each: {cpu}; sink took {stage.sink.total() - before}"
        )
        return progress


def _cpu_us(way: Sequence[Progress]) -> float:
    """CPU microseconds a delivery of all processes together."""
    return median(sum(each.cpu_us.values()) for each in way)


def _wake(times: int) -> None:
    """As under load, where wake-ups keep coming: one may find its worker busy already."""
    for _ in range(times * 4):
        publish(preload.LANE)


@contextmanager
def _bare_process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.bare", preload.LANE]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield process
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
