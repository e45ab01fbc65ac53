"""Somebody with a feed, who is signed in on as many devices as a test wants."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import requests
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from project.embedded.supervisor import Supervisor

#: A machine that is busy with other tests, and the ten seconds after which a bell says that it is cut off.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
_PASSWORD = "only in this test"
#: Made at once: a command takes seconds.
_MOST = 30
_MAKE = f"""
from django.contrib.auth.models import User
from django.contrib.auth.hashers import make_password
secret = make_password({_PASSWORD!r})
User.objects.bulk_create(User(username=f"person-{{n}}", password=secret, is_staff=True, is_superuser=True)
                         for n in range(1, {_MOST + 1}))
"""
_numbers = itertools.count(1)


class Person:
    """A member of staff of a running Belfry, new for each test, with the feed of their name."""

    def __init__(self, belfry: Supervisor) -> None:
        number = next(_numbers)
        assert number <= _MOST, "make more"
        if number == 1:
            belfry.manage("shell", "-c", _MAKE)
        self.belfry, self.name = belfry, f"person-{number}"
        self._session = requests.Session()
        login = f"{belfry.url}/admin/login/"
        self._session.get(login, timeout=30)
        form = {"username": self.name, "password": _PASSWORD, "csrfmiddlewaretoken": self._session.cookies["csrftoken"]}
        answer = self._session.post(login, form, headers={"Referer": login}, timeout=30, allow_redirects=False)
        assert answer.status_code == 302, answer.text

    def sends(self, title: str, **more: Any) -> str:
        """To themself. Returns the id of the notification."""
        draft = {"event_type": "test.message", "title": title, "recipients": [self.name], **more}
        return str(self._ask("POST", "/notifications", draft)["id"])

    def items(self) -> list[dict[str, Any]]:
        """Their feed, the newest first."""
        items: list[dict[str, Any]] = self._ask("GET", "/inbox")["items"]
        return items

    def unread(self) -> int:
        return int(self._ask("GET", "/inbox/state")["unread"])

    def comes_to(self, unread: int) -> None:
        """The server counts so many before long: a bell shows what it asked for before it is answered."""
        until = time.monotonic() + PATIENCE_MS / 1000
        while (counted := self.unread()) != unread:
            assert time.monotonic() < until, f"{counted} unread"
            time.sleep(0.05)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the database says; `%s` is their name."""
        with psycopg.connect(self.belfry.env["DATABASE_URL"]) as connection:
            return connection.execute(statement, [self.name]).fetchall()

    @contextmanager
    def device(self, browser: Browser, **how: Any) -> Iterator[BrowserContext]:
        """A browser of theirs, signed in."""
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
        for cookie in self._session.cookies:
            context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": self.belfry.url}])
        try:
            yield context
        finally:
            context.close()

    def opens(self, context: BrowserContext) -> Bell:
        """A tab with the bell, connected."""
        bell = Bell(context.new_page())
        bell.page.goto(f"{self.belfry.url}/demo/")
        bell.is_now("live")
        return bell

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"X-CSRFToken": self._session.cookies["csrftoken"], "Referer": self.belfry.url}
        answer = self._session.request(
            method, f"{self.belfry.url}/api/v1{path}", json=body, headers=headers, timeout=30
        )
        assert answer.ok, answer.text
        return answer.json()


class Bell:
    """The bell of one tab, as somebody sees it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.host = page.locator("belfry-bell")
        self.button = self.host.locator("#bell")
        self.panel = self.host.locator("#panel")
        self.toast = self.host.locator("#toast")
        self.rows = self.panel.locator("li")

    def is_now(self, state: str) -> None:
        expect(self.host).to_have_attribute("state", state, timeout=PATIENCE_MS)

    def counts(self, unread: int) -> None:
        expect(self.host).to_have_attribute("unread", str(unread), timeout=PATIENCE_MS)
        shown = self.host.locator("#count")
        (expect(shown).to_have_text(str(unread)) if unread else expect(shown).to_be_hidden())

    def row(self, title: str) -> Locator:
        return self.rows.filter(has_text=title)

    def lists(self, *titles: str) -> None:
        """Exactly these, from top to bottom."""
        expect(self.rows.locator("b")).to_have_text([*titles], timeout=PATIENCE_MS)


def connections(context: BrowserContext) -> Callable[[], int]:
    """How many streams the bells of a browser have opened, from now on."""
    opened: list[str] = []
    context.on("request", lambda request: opened.append(request.url) if "/rt/sse?ping=event" in request.url else None)
    return lambda: len(opened)
