"""The terminal of `belfry up`: one line per event, prefixed by the process that speaks, coloured on a terminal."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from typing import TextIO

from project.env import NO_COLOR

_LOOK_EVERY_S = 0.1
_CHUNK_BYTES = 1 << 20
#: A log that has grown this long begins anew; the terminal has shown what was in it.
_LONGEST_LOG_BYTES = 64 << 20
_RESET = "\x1b[0m"
_COLOURS = ("\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m")
_WARNING, _ERROR = "\x1b[33m", "\x1b[31m"
_LEVELS = {"warning": _WARNING, "error": _ERROR, "critical": _ERROR, "fatal": _ERROR, "panic": _ERROR}
_LEVEL = re.compile(r"\b(warning|error|critical|fatal|panic)\b", re.IGNORECASE)
_PREFIX_WIDTH = 14
#: Of the engines only what is wrong is of interest here; their logs hold the rest.
_SPEAK_UP = frozenset({"postgres", "valkey"})
_HARMLESS = (
    # Advice for servers that keep snapshots; ours does not.
    "Memory overcommit",
    # Our threads wait for the database most of the time.
    "Python threads, which seems quite high",
    "worker: Hitting Ctrl+C again",
)


class Console:
    """Writes to `stream`; colours only when it is a terminal and NO_COLOR is not set."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not NO_COLOR.is_set()
        self._colour_of: dict[str, str] = {}
        self._lock = threading.Lock()

    def say(self, name: str, text: str) -> None:
        """One event of the process `name`."""
        for line in text.splitlines():
            self._write(f"{self._prefix(name)} {line}")

    def tell(self, name: str, line: str) -> None:
        """One line of a log of `name`, coloured by its level."""
        found = _LEVEL.search(line[:80])
        if name in _SPEAK_UP and not found:
            return
        if not line or any(words in line for words in _HARMLESS):
            return
        if self._coloured and found:
            line = f"{_LEVELS[found.group().lower()]}{line}{_RESET}"
        self._write(f"{self._prefix(name)} {line}")

    def _prefix(self, name: str) -> str:
        label = f"{name:<{_PREFIX_WIDTH}} |"
        if not self._coloured:
            return label
        colour = self._colour_of.setdefault(name, _COLOURS[len(self._colour_of) % len(_COLOURS)])
        return f"{colour}{label}{_RESET}"

    def _write(self, line: str) -> None:
        # A terminal that was closed, or `| head`: nobody looks any more, and Belfry goes on.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()


class Follower:
    """Shows on the console what is added to the log files of a folder from now on."""

    def __init__(self, folder: Path, console: Console) -> None:
        self._folder = folder
        self._console = console
        self._offsets = {path: path.stat().st_size for path in folder.glob("*.log")}
        self._rests: dict[Path, bytes] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Show what is there still, and stop."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._look()
        self._look()

    def _look(self) -> None:
        for path in sorted(self._folder.glob("*.log")):
            self._show_new(path)

    def _show_new(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            chunk = file.read(_CHUNK_BYTES)
            self._offsets[path] = file.tell()
        if chunk:
            *lines, self._rests[path] = (self._rests.get(path, b"") + chunk).split(b"\n")
            for line in lines:
                self._console.tell(path.stem, line.decode(errors="replace").rstrip())
        if self._offsets[path] > _LONGEST_LOG_BYTES:
            os.truncate(path, 0)
            self._offsets[path] = 0
