"""The data folder of the embedded default: what is kept between runs, and who may use it now.

lock          held by the process that runs the engines
env           the addresses and secrets of a running one (0600), gone when it stops
secrets/      passwords and keys, made at random once (0600)
first-login   the first administrator's password, until that login was used (0600)
log/          one file per process
pgdata/ valkey/ beat-alive
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shlex
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path

from project.env import CHANNEL_KEYS, SECRET_KEY


class InUse(Exception):
    """Another process runs on this data folder. The message says which, and what to do."""


class Home:
    """A data folder. Made, readable by its owner alone, when it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "log"
        self.secrets = self.path / "secrets"
        self.env_file = self.path / "env"
        for folder in (self.path, self.logs, self.secrets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self, *, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the folder. Raises `InUse` when another process does and has not let go after `wait_s`."""
        with (self.path / "lock").open("a+") as file:
            self._take(file.fileno(), time.monotonic() + wait_s)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def _take(self, descriptor: int, deadline: float) -> None:
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = (self.path / "lock").read_text() or "unknown"
                    raise InUse(
                        f"Belfry already runs on {self.path} (process {holder}). "
                        "Stop it first, or use another data folder: BELFRY_HOME=/some/folder."
                    ) from None
                time.sleep(0.1)

    def secret(self, name: str, make: str = "") -> str:
        """The secret of this name, made at random (or as `make`) the first time."""
        path = self.secrets / name
        if not path.exists():
            write_private(path, make or secrets.token_urlsafe(32))
        return path.read_text()

    def keys(self) -> dict[str, str]:
        """What production must be given, and an embedded Belfry makes for itself."""
        fernet_key = urlsafe_b64encode(os.urandom(32)).decode()
        # An id of its own: what was sealed elsewhere is then told from what was damaged.
        return {
            SECRET_KEY.name: self.secret("secret-key"),
            CHANNEL_KEYS.name: self.secret("channel-keys", make=f"local-{secrets.token_hex(3)}:{fernet_key}"),
        }

    def publish(self, values: Mapping[str, str]) -> None:
        """Let commands beside a running Belfry find it."""
        write_private(self.env_file, "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))

    def withdraw(self) -> None:
        self.env_file.unlink(missing_ok=True)

    def running(self) -> dict[str, str]:
        """What a running Belfry has published; empty when none runs, even if a killed one has left its file."""
        try:
            with self.locked():
                self.withdraw()
                return {}
        except InUse:
            with contextlib.suppress(FileNotFoundError):
                return dict(word.split("=", 1) for word in shlex.split(self.env_file.read_text()))
            return {}

    def keep_first_login(self, user: str, password: str) -> None:
        write_private(self._first_login, f"{user} {password}")

    def first_login(self) -> tuple[str, str] | None:
        """The first administrator's name and password, until somebody has logged in with them."""
        with contextlib.suppress(FileNotFoundError):
            user, _, password = self._first_login.read_text().partition(" ")
            return user, password
        return None

    def forget_first_login(self) -> None:
        self._first_login.unlink(missing_ok=True)

    @property
    def _first_login(self) -> Path:
        return self.path / "first-login"


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    draft.replace(path)


#: Below those that systems give to outgoing connections (from 32768 on with Linux): who is to listen at one of these
#: in a few seconds still finds it free then.
_PORTS = range(20_000, 32_000)
_TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """A port at which nobody listens. Raises `OSError` when none is found."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((host, secrets.choice(_PORTS)))
            return int(probe.getsockname()[1])
    raise OSError(f"no free port of {host} between {_PORTS.start} and {_PORTS.stop}")
