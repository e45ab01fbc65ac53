"""A program of ours that runs beside Belfry: asked by a line of JSON, it answers by one, and ends with its input."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from project.embedded.supervisor import ROOT

Words = dict[str, Any]

_ANSWERS_WITHIN_S = 120.0
_ENDS_WITHIN_S = 10.0


class Died(Exception):
    """A program beside does not answer any more. The message says which, and where it complained."""


class Beside:
    """The program `module`, as a context manager. It complains into `log`."""

    def __init__(self, module: str, *, environment: Mapping[str, str], log: Path) -> None:
        self._module, self._environment, self._log = module, environment, log

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=ROOT,
                env=dict(self._environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def ask(self, what: str, **more: Any) -> Words:
        """Its answer to `what`. Raises `Died`."""
        answers = _pipe(self._process.stdout)
        try:
            sink = _pipe(self._process.stdin)
            sink.write(json.dumps({"ask": what, **more}).encode() + b"\n")
            sink.flush()
        except BrokenPipeError:
            raise self._died("has ended") from None
        if not select.select([answers], [], [], _ANSWERS_WITHIN_S)[0]:
            raise self._died(f"did not answer in {_ANSWERS_WITHIN_S:g} s")
        line = answers.readline()
        if not line:
            raise self._died("has ended")
        answer: Words = json.loads(line)
        return answer

    def _died(self, how: str) -> Died:
        return Died(f"{self._module} {how} when it was asked; what it said is in {self._log}")


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None  # noqa: S101  a pipe was asked for
    return end


def answer_all(answer: Callable[[str, Words], Words]) -> None:
    """The other side of it: answer what is asked on standard input, until that ends."""
    answers = take_standard_output()
    for line in sys.stdin:
        question = json.loads(line)
        answers.write(json.dumps(answer(question.pop("ask"), question)) + "\n")
        answers.flush()


def take_standard_output() -> IO[str]:
    """Standard output, for answers alone: whatever else is printed goes to standard error from now on."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers
