"""What tests in a real browser share: Chromium, and an operator who is logged in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

from tests.notifications.admin.evening import Evening, an_evening

#: Playwright runs an event loop in the test's own thread; the rows that tests write are in nobody's way.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "yes")

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = (1280, 900), (390, 844)

#: An operator's page: size in pixels, and "light" or "dark".
OpenPage = Callable[..., Page]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", help="Folder to which the pictures of the documents are written.")


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = request.config.getoption("--pictures", default=None)
    return Path(given) if given else tmp_path_factory.mktemp("pictures")


#: Of a module, and not of all: as long as Playwright's event loop is there, other tests can have none of their own.
@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=_QUIET)
        yield running
        running.close()


@pytest.fixture
def operator(transactional_db: None) -> User:
    return User.objects.create_superuser("operator", password="only in this test")


@pytest.fixture
def evening(operator: User) -> Evening:
    return an_evening()


@pytest.fixture
def open_page(browser: Browser, live_server: Any, operator: User) -> Iterator[OpenPage]:
    """Opens pages as an operator who is logged in; a script error or a failed request fails the test."""
    client, opened, wrong = Client(), [], []
    client.force_login(operator)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value

    def open_one(address: str, size: tuple[int, int] = DESKTOP, scheme: Any = "light") -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        opened.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.goto(live_server.url + address)
        return page

    yield open_one
    for context in opened:
        context.close()
    assert wrong == []
