"""The stage of the live cases: engines and a live process in a folder of their own."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from project import env
from project.chaos.live.rows import Rows
from project.embedded.process import StartFailed
from project.embedded.supervisor import Supervisor

PROCESSES = ("rt",)
#: What is told to everybody is never written out at once, so that the live process has to do it.
_FEEDS_WRITTEN_AT_ONCE = 0


class LiveStage:
    """A running live process, as a context manager. Cases are played on it one after the other.

    `check_s`: how often it compares positions.
    """

    def __init__(self, *, check_s: float) -> None:
        self.check_s = check_s
        self._stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="belfry-chaos-live-"))
        #: Set when there is something to look at afterwards.
        self.keep = False
        self._cases = 0

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException as failure:
            self.keep = isinstance(failure, Exception)
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.close()
        finally:
            if not self.keep:
                shutil.rmtree(self.folder, ignore_errors=True)

    def what_is_wrong(self) -> str:
        """Why the next case would not find it as the first one did; "" when it would."""
        down = [name for name in (*PROCESSES, "postgres", "valkey") if not self.belfry.process(name).alive]
        if down:
            return f"{', '.join(down)} not running"
        try:
            self.belfry.wait_ready()
            self.rows.heads([])
        except (StartFailed, psycopg.Error) as trouble:
            return str(trouble).partition("\n")[0]
        return ""

    def name(self, case: str) -> str:
        """A name for what a case makes: never the same twice on a stage."""
        self._cases += 1
        return f"{case}-{self._cases}"

    def _set_up(self) -> None:
        self.belfry = Supervisor(
            home=self.folder,
            processes=PROCESSES,
            own_engines=True,
            extra_env={
                env.BROADCAST_ROWS.name: str(_FEEDS_WRITTEN_AT_ONCE),
                env.LIVE_CHECK_S.name: f"{self.check_s:g}",
            },
        )
        self._stack.enter_context(self.belfry)
        self.rows = Rows(self.belfry.env[env.DATABASE_URL.name])
        key = json.loads(self.belfry.manage("feedkey", "create", "--name", "chaos", "--json").stdout)
        self.kid, self.secret = str(key["kid"]), str(key["secret"])
