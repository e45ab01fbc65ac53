"""Clients that nobody here wrote, each through a loss of its connection and a restart of the server.

Python's `websockets` and `httpx` (with `httpx-sse`), node's `eventsource` and `ws`. Those of browsers are tested in
`tests/browser/test_live_clients.py`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis
from httpx_sse import connect_sse
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from channels_app import feed_tokens
from channels_app.live.limits import Limits
from channels_app.models import FeedKey
from project import env
from tests.channels_app.live.running import Running, eventually, now, tell

#: Where Debian puts the modules of node.
_MODULES = "/usr/share/nodejs:/usr/lib/nodejs"
_NODE_CLIENTS = Path(__file__).with_name("far_clients.js")

#: What a client has heard: the name of each event, and its id.
Heard = list[tuple[str, str]]


class Place:
    """One address, at which live processes come and go."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.live = stack.enter_context(Running(Limits(spread_s=0.5)))
        self.url = self.live.url

    def restart(self) -> None:
        self.live.end()
        self.live = self._stack.enter_context(Running(Limits(spread_s=0.5), self.live.port))


@pytest.fixture
def place(bus: redis.Redis) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(stack)


@pytest.fixture
def token(transactional_db: None) -> str:
    key, secret = FeedKey.objects.issue("an application")
    return feed_tokens.sign("ada", kid=key.kid, secret=secret, now=now())


def node(module: str) -> Callable[[str, str, Heard, threading.Event], None]:
    """A client of node's that comes back by itself, as a function of its address and token."""

    def client(url: str, token: str, heard: Heard, over: threading.Event) -> None:
        program = shutil.which("node")
        assert program
        kind = {"eventsource": "sse", "ws": "ws"}[module]
        command = [program, str(_NODE_CLIENTS), kind, url, token, "1-0"]
        environment = env.inherited({"NODE_PATH": _MODULES})
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            ending = threading.Thread(target=_kill_when, args=(over, process))
            ending.start()
            for line in process.stdout:
                event = json.loads(line)
                heard.append((event["name"], event["id"]))
            over.set()
            ending.join()

    return client


def _kill_when(over: threading.Event, process: subprocess.Popen[str]) -> None:
    over.wait()
    process.kill()


def has_module(module: str) -> bool:
    program = shutil.which("node")
    if program is None:
        return False
    asked = [program, "-e", f"require('{module}')"]
    environment = env.inherited({"NODE_PATH": _MODULES})
    return subprocess.run(asked, check=False, capture_output=True, env=environment).returncode == 0


def python_httpx(url: str, token: str, heard: Heard, over: threading.Event) -> None:
    cursor = "1-0"
    while not over.is_set():
        headers = {"authorization": f"Bearer {token}", "last-event-id": cursor}
        try:
            with httpx.Client(timeout=2) as client, connect_sse(client, "GET", f"{url}/sse", headers=headers) as source:
                for event in source.iter_sse():
                    cursor = event.id or cursor
                    heard.append((event.event, event.id))
        except httpx.TransportError:
            time.sleep(0.1)


def python_websockets(url: str, token: str, heard: Heard, over: threading.Event) -> None:
    cursor = "1-0"
    while not over.is_set():
        try:
            with connect(
                f"{url.replace('http', 'ws')}/ws?last={cursor}",
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=[Subprotocol("belfry.v1")],
            ) as socket:
                while not over.is_set():
                    frame = json.loads(socket.recv(timeout=2))
                    cursor = frame.get("id") or cursor
                    items = frame["d"] if frame["t"] == "batch" else []
                    heard += [(item["type"], f"1-{item['seq']}") for item in items]
                    if not items:
                        heard.append((frame["t"], frame.get("id", "")))
                    if "id" in frame:
                        socket.send(json.dumps({"t": "ack", "upto": cursor}))
        except (ConnectionClosed, OSError, TimeoutError):
            time.sleep(0.1)


CLIENTS = [
    pytest.param(python_httpx, id="httpx"),
    pytest.param(python_websockets, id="websockets"),
    *(
        pytest.param(
            node(module),
            id=f"node-{module}",
            marks=pytest.mark.skipif(not has_module(module), reason=f"no node, or no module {module} (node-{module})"),
        )
        for module in ("eventsource", "ws")
    ),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_it_hears_every_change_once_and_in_order(
    client: Callable[[str, str, Heard, threading.Event], None], place: Place, token: str
) -> None:
    heard: Heard = []
    over = threading.Event()
    listening = threading.Thread(target=client, args=(place.url, token, heard, over))
    tell("ada", "before")
    listening.start()
    try:
        eventually(lambda: ("new", "1-1") in heard, within_s=30)
        tell("ada", "while connected")
        eventually(lambda: ("new", "1-2") in heard, within_s=30)
        place.live.cut()
        tell("ada", "while away", "and more")
        eventually(lambda: ("new", "1-4") in heard, within_s=30)
        place.restart()
        tell("ada", "after a restart")
        eventually(lambda: ("new", "1-5") in heard, within_s=30)
    finally:
        over.set()
        listening.join(30)
    assert not listening.is_alive()
    assert [event for event in heard if event[0] == "new"] == [("new", f"1-{seq}") for seq in range(1, 6)]
    assert [name for name, _ in heard].count("hello") == 3
    assert "reset" not in [name for name, _ in heard]
