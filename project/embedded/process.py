"""One process of ours: started on a leash, with its output in a file, stopped in order or killed."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

_LEASH = Path(__file__).with_name("leash.py")
_POLL_S = 0.01

_Job = Callable[[], subprocess.Popen[bytes]]
_Check = Callable[[], bool]


class StartFailed(Exception):
    """A process did not come up. The message says which, and ends with the last lines of its log."""


@dataclass(slots=True, kw_only=True)
class Process:
    """A child process in a session of its own.

    `command` begins with a program's path. `stop_signal` ends it in order, `orphan_signal` is what
    the kernel sends when we die. `not_root` runs it as another user when we are root.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM
    not_root: bool = False
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start it. What an earlier run of it left alive in its group is killed first."""
        self.kill()
        self._child = _SPAWNER.run(self._popen)

    @property
    def pid(self) -> int:
        """Also the id of its process group. Raises `ProcessLookupError` when it was never started."""
        if self._child is None:
            raise ProcessLookupError(f"{self.name} was not started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        return None if self._child is None else self._child.poll()

    def stop(self, *, within_s: float) -> None:
        """Ask it to end, and kill the whole group when it has not after `within_s`."""
        self.ask_to_stop()
        self.wait(within_s)
        self.kill()

    def ask_to_stop(self) -> None:
        if self.alive:
            os.kill(self.pid, self.stop_signal)

    def wait(self, within_s: float) -> bool:
        """Whether it has ended within `within_s`."""
        if self._child is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(within_s)
        return not self.alive

    def kill(self) -> None:
        """SIGKILL to the whole group, and reap it."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def failure(self, what: str) -> StartFailed:
        return StartFailed(f"{self.name} {what}; see {self.log}\n{self.last_words()}".rstrip())

    def _popen(self) -> subprocess.Popen[bytes]:
        marks = ["--not-root"] if self.not_root else []
        command = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), str(int(self.orphan_signal)), *marks]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, *self.command],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


class _Spawner:
    """Starts all processes from one thread that lives as long as we do.

    The kernel takes the death of the thread that started a child for the death of its parent.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[subprocess.Popen[bytes]], _Job]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pid = 0

    def run(self, job: _Job) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._work, name="spawner", daemon=True).start()
        result: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((result, job))
        return result.result()

    def _work(self) -> None:
        while True:
            result, job = self._jobs.get()
            try:
                result.set_result(job())
            except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
                result.set_exception(error)


_SPAWNER = _Spawner()


def wait_until(process: Process, is_ready: _Check, *, within_s: float) -> None:
    """Wait until `is_ready()`. Raises `StartFailed` when `process` ends before, or is not ready in time."""
    deadline = time.monotonic() + within_s
    while not is_ready():
        if not process.alive:
            raise process.failure(f"ended with code {process.exit_code} while starting")
        if time.monotonic() > deadline:
            raise process.failure(f"was not ready within {within_s:.0f} s")
        time.sleep(_POLL_S)
