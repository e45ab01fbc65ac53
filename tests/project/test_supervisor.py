"""A running Belfry survives what happens to its processes."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg

from notifications.models.api_key import PREFIX
from project.embedded.supervisor import Supervisor


def eventually(holds: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def status(belfry: Supervisor, path: str, *, key: str = "") -> int:
    connection = http.client.HTTPConnection(urlsplit(belfry.url).netloc, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_admin_and_the_api_docs_answer(belfry: Supervisor) -> None:
    assert status(belfry, "/admin/login/") == 200
    assert status(belfry, "/api/docs/") == 200


def test_static_files_are_served_without_collecting_them(belfry: Supervisor) -> None:
    assert status(belfry, "/static/admin/css/base.css") == 200


def test_a_killed_worker_is_started_again(belfry: Supervisor) -> None:
    before = belfry.process("worker-control").pid
    belfry.kill("worker-control")
    eventually(lambda: belfry.process("worker-control").pid != before)
    belfry.wait_ready("worker-control")


def test_a_stopped_process_stays_down_until_it_is_started(belfry: Supervisor) -> None:
    belfry.stop("beat")
    time.sleep(0.5)
    assert not belfry.process("beat").alive
    belfry.start("beat")
    assert belfry.process("beat").alive


def test_rows_survive_a_kill_of_postgresql(belfry: Supervisor) -> None:
    url = belfry.env["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    belfry.kill("postgres", restart=False)
    belfry.start("postgres")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        connection.execute("DROP TABLE kept")
    # The first who asks is told that its connection is gone; whoever comes next in these tests is not.
    eventually(lambda: status(belfry, "/api/v1/notifications", key=f"{PREFIX}of-nobody") == 401)


def test_valkey_comes_back_at_the_same_address(belfry: Supervisor) -> None:
    belfry.restart_engine("valkey")
    assert belfry.process("valkey").alive
    assert status(belfry, "/admin/login/") == 200


def test_a_command_beside_it_finds_its_engines(belfry: Supervisor) -> None:
    answer = belfry.manage(
        "shell", "-v0", "-c", "from django.db import connection as c; print(c.settings_dict['PORT'])"
    )
    assert answer.stdout.strip() in belfry.env["DATABASE_URL"]
