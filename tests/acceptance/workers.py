"""Real Celery workers, processes of their own, on the tests' database: to be killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from project import env
from project.embedded.process import Process, wait_until
from project.queues import QUEUES
from project.roles import Place, command_line
from tests.notifications.scene import in_background, sweep

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """Starts workers that do everything, with short leases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._running: list[Process] = []

    def start(self) -> Process:
        """A worker that is ready. Its `kill` is SIGKILL, its `stop` the soft shutdown."""
        name = f"worker-{next(self._numbers)}"
        ready = self._folder / f"{name}.ready"
        command = command_line("worker-deliver", Place("127.0.0.1", 0, self._folder))
        command[command.index("-Q") + 1] = ",".join(QUEUES)
        command[command.index("-n") + 1] = f"{name}@%h"
        worker = Process(
            name=name,
            command=command,
            environment=env.inherited({**_settings(), env.READY_FILE.name: str(ready)}),
            log=self._folder / f"{name}.log",
            folder=ROOT,
        )
        self._running.append(worker)
        worker.start()
        wait_until(worker, ready.exists, within_s=30)
        return worker

    def stop(self) -> None:
        for worker in self._running:
            worker.kill()

    def words(self) -> str:
        """What they have logged."""
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("*.log")))


@contextmanager
def sweeping(every_s: float = 1.0) -> Iterator[None]:
    """Beat: a sweep each second, from a thread of this process."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(every_s):
            sweep()

    thread = in_background(beat)
    try:
        yield
    finally:
        over.set()
        thread.join()


def _settings() -> dict[str, str]:
    url = urlsplit(env.DATABASE_URL.read())
    return {
        env.DATABASE_URL.name: urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        env.ALLOWED_NETWORKS.name: "127.0.0.0/8",
        env.LEASE_S.name: "2",
        env.SHUTDOWN_GRACE_S.name: "5",
    }
