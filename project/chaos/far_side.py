"""The outside world as a process of its own: it goes on whatever happens to Belfry, and to us."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from project.embedded.supervisor import ROOT
from project.outside.journal import Received

_TIMEOUT_S = 30.0


class FarSide:
    """A running outside world, as a context manager. `seed` fixes all chance in it; it complains into `log`."""

    def __init__(self, *, seed: int, log: Path) -> None:
        self._seed = seed
        self._log = log
        self._session = requests.Session()

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "project.outside", "--tied", "--seed", str(self._seed)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        addresses = json.loads(self._process.stdout.readline())
        self.url: str = addresses["url"]
        self.smtp_host: str = addresses["smtp_host"]
        self.smtp_port: int = addresses["smtp_port"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        self._process.communicate()  # Its standard input ends, and so does it.

    def open_webhook(self, name: str, secret: str, behaviour: str) -> str:
        """Make the place `hooks/<name>`; its URL."""
        return str(
            self._post("__open", {"kind": "webhook", "name": name, "secret": secret, "behaviour": behaviour})["url"]
        )

    def open_discord(self, name: str, *, per_s: int) -> str:
        """Make the place `discord/<name>`, which takes so many messages a second; its URL."""
        return str(self._post("__open", {"kind": "discord", "name": name, "limit": [per_s, 1.0]})["url"])

    def behave(self, place: str, behaviour: str) -> None:
        """From now on `place` behaves so, as if it had seen nothing before."""
        self._post("__behave", {"place": place, "behaviour": behaviour})

    def seen(self, place: str = "", *, after: int = 0) -> list[Received]:
        """What reached a place, or all of them, from line number `after` on."""
        lines = self._seen(place, after)["lines"]
        return [Received.from_json(line) for line in lines]

    def length(self) -> int:
        """How many lines the journal has."""
        return int(self._seen("nowhere", 0)["next"])

    def _seen(self, place: str, after: int) -> dict[str, Any]:
        query = {"place": place, "after": str(after), "bodies": "0"}
        return self._answer(self._session.get(f"{self.url}/__seen", params=query, timeout=_TIMEOUT_S))

    def _post(self, path: str, wish: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer(self._session.post(f"{self.url}/{path}", json=wish, timeout=_TIMEOUT_S))

    @staticmethod
    def _answer(response: requests.Response) -> dict[str, Any]:
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
