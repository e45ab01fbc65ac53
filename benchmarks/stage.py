"""Where a benchmark plays: engines with fsync on in a temporary folder, a sink, and workers as it asks for them."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from benchmarks.sink import Sink
from project import env
from project.embedded.process import Process, wait_until
from project.embedded.supervisor import ROOT, Supervisor
from project.roles import Place, command_line

#: What differs from a Belfry that faces the internet: the far end is on loopback.
SETTINGS = {env.ALLOWED_NETWORKS.name: "127.0.0.0/8"}

_START_WITHIN_S, _STOP_WITHIN_S = 60.0, 40.0


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Stage:
    """A Belfry of its own on loopback, gone without a trace at the end; as a context manager.

    `processes` are the roles that the supervisor runs all the time; `worker` starts others for a while.
    """

    def __init__(self, processes: Sequence[str] = (), extra_env: Mapping[str, str] | None = None) -> None:
        self._stack = ExitStack()
        self._processes = processes
        self._extra = {**SETTINGS, **(extra_env or {})}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="belfry-bench-")))
            self.sink = stack.enter_context(Sink())
            self.belfry = stack.enter_context(
                Supervisor(
                    home=self.folder / "home", processes=self._processes, extra_env=self._extra, own_engines=True
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pid(self, name: str) -> int:
        """The root of the process tree of a role or an engine."""
        return self.belfry.process(name).pid

    @contextmanager
    def deliver_workers(self, count: int) -> Iterator[list[int]]:
        """So many processes of the role `worker-deliver`, as production runs it. Gives their pids."""
        *command, _ = command_line("worker-deliver", Place("127.0.0.1", 0, self.folder))
        with ExitStack() as stack:
            yield [
                stack.enter_context(self.process(f"deliver-{number}", [*command, f"deliver-{number}@%h"], ready=True))
                for number in range(count)
            ]

    @contextmanager
    def process(
        self, name: str, command: Sequence[str], *, extra_env: Mapping[str, str] | None = None, ready: bool = False
    ) -> Iterator[int]:
        """Another process with Belfry's environment. `ready`: it makes its ready file, which is waited for."""
        ready_file = self.folder / f"{name}.ready"
        ready_file.unlink(missing_ok=True)
        environment = {**self.belfry.env, **(extra_env or {}), env.READY_FILE.name: str(ready_file)}
        log = self.folder / f"{name}.log"
        process = Process(name=name, command=command, environment=environment, log=log, folder=ROOT)
        process.start()
        try:
            if ready:
                wait_until(process, ready_file.exists, within_s=_START_WITHIN_S)
            yield process.pid
        finally:
            process.stop(within_s=_STOP_WITHIN_S)
