"""What a stage stands on: a folder and a Belfry of its own, gone at the end unless there is something to look at."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from project.embedded.process import StartFailed
from project.embedded.supervisor import Supervisor


class Ground(ABC):
    """A running Belfry as a context manager. Cases are played on it one after the other."""

    #: The roles that run.
    processes: Sequence[str]
    #: Set up by `_set_up`.
    belfry: Supervisor

    def __init__(self, name: str) -> None:
        self._stack = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix=f"belfry-{name}-"))
        #: Set when there is something to look at afterwards.
        self.keep = False

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException as failure:
            self.keep = isinstance(failure, Exception)
            self._clear()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def _clear(self) -> None:
        try:
            self._stack.close()
        finally:  # Even if somebody has lost patience with it.
            if not self.keep:
                shutil.rmtree(self.folder, ignore_errors=True)

    def what_is_wrong(self) -> str:
        """Why the next case would not find it as the first one did; "" when it would."""
        down = [name for name in (*self.processes, "postgres", "valkey") if not self.belfry.process(name).alive]
        if down:
            return f"{', '.join(down)} not running"
        try:
            self.belfry.wait_ready()
            return self._unrest()
        except (StartFailed, psycopg.Error) as trouble:
            return str(trouble).partition("\n")[0]

    @abstractmethod
    def _set_up(self) -> None:
        """Start everything. What `_stack` holds then ends with the stage."""

    @abstractmethod
    def _unrest(self) -> str:
        """What the last case has left behind; "" when nothing. May raise `psycopg.Error`."""
