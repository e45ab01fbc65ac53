"""List actions that nobody can undo: what they ask, what they carry on, what they say where nothing is left to do."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from channels_app.models import FeedKey
from notifications.models import ApiKey, Notification
from tests.notifications.admin.evening import Evening, notification

NOTIFICATIONS = reverse("admin:notifications_notification_changelist")
KEYS = {
    ApiKey: reverse("admin:notifications_apikey_changelist"),
    FeedKey: reverse("admin:channels_app_feedkey_changelist"),
}


class Hidden(HTMLParser):
    """The hidden fields of a page, as a browser sends them back."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "input" and found.get("type") == "hidden":
            self.fields.setdefault(found["name"] or "", []).append(found["value"] or "")


def ask(client: Client, address: str, action: str, rows: list[Any], **more: str) -> str:
    """What the list's own form sends at "Go"; the page that comes of it."""
    sent = {"index": "0", "action": action, "select_across": "0", "_selected_action": [row.pk for row in rows], **more}
    html: str = client.post(address, sent, follow=True).content.decode()
    return html


def confirm(client: Client, address: str, html: str) -> str:
    said: str = client.post(address, Hidden(html).fields, follow=True).content.decode()
    return said


def issued(model: Any, count: int) -> list[Any]:
    role = {"role": "producer"} if model is ApiKey else {}
    return [model.objects.issue(f"key-{place:02}", **role)[0] for place in range(count)]


@pytest.mark.parametrize("model", KEYS)
def test_revoking_many_keys_asks_with_their_number_and_first_names(admin_client: Client, model: Any) -> None:
    keys = issued(model, 12)
    html = ask(admin_client, KEYS[model], "revoke", keys)
    assert f"Revoke 12 {model._meta.verbose_name_plural}?" in html
    assert "This cannot be undone." in html
    assert html.count("<li>key-") == 10
    assert "and 2 more" in html
    assert f'href="{KEYS[model]}">Back, change nothing</a>' in html
    assert not model.objects.filter(revoked_at__isnull=False).exists()
    assert "Revoked: 12." in confirm(admin_client, KEYS[model], html)
    assert not model.objects.filter(revoked_at__isnull=True).exists()


@pytest.mark.parametrize("model", KEYS)
def test_one_ticked_key_is_called_by_its_name(admin_client: Client, model: Any) -> None:
    key, other = issued(model, 2)
    html = ask(admin_client, KEYS[model], "revoke", [key])
    assert f"Revoke {key}?" in html
    confirm(admin_client, KEYS[model], html)
    assert list(model.objects.filter(revoked_at__isnull=True)) == [other]


@pytest.mark.parametrize("model", KEYS)
def test_where_no_key_is_left_to_revoke_a_warning_says_so(admin_client: Client, model: Any) -> None:
    keys = issued(model, 2)
    asked = ask(admin_client, KEYS[model], "revoke", keys)
    confirm(admin_client, KEYS[model], asked)
    for html in (ask(admin_client, KEYS[model], "revoke", keys), confirm(admin_client, KEYS[model], asked)):
        assert '<li class="warning">Nothing was changed: nothing is left to revoke.</li>' in html
        assert "Revoked: 0" not in html


def test_everything_that_fits_a_filter_is_withdrawn_and_nothing_newer(admin_client: Client, evening: Evening) -> None:
    address = f"{NOTIFICATIONS}?standing=dead"
    html = ask(admin_client, address, "withdraw", [evening.dead], select_across="1")
    assert "Withdraw 4 notifications?" in html
    assert f'href="{address}">Back, change nothing</a>' in html
    assert "Withdrawn: 4." in confirm(admin_client, address, html)
    html = ask(admin_client, NOTIFICATIONS, "withdraw", [evening.dead], select_across="1")
    later = notification(evening.now, 0, "stream_online", "Later")
    assert "Withdrawn: 18." in confirm(admin_client, NOTIFICATIONS, html)
    assert list(Notification.objects.filter(withdrawn_at__isnull=True)) == [later]


def test_what_was_withdrawn_already_is_not_withdrawn_again(admin_client: Client, evening: Evening) -> None:
    html = ask(admin_client, NOTIFICATIONS, "withdraw", [evening.retrying])
    assert "Withdraw Disk almost full" in html
    confirm(admin_client, NOTIFICATIONS, html)
    assert "nothing is left to withdraw" in ask(admin_client, NOTIFICATIONS, "withdraw", [evening.retrying])
    html = ask(admin_client, NOTIFICATIONS, "withdraw", [evening.retrying, evening.dead])
    assert "Withdraw 2" not in html


def test_names_are_shown_as_text(admin_client: Client, evening: Evening) -> None:
    hostile = notification(evening.now, 0, "x", "<script>alert(1)</script>")
    html = ask(admin_client, NOTIFICATIONS, "withdraw", [hostile, evening.dead])
    assert "<li>&lt;script&gt;alert(1)" in html
    assert "<script>alert(1)" not in html
