"""`belfry up`, as somebody at a terminal meets it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from project.embedded.home import Home
from project.embedded.process import StartFailed
from project.embedded.supervisor import Supervisor
from project.embedded.up import check_port, to_reach
from project.env import inherited
from project.outside.world import World

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 60.0


class Terminal:
    """A `belfry` command that runs in the background, with its output in a file."""

    def __init__(self, home: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.output_file = home.parent / f"{home.name}.out"
        unset = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "BELFRY_SECRET_KEY", "BELFRY_CHANNEL_KEYS")
        variables = {name: value for name, value in inherited().items() if name not in unset}
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env={**variables, "BELFRY_HOME": str(home), **(environment or {})},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def end(self) -> int:
        return self.process.wait(WITHIN_S)


@contextlib.contextmanager
def terminal(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[Terminal]:
    opened = Terminal(home, *arguments, environment=environment)
    try:
        yield opened
    finally:
        if opened.process.poll() is None:
            opened.process.terminate()
            opened.end()


def processes_on(home: Path) -> set[int]:
    """Processes that were started on this data folder, and their children."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(home) in (entry / "cmdline").read_text() or f"BELFRY_HOME={home}" in (entry / "environ").read_text():
                found.add(int(entry.name))
    return found


def test_it_says_where_everything_is_and_ctrl_c_stops_all(tmp_path: Path) -> None:
    home = tmp_path / "data"
    with terminal(home, "up", "--port", "0") as shown:
        shown.wait_for("Ctrl-C stops everything")
        assert re.search(r"admin +http://127\.0\.0\.1:\d+/admin/", shown.output)
        assert re.search(r"API docs +http://127\.0\.0\.1:\d+/api/docs/", shown.output)
        live = re.search(r"live +(http://127\.0\.0\.1:\d+/rt/health)", shown.output)
        assert live
        assert requests.get(live[1], timeout=WITHIN_S).json()["database"] == "ok"
        login = Home(home).first_login()
        assert login
        assert f"log in as  {login[0]} with password {login[1]}" in shown.output
        assert "\x1b[" not in shown.output
        started = time.monotonic()
        os.kill(shown.process.pid, signal.SIGINT)
        assert shown.end() == 0
        assert time.monotonic() - started < 10
    assert "stopped; the data is kept" in shown.output
    assert processes_on(home) == set()
    assert not (home / "env").exists()


@pytest.mark.slow
def test_kill_9_leaves_no_orphan_and_rows_survive(tmp_path: Path) -> None:
    home = tmp_path / "data"
    with terminal(home, "up", "--port", "0") as shown:
        shown.wait_for("Ctrl-C stops everything")
        url = Home(home).running()["DATABASE_URL"]
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        shown.process.kill()
        shown.end()
        deadline = time.monotonic() + 20
        while left := processes_on(home):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
    with (
        Supervisor(home=home, processes=(), own_engines=True) as again,
        psycopg.connect(again.env["DATABASE_URL"]) as c,
    ):
        assert c.execute("SELECT answer FROM kept").fetchone() == (42,)


@pytest.mark.slow
def test_a_second_start_is_refused_and_a_command_finds_the_first(tmp_path: Path) -> None:
    home = tmp_path / "data"
    with terminal(home, "up", "--port", "0") as first:
        first.wait_for("Ctrl-C stops everything")
        with terminal(home, "up", "--port", "0") as second:
            assert second.end() == 1
        assert f"already runs on {home} (process {first.process.pid})" in second.output
        with terminal(home, "showmigrations", "auth") as beside:
            assert beside.end() == 0, beside.output
        assert "[X] 0001_initial" in beside.output


def test_a_command_alone_starts_engines_and_stops_them(tmp_path: Path) -> None:
    home = tmp_path / "data"
    with terminal(home, "migrate", "auth") as alone:
        assert alone.end() == 0, alone.output
    assert "Applying auth.0001_initial... OK" in alone.output
    assert processes_on(home) == set()


def test_nothing_embedded_starts_when_the_environment_names_the_engines(tmp_path: Path) -> None:
    given = {name: inherited()[name] for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL")}
    home = tmp_path / "data"
    with terminal(home, "check", "--database", "default", environment=given) as checked:
        assert checked.end() == 0, checked.output
    with Supervisor(home=home, processes=("web",), extra_env=given) as running:
        assert running.env["DATABASE_URL"] == given["DATABASE_URL"]
        assert not (home / "pgdata").exists()
        assert not (home / "valkey").exists()


def test_a_taken_port_is_told_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartFailed, match=rf"port {port} is taken; choose another with --port N"):
            check_port("127.0.0.1", port)


def test_data_of_another_postgresql_is_told_with_the_remedy(tmp_path: Path) -> None:
    data = tmp_path / "pgdata"
    data.mkdir()
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(StartFailed, match=r"made by PostgreSQL 15, this is PostgreSQL \d+.*PG_BIN.*move"):
        Supervisor(home=tmp_path, processes=(), own_engines=True).__enter__()
    assert (data / "PG_VERSION").read_text() == "15\n"


def test_the_first_login_is_shown_until_it_was_used(tmp_path: Path) -> None:
    with Supervisor(home=tmp_path, processes=(), own_engines=True, fast=True) as first:
        login = first.home.first_login()
        assert login
        first.manage(
            "shell",
            "-v0",
            "-c",
            "from django.contrib.auth.models import User\n"
            "from django.utils.timezone import now\n"
            f"user = User.objects.get(username={login[0]!r})\n"
            f"assert user.check_password({login[1]!r})\n"
            "user.last_login = now()\n"
            "user.save()",
        )
    with Supervisor(home=tmp_path, processes=(), own_engines=True, fast=True) as second:
        assert second.home.first_login() is None


def test_the_demo_opens_this_machine_alone_to_channels() -> None:
    with World() as world:
        assert to_reach(world) == {
            "BELFRY_ALLOWED_NETWORKS": "127.0.0.1/32",
            "BELFRY_DEMO_WORLD": world.url,
            "BELFRY_DEMO_SMTP_PORT": str(world.smtp_port),
        }


def test_what_the_operator_has_opened_stays_open_in_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELFRY_ALLOWED_NETWORKS", "10.0.0.0/8")
    with World() as world:
        assert to_reach(world)["BELFRY_ALLOWED_NETWORKS"] == "10.0.0.0/8,127.0.0.1/32"
