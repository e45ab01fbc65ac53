"""Live connections: what an idle one weighs, how long a change takes to it, and how fast all of them come back."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from django.db import transaction

from benchmarks.measure import DidNotFinish, percentile, rss_mb
from benchmarks.options import Figures, Options
from benchmarks.stage import Stage, say
from channels_app.feed.item import NewItem
from channels_app.feed.writing import publish
from channels_app.live import tickets
from project.embedded.home import free_port
from project.embedded.supervisor import ROOT
from project.roles import Place, command_line

HOST = "127.0.0.1"
#: Tickets are made before the clock starts, so they have to last.
SETTINGS = {"BELFRY_LIVE_TICKET_S": "900"}
#: Changes a second, in transactions of so many, and for how long; the first seconds do not count.
_PER_S, _AT_ONCE, _SECONDS, _WARM_S = 1_000, 20, 12.0, 2.0
_WARM_CONNECTIONS, _SETTLE_S = 200, 3.0
_IN_TURN, _ALL_AT_ONCE = 200, 1_000_000
_WITHIN_S = 60.0


class _Clients:
    """The process of `benchmarks.audience`, at one live process."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, transport: str, folder: Path) -> None:
        self._process, self._port, self._transport, self._folder = process, port, transport, folder

    def open(self, recipients: Sequence[str], *, at_once: int, resume: bool = False) -> float:
        """Connect all. Seconds until the last one had caught up."""
        file = self._folder / "tickets"
        now = datetime.now(UTC)
        file.write_text("\n".join(tickets.issue(recipient, now=now) for recipient in recipients))
        order = {"transport": self._transport, "tickets": str(file), "at_once": at_once, "resume": resume}
        done = self._ask(do="open", url=[HOST, self._port], **order)
        say(f"{len(recipients)} {self._transport} connections in {done['seconds']:.1f} s, {done['refused']} came twice")
        return float(done["seconds"])

    def close(self) -> None:
        self._ask(do="close")

    def arrivals(self, count: int) -> list[tuple[str, float]]:
        """The title and the time of each change, as soon as so many have come."""
        give_up_at = time.monotonic() + _WITHIN_S
        while (come := self._ask(do="arrivals")["count"]) < count:
            if time.monotonic() > give_up_at:
                raise DidNotFinish(f"{come} of {count} changes arrived within {_WITHIN_S:.0f} s")
            time.sleep(0.1)
        file = self._folder / "arrivals"
        self._ask(do="arrivals", file=str(file))
        arrived = msgspec.json.decode(file.read_bytes(), type=list[tuple[str, float]])
        if len(arrived) > count:
            raise DidNotFinish("changes came twice")
        return arrived

    def _ask(self, **order: Any) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise DidNotFinish("the clients ended")
        return msgspec.json.decode(line, type=dict[str, float])


def run(stage: Stage, options: Options) -> Figures:
    """`size` connections of each transport, one after the other, each at a live process of its own."""
    sse, ws = (_of(stage, transport, options.size) for transport in ("sse", "ws"))
    worse = {key: max(sse[key], ws[key]) for key in ("p95_s", "storm_s")}
    apart = {f"{name}_{key}": of[key] for name, of in (("sse", sse), ("ws", ws)) for key in of if key != "kb"}
    return {"connections": options.size, "sse_kb": sse["kb"], "ws_kb": ws["kb"], **worse, **apart}


def _of(stage: Stage, transport: str, size: int) -> dict[str, float]:
    recipients = [f"{transport}-{number}" for number in range(size)]
    with _served(stage, transport) as (pid, clients):
        clients.open([f"warm-{transport}-{number}" for number in range(_WARM_CONNECTIONS)], at_once=_IN_TURN)
        clients.close()
        time.sleep(_SETTLE_S)
        before_mb = rss_mb(pid)
        clients.open(recipients, at_once=_IN_TURN)
        time.sleep(_SETTLE_S)
        kb = (rss_mb(pid) - before_mb) * 1024 / size
        say(f"{transport}: {before_mb:.1f} MB, and {kb:.1f} KB for each connection")
        delays = _delays(recipients, clients)
        clients.close()
        storm_s = _storm(recipients, clients)
    return {
        "kb": round(kb, 1),
        "p50_s": round(percentile(delays, 0.5), 4),
        "p95_s": round(percentile(delays, 0.95), 4),
        "p99_s": round(percentile(delays, 0.99), 4),
        "storm_s": round(storm_s, 2),
    }


def _delays(recipients: Sequence[str], clients: _Clients) -> list[float]:
    """Seconds from each change's commit to when its client has it."""
    who = itertools.cycle(random.sample(recipients, len(recipients)))
    committed: dict[str, float] = {}
    began = time.monotonic()
    for number in range(int(_SECONDS * _PER_S / _AT_ONCE)):
        time.sleep(max(0.0, began + number * _AT_ONCE / _PER_S - time.monotonic()))
        _tell({next(who): f"{number}-{place}" for place in range(_AT_ONCE)}, committed)
    took_s = time.monotonic() - began
    if took_s > 1.1 * _SECONDS:
        raise DidNotFinish(f"{len(committed)} changes took {took_s:.1f} s to be written: the machine is too busy")
    counted_from = min(committed.values()) + _WARM_S
    arrived = clients.arrivals(len(committed))
    return [at - committed[title] for title, at in arrived if committed[title] >= counted_from]


def _storm(recipients: Sequence[str], clients: _Clients) -> float:
    """Seconds until all are back that came at once and had missed a change each."""
    for start in range(0, len(recipients), 1_000):
        _tell(dict.fromkeys(recipients[start : start + 1_000], "missed"), {})
    seconds = clients.open(recipients, at_once=_ALL_AT_ONCE, resume=True)
    clients.arrivals(len(recipients))
    return seconds


def _tell(titles: dict[str, str], committed: dict[str, float]) -> None:
    """Write a change into each of these feeds, and note when it was committed."""
    items = [
        NewItem(recipient=who, event_type="bench.told", title=title, body="x" * 100) for who, title in titles.items()
    ]
    with transaction.atomic():
        # Before the feed's own, which tells the live processes.
        transaction.on_commit(lambda: committed.update(dict.fromkeys(titles.values(), time.time())))
        publish(items, now=datetime.now(UTC))


@contextmanager
def _served(stage: Stage, transport: str) -> Iterator[tuple[int, _Clients]]:
    """A live process, as its pid, and clients for it."""
    port = free_port(HOST)
    command = command_line("rt", Place(HOST, 0, stage.folder, live_port=port))
    with stage.process(f"rt-{transport}", command, extra_env=SETTINGS, ready=True) as pid:
        audience = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.audience"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with audience:
            try:
                yield pid, _Clients(audience, port, transport, stage.folder)
            finally:
                audience.kill()
