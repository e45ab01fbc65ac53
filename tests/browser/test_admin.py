"""The admin in a real browser: what scripts, styles and small screens do to it; and the pictures of the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from channels_app.models import Channel
from notifications.models import DeadLetter, Policy, Streamer
from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.notifications.admin.evening import Evening

pytestmark = pytest.mark.browser


def notification_page(evening: Evening) -> str:
    return reverse("admin:notifications_notification_change", args=(evening.dead.pk,))


def rooms(evening: Evening) -> list[str]:
    policy = Policy.objects.get(scope="streamer")
    return [
        "/admin/",
        "/admin/notifications/notification/",
        notification_page(evening),
        "/admin/notifications/delivery/",
        "/admin/notifications/deadletter/",
        "/admin/notifications/deadletter/groups/",
        f"/admin/notifications/deadletter/groups/replay/?channel={evening.archive.pk}",
        f"/admin/notifications/deadletter/groups/discard/?channel={evening.archive.pk}",
        "/admin/notifications/replayjob/",
        "/admin/channels_app/channel/add/",
        reverse("admin:channels_app_channel_change", args=(evening.ops.pk,)),
        reverse("admin:channels_app_channel_delete", args=(evening.ops.pk,)),
        reverse("admin:notifications_policy_change", args=(policy.pk,)),
        reverse("admin:notifications_streamer_change", args=(evening.nightowl.pk,)),
    ]


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_no_page_is_wider_than_the_screen(open_page: OpenPage, evening: Evening, size: tuple[int, int]) -> None:
    page = open_page("/admin/", size)
    for address in rooms(evening):
        page.goto(page.url.partition("/admin/")[0] + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], address


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_long_names_are_broken_and_push_nothing_away(
    open_page: OpenPage, evening: Evening, size: tuple[int, int]
) -> None:
    Channel.objects.update(name="Bell" * 40)
    Streamer.objects.update(name="Owl" * 50)
    page = open_page("/admin/", size)
    for address in [*rooms(evening), "/admin/channels_app/channel/", "/admin/notifications/streamer/"]:
        page.goto(page.url.partition("/admin/")[0] + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], address
        beyond = "[...document.querySelectorAll('.results, .bf-section')].map((e) => e.scrollWidth - e.clientWidth)"
        assert max([0, *page.evaluate(beyond)]) <= 1, address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_badges_can_be_read(open_page: OpenPage, evening: Evening, scheme: str) -> None:
    page = open_page("/admin/notifications/notification/", DESKTOP, scheme)
    assert min(page.evaluate(_CONTRASTS)) >= 4.5


def test_a_channel_is_added_by_hand(open_page: OpenPage, evening: Evening) -> None:
    page = open_page("/admin/channels_app/channel/")
    page.get_by_role("link", name="Add channel").click()
    page.get_by_role("link", name="Webhook A JSON").click()
    page.get_by_label("Name:", exact=True).press_sequentially("Front Desk")
    expect(page.get_by_label("Key:", exact=True)).to_have_value("front-desk")
    page.get_by_label("URL:").fill("ftp://nowhere")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".field-config_url .errorlist")).to_be_visible()
    expect(page.get_by_label("URL:")).to_have_value("")
    page.get_by_label("URL:").fill("https://desk.example.org/")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    assert Channel.objects.get(key="front-desk").shown_config["url"] == "********"


def test_a_policy_shows_the_fields_that_its_scope_asks_for(open_page: OpenPage, evening: Evening) -> None:
    page = open_page("/admin/notifications/policy/add/")
    platform, channels = page.locator(".form-row.field-platform"), page.locator(".form-row.field-channels")
    expect(platform).to_be_hidden()
    page.get_by_label("Scope:").select_option("platform")
    expect(platform).to_be_visible()
    expect(channels).to_be_hidden()
    page.get_by_label("exactly the channels that are ticked below").check()
    expect(channels).to_be_visible()


def test_what_a_policy_does_not_ask_for_any_more_is_not_sent(open_page: OpenPage, evening: Evening) -> None:
    Policy.objects.filter(scope="global").delete()
    page = open_page("/admin/notifications/policy/add/")
    page.get_by_label("Scope:").select_option("platform")
    page.get_by_label("Platform:").fill("somewhere")
    page.get_by_label("exactly the channels that are ticked below").check()
    page.locator(".field-channels input").first.check()
    page.get_by_label("as the wider policy says").check()
    page.get_by_label("Scope:").select_option("global")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    policy = Policy.objects.get(scope="global")
    assert (policy.platform, policy.names_channels, policy.channels.count()) == ("", False, 0)


def test_dead_letters_are_replayed_after_a_look(open_page: OpenPage, evening: Evening) -> None:
    page = open_page("/admin/notifications/deadletter/")
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("replay")
    page.get_by_role("button", name="Go").click()
    expect(page.locator(".bf-lead")).to_contain_text("4 of 4 chosen will be sent once more")
    assert DeadLetter.objects.decided().count() == 0
    page.get_by_role("button", name="Replay 4").click()
    expect(page.locator(".messagelist")).to_contain_text("Sent on their way once more: 4.")
    expect(page.locator(".bf-empty")).to_contain_text("No dead letter waits for you.")
    assert set(DeadLetter.objects.values_list("decided_by", flat=True)) == {"operator"}


def test_the_pictures_of_the_documents(open_page: OpenPage, evening: Evening, pictures: Path) -> None:
    """`./belfry test tests/browser -m browser --pictures docs/pictures` makes them again."""
    taken: list[tuple[str, str, tuple[int, int], Any]] = [
        ("admin-notification", notification_page(evening), (1280, 830), "light"),
        ("admin-dead-letters", "/admin/notifications/deadletter/", (1280, 760), "dark"),
        ("admin-front-page-phone", "/admin/", PHONE, "light"),
    ]
    for name, address, size, scheme in taken:
        page = open_page(address, size, scheme)
        path = pictures / f"{name}.png"
        page.screenshot(path=path)
        assert 5_000 < path.stat().st_size < 200_000


#: The contrast of every badge: WCAG's ratio of its text to its ground.
_CONTRASTS = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll(".bf-badge")].map((badge) => {
    const style = getComputedStyle(badge);
    const [a, b] = [light(style.color), light(style.backgroundColor)].sort();
    return (b + 0.05) / (a + 0.05);
  });
}"""
