"""Accepting over HTTP: latency at 200 a second, bulk, and the peak beside DRF serializer and ORM (`plain_intake`).

Both under granian with the same settings, both durable when they answer: Postgres has `fsync` on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks import load, preload
from benchmarks.load import Target
from benchmarks.measure import cpu_s, percentile
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from notifications.models import Notification
from project.embedded.home import free_port
from project.roles import Place, command_line

RATE_PER_S = 200
_CLIENTS = 32
_BULK, _BULKS = 1000, 20
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Peak:
    """What was accepted a second, and CPU microseconds for each."""

    per_s: float
    web_us: float
    postgres_us: float


def run(stage: Stage, options: Options) -> Figures:
    """`single_p95_s, bulk_per_item_s, per_s, drf_orm_per_s, ratio` and CPU microseconds a notification."""
    api_key = preload.api_key()
    target = Target(f"{stage.belfry.url}/api/v1/notifications", api_key)
    load.by_clients(target, 4, 2)
    waits = load.at_rate(target, RATE_PER_S, options.size)
    say(f"{RATE_PER_S} a second: p50 {median(waits):.4f} s, p95 {percentile(waits, 0.95):.4f} s")
    bulk = load.by_clients(Target(f"{target.url}/bulk", api_key), 1, _BULKS * 0.1, make=lambda: load.bulk(_BULK))
    say(f"bulk of {_BULK}: {median(bulk):.4f} s")
    with _plain_web(stage) as (plain_url, plain_pid):
        plain = Target(f"{plain_url}/plain/notifications", api_key)
        load.by_clients(plain, 4, 2)
        seconds = options.size / 3
        rounds = [
            (
                _peak(stage, "plain", plain, plain_pid, seconds),
                _peak(stage, "belfry", target, stage.pid("web"), seconds),
            )
            for _ in range(_ROUNDS)
        ]
    plain_rounds, belfry_rounds = zip(*rounds, strict=True)
    return {
        "single_p50_s": round(median(waits), 5),
        "single_p95_s": round(percentile(waits, 0.95), 5),
        "single_p99_s": round(percentile(waits, 0.99), 5),
        "bulk_per_item_s": round(median(bulk) / _BULK, 7),
        "per_s": round(median(each.per_s for each in belfry_rounds)),
        "drf_orm_per_s": round(median(each.per_s for each in plain_rounds)),
        "ratio": round(median(ours.per_s / theirs.per_s for theirs, ours in rounds), 2),
        "cpu_us_web": round(median(each.web_us for each in belfry_rounds)),
        "cpu_us_postgres": round(median(each.postgres_us for each in belfry_rounds)),
        "cpu_us_drf_orm_web": round(median(each.web_us for each in plain_rounds)),
        "cpu_us_drf_orm_postgres": round(median(each.postgres_us for each in plain_rounds)),
        "clients": _CLIENTS,
    }


def _peak(stage: Stage, name: str, target: Target, web: int, seconds: float) -> Peak:
    before = Notification.objects.count()
    web_then, postgres_then = cpu_s(web), cpu_s(stage.pid("postgres"))
    answered = len(load.by_clients(target, _CLIENTS, seconds))
    web_us = (cpu_s(web) - web_then) / answered * 1e6
    postgres_us = (cpu_s(stage.pid("postgres")) - postgres_then) / answered * 1e6
    stored = Notification.objects.count() - before
    assert stored == answered, f"{answered} were accepted, {stored} are there"
    say(f"{name:<7} {answered / seconds:.0f}/s, CPU us each: web {web_us:.0f}, postgres {postgres_us:.0f}")
    return Peak(answered / seconds, web_us, postgres_us)


@contextmanager
def _plain_web(stage: Stage) -> Iterator[tuple[str, int]]:
    """The plain counterpart's web server: its address and pid."""
    place = Place("127.0.0.1", free_port(), stage.folder)
    url = f"http://127.0.0.1:{place.port}"
    environment = {"DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings"}
    with stage.process("plain-web", command_line("web", place), extra_env=environment) as pid:
        load.wait_for(f"{url}/plain/notifications")
        yield url, pid
