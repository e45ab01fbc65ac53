"""The processes of Belfry and their command lines, the same under the supervisor and in containers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from project.queues import QUEUES_OF_WORKER

#: Tasks at once. A drain is one task that keeps hundreds of requests going; a lane has at most two: one
#: that claims, and one whose last requests are still under way.
_THREADS_OF_WORKER = {"worker-deliver": 16, "worker-control": 4}
_WEB_THREADS = 24
#: The module of the Celery app, where nobody names another.
APP = "project.celery"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process listens (web at `port`), the folder for what it writes, and the module of its Celery app."""

    host: str
    port: int
    folder: Path
    app: str = APP
    live_port: int = 0


def _web(place: Place) -> list[str]:
    where = ["--host", place.host, "--port", str(place.port)]
    size = ["--workers", "1", "--blocking-threads", str(_WEB_THREADS), "--respawn-failed-workers"]
    return ["granian", "--interface", "wsgi", *where, *size, "--log-level", "warning", "project.wsgi:application"]


def _live(place: Place) -> list[str]:
    return ["manage", "live", "--host", place.host, "--port", str(place.live_port)]


def _worker(name: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        size = ["-P", "threads", "-c", str(_THREADS_OF_WORKER[name]), "-Q", ",".join(QUEUES_OF_WORKER[name])]
        quiet = ["--without-gossip", "--without-mingle", "-l", "WARNING"]
        return ["celery", "-A", place.app, "-q", "worker", *size, *quiet, "-n", f"{name}@%h"]

    return command


def _beat(place: Place) -> list[str]:
    sign_of_life = str(place.folder / "beat-alive")
    return ["celery", "-A", place.app, "-q", "beat", "-l", "WARNING", "-s", sign_of_life]


_MODULES: dict[str, Callable[[Place], list[str]]] = {
    "web": _web,
    "rt": _live,
    "worker-deliver": _worker("worker-deliver"),
    "worker-control": _worker("worker-control"),
    "beat": _beat,
}

#: All of them, in the order of starting.
ROLES = tuple(_MODULES)
#: What notifications need on their way to channels.
DELIVERING = tuple(role for role in ROLES if role != "rt")
#: In the order of stopping: first nothing new comes in, then nobody asks for work, then the work ends.
STOP_ORDER = (("web", "rt"), ("beat",), ("worker-control", "worker-deliver"))
#: Those that make their ready file (`BELFRY_READY_FILE`); the others are asked.
SAY_READY = frozenset({*QUEUES_OF_WORKER, "rt"})


def command_line(role: str, place: Place) -> list[str]:
    """The program and its arguments. Raises `KeyError` for a role that does not exist."""
    return [sys.executable, "-m", *_MODULES[role](place)]
