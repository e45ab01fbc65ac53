"""`./belfry live`: a process of its own, from its start to SIGTERM."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx
import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection
from websockets.sync.client import connect

from channels_app.live import tickets
from channels_app.models import Device
from project import env
from project.embedded.home import free_port
from project.embedded.process import Process, wait_until
from project.roles import Place, command_line
from tests.channels_app.live.running import Socket, now, tell

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def running(folder: Path) -> Iterator[tuple[Process, int]]:
    """A live process that is ready, and its port."""
    port, ready = free_port(), folder / "ready"
    url = urlsplit(env.DATABASE_URL.read())
    ours = {
        env.DATABASE_URL.name: urlunsplit(url._replace(path=f"/{connection.settings_dict['NAME']}")),
        env.READY_FILE.name: str(ready),
    }
    process = Process(
        name="rt",
        command=command_line("rt", Place("127.0.0.1", 0, folder, live_port=port)),
        environment=env.inherited(ours),
        log=folder / "rt.log",
        folder=ROOT,
    )
    process.start()
    try:
        wait_until(process, ready.exists, within_s=60)
        yield process, port
    finally:
        process.kill()


def test_it_says_good_bye_writes_down_what_was_acknowledged_and_ends(bus: redis.Redis, tmp_path: Path) -> None:
    with running(tmp_path) as (process, port):
        assert httpx.get(f"http://127.0.0.1:{port}/rt/health", timeout=10).json()["status"] == "ok"
        query = urlencode({"ticket": tickets.issue("ada", now=now()), "device": "phone"})
        with Socket(connect(f"ws://127.0.0.1:{port}/rt/ws?{query}")) as socket:
            socket.until("state")
            tell("ada", "first")
            socket.say(t="ack", upto=socket.until("new")["id"])
            asked_at = time.monotonic()
            process.ask_to_stop()
            assert socket.code() == 4100
        assert process.wait(30)
        assert time.monotonic() - asked_at < 15
    assert Device.objects.get(key="phone").acked_seq == 1
    assert "ticket=" not in (tmp_path / "rt.log").read_text()


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"cannot listen at 127.0.0.1 port {port}: Address already in use"):
            call_command("live", "--port", str(port))
