"""All of Belfry as processes of this machine: engines, web, rt, workers, beat.

    with Supervisor(home=Path("/some/folder")) as belfry:
        requests.get(f"{belfry.url}/api/v1/health")
        belfry.kill("worker-deliver")          # SIGKILL; it is started again
        belfry.restart_engine("valkey")

Used by `belfry up`, by the demo and by tests; the same processes with the same settings in all of them.
"""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from project import env
from project.embedded.engines import ENGINE_VARIABLES, Engines
from project.embedded.home import Home, free_port
from project.embedded.process import Process, wait_until
from project.embedded.watch import Report, Watch
from project.roles import APP, ROLES, SAY_READY, STOP_ORDER, Place, command_line

ROOT = Path(__file__).resolve().parent.parent.parent

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 5.0
#: What an embedded worker gets unless the environment says otherwise: somebody waits at the terminal.
_GRACE_S = "10"
#: For Python and Celery themselves.
_FOR_PYTHON = {
    "PYTHONUNBUFFERED": "1",
    # Root in a container is the operator's choice, and not worth a page of warning at each start.
    "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
}


def _silent(_name: str, _text: str) -> None:
    """Report to nobody."""


class Supervisor:
    """A running Belfry, as a context manager.

    `processes` are names of `roles.ROLES`. `extra_env` comes on top of the environment of every process.
    `own_engines` starts engines even if the environment names some; `fast` lets them forget what the
    machine's crash would lose (tests). `app` is the module of the Celery app that workers and beat run.
    `report(name, text)` hears what happens to the processes.

    Raises `InUse` when the folder is taken, `StartFailed` when something does not come up; nothing is
    left running then.
    """

    def __init__(  # noqa: PLR0913 - a composition root has as many parts as the whole
        self,
        *,
        home: Path,
        port: int = 0,
        live_port: int = 0,
        host: str = "127.0.0.1",
        processes: Sequence[str] = ROLES,
        extra_env: Mapping[str, str] | None = None,
        own_engines: bool = False,
        fast: bool = False,
        app: str = APP,
        report: Report = _silent,
    ) -> None:
        self.home = Home(home)
        live_port = live_port or free_port(host)
        self._place = Place(host, port or free_port(host), self.home.path, app, live_port)
        self._names = tuple(processes)
        self._extra = dict(extra_env or {})
        self._own_engines = own_engines
        self._fast = fast
        self._report = report
        self._watch = Watch(report)
        self._processes: dict[str, Process] = {}
        self._stack = ExitStack()
        self.env: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where the web side answers, without a slash at the end."""
        return self._url(self._place.port)

    @property
    def live_url(self) -> str:
        """Where the live process answers, without `/rt`."""
        return self._url(self._place.live_port)

    def _url(self, port: int) -> str:
        host = self._place.host if self._place.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        return f"http://{host}:{port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def process(self, name: str) -> Process:
        """A process or engine (`postgres`, `valkey`) by name. Raises `KeyError`."""
        return self._processes[name]

    def kill(self, name: str, *, restart: bool = True) -> None:
        """SIGKILL to the process and its children. It is started again, unless `restart` is false."""
        with self._watch.held():
            self._watch.want(name, restart)
            self._processes[name].kill()

    def stop(self, name: str) -> None:
        """End it in order; it stays down until `start`."""
        with self._watch.held():
            self._watch.want(name, False)
            self._processes[name].stop(within_s=self._grace_s() + _STOP_WITHIN_S)

    def start(self, name: str) -> None:
        """Start what was stopped or killed, and wait until it is ready. Raises `StartFailed`."""
        with self._watch.held():
            self._starter(name)()
            self._watch.want(name, True)
        self.wait_ready(name)

    def restart_engine(self, name: str) -> None:
        """Stop an engine in order and start it again at the same address, with its data."""
        self.stop(name)
        self.start(name)

    def freeze(self, name: str) -> None:
        """SIGSTOP to the process and its children: it hangs, and its connections stay open."""
        os.killpg(self._processes[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        os.killpg(self._processes[name].pid, signal.SIGCONT)

    def wait_ready(self, *names: str) -> None:
        """Wait until the named processes (or all) can do their work. Raises `StartFailed`."""
        for name in names or self._names:
            if name == "web":
                wait_until(self._processes[name], self._web_answers, within_s=_READY_WITHIN_S)
            elif name in SAY_READY:
                wait_until(self._processes[name], self._ready_file(name).exists, within_s=_READY_WITHIN_S)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a manage.py command beside the running processes. Raises `CalledProcessError`."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True)

    def _start(self) -> None:
        self._stack.enter_context(self.home.locked())
        self._start_engines()
        self._prepare()
        for name in self._names:
            self._processes[name] = self._make(name)
            self._starter(name)()
        self._stack.callback(self._stop_processes)
        self.wait_ready()
        for name, process in self._processes.items():
            self._watch.add(process, self._starter(name), now=time.monotonic())
        self._stack.callback(self._watch.end)
        self._watch.begin()

    def _start_engines(self) -> None:
        given = env.inherited()
        if self._own_engines:
            given = {name: value for name, value in given.items() if name not in ENGINE_VARIABLES}
        given |= self._extra
        self._engines = Engines(self.home, given=given, fast=self._fast)
        self._stack.callback(self._engines.stop)
        self._engines.start()
        self._processes |= {name: engine.process for name, engine in self._engines.by_name.items()}
        ours = {
            **self.home.keys(),
            env.PUBLIC_URL.name: self.url,
            env.LIVE_URL.name: self.live_url,
            env.DEMO.name: "yes",
            env.SHUTDOWN_GRACE_S.name: _GRACE_S,
            env.LOG_FORMAT.name: "human",
            env.HOME.name: str(self.home.path),
        }
        found = {name: given[name] for name in (*ours, *ENGINE_VARIABLES) if given.get(name)}
        published = {**ours, **found, **self._engines.environment, **self._extra, env.HOME.name: str(self.home.path)}
        self.env = {**given, **published, **_FOR_PYTHON}
        self.home.publish(published)
        self._stack.callback(self.home.withdraw)

    def _prepare(self) -> None:
        """Migrate, and make the first login."""
        command = [sys.executable, str(ROOT / "manage.py"), "prepare"]
        log = self.home.logs / "prepare.log"
        process = Process(name="prepare", command=command, environment=self.env, log=log, folder=ROOT)
        process.start()
        try:
            if not process.wait(600) or process.exit_code:
                raise process.failure("failed")
        finally:
            process.kill()

    def _make(self, name: str) -> Process:
        return Process(
            name=name,
            command=command_line(name, self._place),
            environment={**self.env, env.READY_FILE.name: str(self._ready_file(name))},
            log=self.home.logs / f"{name}.log",
            folder=ROOT,
            # When we are killed there is nobody left to wait for a soft end. Granian has to end its own children.
            orphan_signal=signal.SIGTERM if name == "web" else signal.SIGKILL,
        )

    def _starter(self, name: str) -> Callable[[], None]:
        if name in self._engines.by_name:
            return self._engines.by_name[name].start

        def start() -> None:
            self._ready_file(name).unlink(missing_ok=True)
            self._processes[name].start()

        return start

    def _ready_file(self, name: str) -> Path:
        return self.home.path / f"{name}.ready"

    def _web_answers(self) -> bool:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop_processes(self) -> None:
        for names in STOP_ORDER:
            group = [self._processes[name] for name in names if name in self._processes]
            for process in group:
                process.ask_to_stop()
            for process in group:
                process.stop(within_s=self._grace_s() + _STOP_WITHIN_S)
                self._ready_file(process.name).unlink(missing_ok=True)

    def _grace_s(self) -> float:
        return float(self.env[env.SHUTDOWN_GRACE_S.name])
