"""The bell in a real browser, before a whole Belfry: tabs, devices, keys, bad connections; and its pictures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from project.embedded.supervisor import Supervisor
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.person import PATIENCE_MS, Bell, Person, connections

pytestmark = [pytest.mark.browser, pytest.mark.slow]


_WATCH_STATES = """() => {
  const bell = document.querySelector("belfry-bell");
  window.states = [];
  new MutationObserver(() => window.states.push(bell.getAttribute("state"))).observe(bell, { attributes: true });
}"""


@pytest.fixture
def person(belfry: Supervisor) -> Person:
    return Person(belfry)


@pytest.fixture
def bell(browser: Browser, person: Person) -> Iterator[Bell]:
    with person.device(browser) as context:
        yield person.opens(context)


def test_what_is_sent_rings_and_counts_and_can_be_read(bell: Bell, person: Person) -> None:
    bell.counts(0)
    person.sends("The kettle is ready", body="It whistled twice.")
    expect(bell.toast).to_contain_text("The kettle is ready", timeout=PATIENCE_MS)
    bell.counts(1)
    expect(bell.button).to_have_accessible_name("Notifications,1 unread,Live")
    bell.button.click()
    expect(bell.toast).to_be_hidden()
    bell.row("The kettle is ready").get_by_role("button").click()
    bell.counts(0)
    expect(bell.button).to_have_accessible_name("Notifications,0 unread,Live")
    person.comes_to(0)


def test_an_empty_feed_says_so(bell: Bell) -> None:
    bell.button.click()
    expect(bell.panel.locator("#empty")).to_have_text("Nothing here yet")
    expect(bell.panel.locator("#all")).to_be_hidden()


def test_tabs_share_one_connection_and_the_next_takes_over(browser: Browser, person: Person) -> None:
    with person.device(browser) as context:
        opened = connections(context)
        first = person.opens(context)
        second = person.opens(context)
        assert opened() == 1
        person.sends("For both")
        for bell in (first, second):
            bell.counts(1)
        second.button.click()
        second.panel.locator("#all").click()
        for bell in (first, second):
            bell.counts(0)
        first.page.close()
        person.sends("For the one that is left")
        second.counts(1)
        second.lists("For the one that is left", "For both")
        assert opened() == 2


def test_nothing_is_remembered_before_anything_was_heard(browser: Browser, person: Person) -> None:
    with person.device(browser) as context:
        context.route("**/rt/**", lambda route: route.abort())
        for _ in range(2):
            # The second tab makes the first one say how it stands.
            page = context.new_page()
            page.goto(f"{person.belfry.url}/demo/")
            page.wait_for_timeout(1_500)
        assert "undefined" not in page.evaluate("Object.values(localStorage)")


def test_what_one_device_got_the_other_gets_too_and_what_it_read_is_read(browser: Browser, person: Person) -> None:
    with person.device(browser) as here, person.device(browser) as there:
        near, far = person.opens(here), person.opens(there)
        names = [bell.page.evaluate("localStorage.belfry") for bell in (near, far)]
        there.set_offline(True)
        person.sends("Acknowledged here")
        near.counts(1)
        expect_rows(person, "SELECT delivered_device FROM channels_app_inbox_item WHERE recipient = %s", [(names[0],)])
        there.set_offline(False)
        far.counts(1)
        devices = "SELECT key, acked_seq FROM channels_app_device WHERE recipient = %s ORDER BY key"
        expect_rows(person, devices, sorted((name, 1) for name in names))
        expect_rows(person, "SELECT delivered_device FROM channels_app_inbox_item WHERE recipient = %s", [(names[0],)])
        far.button.click()
        far.row("Acknowledged here").get_by_role("link").click()
        near.counts(0)
        far.counts(0)


def expect_rows(person: Person, statement: str, wanted: list[tuple[Any, ...]]) -> None:
    """An acknowledgement follows the picture; wait for it."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while (found := person.rows(statement)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.slow
def test_while_the_live_process_is_away_it_is_delayed_and_says_so(bell: Bell, person: Person) -> None:
    person.belfry.stop("rt")
    try:
        bell.is_now("delayed")
        expect(bell.button).to_have_accessible_name("Notifications,0 unread,Delayed, still arriving")
        person.sends("The long way round")
        bell.counts(1)
    finally:
        person.belfry.start("rt")
    bell.is_now("live")
    person.sends("The short way")
    bell.counts(2)
    bell.button.click()
    bell.lists("The short way", "The long way round")


def test_a_short_cut_is_no_news(bell: Bell, person: Person) -> None:
    bell.page.evaluate(_WATCH_STATES)
    person.belfry.kill("rt")
    bell.is_now("connecting")
    expect(bell.button).to_have_accessible_name("Notifications,0 unread,Connecting")
    person.sends("Sent in between")
    bell.counts(1)
    bell.is_now("live")
    assert "offline" not in bell.page.evaluate("window.states")


@pytest.mark.slow
def test_offline_is_said_and_nothing_is_missed_or_doubled(bell: Bell, person: Person) -> None:
    person.sends("Before")
    bell.counts(1)
    bell.page.context.set_offline(True)
    bell.is_now("offline")
    expect(bell.button).to_have_accessible_name("Notifications,1 unread,Offline, trying again")
    for title in ("Missed", "Missed too"):
        person.sends(title)
    bell.page.context.set_offline(False)
    bell.is_now("live")
    bell.counts(3)
    bell.button.click()
    bell.lists("Missed too", "Missed", "Before")


def test_what_cannot_be_saved_is_taken_back(bell: Bell, person: Person) -> None:
    person.sends("Stays unread")
    bell.counts(1)

    def refuse(route: Route) -> None:
        route.fulfill(status=503)

    bell.page.route("**/inbox/read", refuse)
    bell.button.click()
    bell.panel.locator("#all").click()
    expect(bell.toast).to_contain_text("Failed, try again")
    bell.counts(1)
    expect(bell.row("Stays unread").get_by_role("button")).to_have_attribute("aria-pressed", "false")
    assert person.unread() == 1


def test_keys_are_enough(bell: Bell, person: Person) -> None:
    for title in ("One", "Two", "Three"):
        person.sends(title, data={"url": f"/admin/?about={title}"})
    bell.counts(3)
    focused = "document.querySelector('belfry-bell').shadowRoot.activeElement?.textContent ?? ''"
    press = bell.page.keyboard.press
    bell.button.focus()
    press("Enter")
    expect(bell.panel).to_be_visible()
    bell.lists("Three", "Two", "One")
    for key, title in (("ArrowDown", "Three"), ("ArrowDown", "Two"), ("ArrowDown", "One"), ("ArrowUp", "Two")):
        press(key)
        assert title in bell.page.evaluate(focused)
    press("Tab")
    press("Space")
    bell.counts(2)
    press("Escape")
    expect(bell.panel).to_be_hidden()
    expect(bell.button).to_be_focused()
    press("Space")
    expect(bell.panel).to_be_visible()
    bell.panel.locator("#all").focus()
    press("Enter")
    bell.counts(0)
    expect(bell.panel).to_be_focused()
    press("ArrowDown")
    press("Enter")
    bell.page.wait_for_url("**/admin/?about=Three")


def test_older_items_follow_page_by_page(bell: Bell, person: Person) -> None:
    for number in range(52):
        person.sends(f"Number {number}")
    bell.counts(52)
    bell.page.reload()
    bell.button.click()
    expect(bell.rows).to_have_count(50, timeout=PATIENCE_MS)
    bell.panel.get_by_role("button", name="Show older").click()
    expect(bell.rows).to_have_count(52)
    expect(bell.panel.get_by_role("button", name="Show older")).to_be_hidden()


def test_a_page_of_another_origin_shows_a_token(browser: Browser, person: Person) -> None:
    belfry = person.belfry
    belfry.manage("feedkey", "create", "--name", "app")
    token = belfry.manage("feedkey", "token", person.name).stdout.strip()
    html = f"""<!doctype html><script src="{belfry.url}/static/belfry/bell.js" defer></script>
        <belfry-bell api="{belfry.url}/api/v1" stream="{belfry.live_url}/rt" recipient="{person.name}"
                     token-url="/feed-token" words='{{"heading": "Meldungen"}}'></belfry-bell>"""
    pages = {"/": ("text/html", html), "/feed-token": ("application/json", json.dumps({"token": token}))}
    with site(pages) as address, browser.new_context() as context:
        bell = Bell(context.new_page())
        bell.page.goto(address)
        bell.is_now("live")
        person.sends("From far away")
        bell.counts(1)
        expect(bell.button).to_have_accessible_name("Meldungen,1 unread,Live")
        bell.button.click()
        bell.panel.locator("#all").click()
        bell.counts(0)
        person.comes_to(0)


@contextmanager
def site(pages: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """A web site of somebody else: by path, the type and the text. Its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = pages.get(self.path, ("text/plain", ""))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_client_without_a_face_goes_on_where_it_was(bell: Bell, person: Person) -> None:
    begin = """async () => {
      const { feed } = await import("/static/belfry/feed.js");
      const headers = () => ({ "X-CSRFToken": document.querySelector("belfry-bell").getAttribute("csrf") });
      const stream = document.querySelector("belfry-bell").getAttribute("stream");
      window.heard ||= [];
      const onChange = ({ type, title }) => window.heard.push(`${type} ${title ?? ""}`);
      window.end = feed({ stream, headers, store: "kept", onChange, onLink: (link) => (window.link = link) });
    }"""
    live, heard = "window.link === 'live' && localStorage.kept", "window.heard"
    bell.page.evaluate(begin)
    bell.page.wait_for_function(live, timeout=PATIENCE_MS)
    person.sends("While it listens")
    bell.page.wait_for_function(f"{heard}.length === 1", timeout=PATIENCE_MS)
    bell.page.evaluate("window.end()")
    person.sends("While it is away")
    bell.counts(2)
    bell.page.evaluate(begin)
    bell.page.wait_for_function(f"{heard}.length === 2", timeout=PATIENCE_MS)
    person.belfry.kill("rt")
    person.sends("While the stream is cut")
    bell.page.wait_for_function(f"{heard}.length === 3", timeout=PATIENCE_MS)
    bell.page.wait_for_function("window.link === 'live'", timeout=PATIENCE_MS)
    assert bell.page.evaluate(heard) == [
        "new While it listens",
        "new While it is away",
        "new While the stream is cut",
    ]


def test_the_demo_shows_bell_mail_and_webhook_side_by_side(bell: Bell) -> None:
    page = bell.page
    page.get_by_label("Title").fill("Seen from three sides")
    page.get_by_role("button", name="Send to").click()
    for place in ("#demo-changes", "#demo-mails", "#demo-webhooks"):
        expect(page.locator(place)).to_contain_text("Seen from three sides", timeout=PATIENCE_MS)
    expect(page.locator("#demo-fates .bf-good")).to_have_text(["delivered", "delivered"], timeout=PATIENCE_MS)
    bell.counts(1)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_list_stays_on_the_screen(browser: Browser, person: Person, size: tuple[int, int]) -> None:
    with person.device(browser, viewport={"width": size[0], "height": size[1]}) as context:
        bell = person.opens(context)
        for number in range(12):
            person.sends(f"{number} " + "a title that goes on " * 8, body="w" * 400)
        bell.counts(12)
        bell.button.click()
        expect(bell.rows).to_have_count(12)
        box = bell.panel.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size[1]
        assert bell.page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_pictures_of_the_documents(browser: Browser, person: Person, pictures: Path) -> None:
    """`./belfry test tests/browser -m browser --pictures docs/pictures` makes them again."""
    taken: list[tuple[str, tuple[int, int], Any]] = [("demo", (1280, 860), "light"), ("bell-phone", PHONE, "dark")]
    for name, size, scheme in taken:
        how = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": scheme}
        with person.device(browser, **how) as context:
            bell = person.opens(context)
            bell.page.get_by_role("button", name="Send to").click()
            for place in ("#demo-changes", "#demo-mails", "#demo-webhooks"):
                expect(bell.page.locator(place)).to_contain_text("The kettle is ready", timeout=PATIENCE_MS)
            expect(bell.toast).to_contain_text("The kettle is ready")
            if size == PHONE:
                bell.button.click()
                expect(bell.rows.first).to_be_visible()
            path = pictures / f"{name}.png"
            bell.page.screenshot(path=path)
            assert 5_000 < path.stat().st_size < 250_000
