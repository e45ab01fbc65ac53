"""The browser's own `EventSource` and `WebSocket` at a live process, through a loss of the connection and a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page
from pytest_django import Settings

from channels_app.live.limits import Limits
from project.embedded.home import free_port
from tests.channels_app.live.running import Running, tell

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Nothing of ours but the names of the events: it comes back by itself, and goes on where it was.
EVENT_SOURCE = """() => {
  window.heard = [];
  const source = new EventSource("/rt/sse?last_event_id=1-0");
  for (const name of ["hello", "new", "reset"])
    source.addEventListener(name, event => heard.push([name, name === "new" ? event.lastEventId : ""]));
}"""

WEB_SOCKET = """() => {
  window.heard = [];
  let last = "1-0";
  const open = () => {
    const socket = new WebSocket(`ws://${location.host}/rt/ws?last=${last}`, "belfry.v1");
    socket.onmessage = ({data}) => {
      const frame = JSON.parse(data);
      if (frame.t === "batch") for (const item of frame.d) heard.push([item.type, `1-${item.seq}`]);
      else heard.push([frame.t, frame.id || ""]);
      if (frame.id) socket.send(JSON.stringify({t: "ack", upto: last = frame.id}));
    };
    socket.onclose = () => setTimeout(open, 300);
  };
  open();
}"""


class Place:
    """One address, at which live processes come and go."""

    def __init__(self, stack: ExitStack, port: int) -> None:
        self._stack, self._port = stack, port
        self.start()

    def start(self) -> None:
        self.live = self._stack.enter_context(Running(Limits(spread_s=0.5), self._port))


@pytest.fixture
def place(operator: User, settings: Settings) -> Iterator[Place]:
    redis.Redis.from_url(settings.BELFRY_REDIS_URL).flushdb()
    port = free_port()
    settings.BELFRY_LIVE_ORIGINS = [f"http://127.0.0.1:{port}"]
    with ExitStack() as stack:
        yield Place(stack, port)


@pytest.fixture
def page(browser: Browser, place: Place) -> Iterator[Page]:
    """A page of the live process's own origin, of an operator who is logged in."""
    client = Client()
    client.force_login(User.objects.get(username="operator"))
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = browser.new_context()
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": place.live.url}])
    opened = context.new_page()
    opened.goto(f"{place.live.url}/health")
    yield opened
    context.close()


def wait_for(page: Page, cursor: str) -> None:
    page.wait_for_function("cursor => heard.some(([name, id]) => name === 'new' && id === cursor)", arg=cursor)


@pytest.mark.parametrize("script", [EVENT_SOURCE, WEB_SOCKET], ids=["EventSource", "WebSocket"])
def test_the_browser_hears_every_change_once_and_in_order(script: str, place: Place, page: Page) -> None:
    tell("operator", "before")
    page.evaluate(script)
    wait_for(page, "1-1")
    tell("operator", "while connected")
    wait_for(page, "1-2")
    place.live.cut()
    tell("operator", "while away", "and more")
    wait_for(page, "1-4")
    place.live.end()
    place.start()
    tell("operator", "after a restart")
    wait_for(page, "1-5")
    heard: list[Any] = page.evaluate("heard")
    assert [event for event in heard if event[0] == "new"] == [["new", f"1-{seq}"] for seq in range(1, 6)]
    assert [name for name, _ in heard].count("hello") == 3
    assert "reset" not in [name for name, _ in heard]
