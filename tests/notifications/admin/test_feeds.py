"""Feeds in the admin: what is in them, how far it got, erasure; follows; a notification's way into feeds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from channels_app.feed import acking, marking
from channels_app.feed.cursor import Cursor
from channels_app.models import FeedKey, InboxItem
from notifications import clock
from notifications.models import Follow, Notification, Streamer
from tests.notifications.scene import accept, route

pytestmark = pytest.mark.django_db

#: A key that would be cut at its slash, and run as a script, if nobody took care.
ANN = "0x/ann<b>"


@pytest.fixture
def notification() -> Notification:
    Follow.objects.create(recipient=ANN, streamer=Streamer.objects.create(key="aurora", name="Aurora"))
    pk = accept(streamer="aurora", recipients=["ben"], title="Speedrun")
    route()
    return Notification.objects.get(pk=pk)


def address(page: str, recipient: str = ANN) -> str:
    changing = reverse("admin:channels_app_inboxstate_changelist")
    quoted = recipient.replace("/", "_2F").replace("<", "_3C").replace(">", "_3E")
    return f"{changing}{quoted}/{page}/"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    html: str = answer.content.decode()
    return html


def test_a_feed_shows_how_far_each_item_got(admin_client: Client, notification: Notification) -> None:
    now = clock.now()
    acking.ack(ANN, "phone", upto=Cursor(1, 1), now=now)
    marking.seen(ANN, upto=Cursor(1, 1), now=now + timedelta(seconds=1))
    html = page(admin_client, address("change"))
    assert "Speedrun" in html
    assert "on phone" in html
    assert f"{now:%H:%M:%S}" in html
    assert f"{now + timedelta(seconds=1):%H:%M:%S}" in html
    assert "<b>" not in html
    assert "Aurora" in html


def test_items_are_found_by_recipient_by_notification_and_by_how_far_they_got(
    admin_client: Client, notification: Notification
) -> None:
    url = reverse("admin:channels_app_inboxitem_changelist")
    acking.ack("ben", "phone", upto=Cursor(1, 1), now=clock.now())

    def found(**query: str) -> list[str]:
        return sorted(item.recipient for item in admin_client.get(url, query).context["cl"].result_list)

    assert found(q="ben") == ["ben"]
    assert found(q=str(notification.pk)) == [ANN, "ben"]
    assert found(reach="delivered") == ["ben"]
    assert found(reach="waiting") == [ANN]
    assert found(reach="deleted") == []


def test_an_item_leads_to_its_notification(admin_client: Client, notification: Notification) -> None:
    item = InboxItem.objects.get(recipient="ben")
    html = page(admin_client, reverse("admin:channels_app_inboxitem_change", args=(item.pk,)))
    assert reverse("admin:notifications_notification_change", args=(notification.pk,)) in html


def test_a_notification_says_into_how_many_feeds_it_came_and_which_device_had_it_first(
    admin_client: Client, notification: Notification
) -> None:
    Notification.objects.filter(pk=notification.pk).update(
        first_ack_at=clock.now(), first_ack_device="phone", first_ack_recipient="ben"
    )
    marking.read("ben", everything=True, now=clock.now())
    html = page(admin_client, reverse("admin:notifications_notification_change", args=(notification.pk,)))
    assert "Written into 2 feeds" in html
    assert "The device phone of ben had it first." in html
    assert "Seen: 1. Read: 1." in html


def test_what_stands_in_feeds_alone_went_somewhere(admin_client: Client, notification: Notification) -> None:
    url = reverse("admin:notifications_notification_changelist")

    def found(standing: str) -> list[Notification]:
        return list(admin_client.get(url, {"standing": standing}).context["cl"].result_list)

    assert found("delivered") == [notification]
    assert found("nowhere") == found("waiting") == []


def test_erasing_asks_first(admin_client: Client, notification: Notification) -> None:
    asked = page(admin_client, address("erase"))
    assert "<strong>1</strong> item" in asked
    assert InboxItem.objects.filter(recipient=ANN).exists()
    answer = admin_client.post(address("erase"), follow=True)
    assert answer.status_code == 200
    assert "Erased. Items: 1. Follows: 1." in answer.content.decode()
    assert not InboxItem.objects.filter(recipient=ANN).exists()
    assert not Follow.objects.exists()
    assert LogEntry.objects.filter(object_id=ANN).count() == 1


def test_who_may_only_look_erases_nothing(client: Client, notification: Notification) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(reader)
    assert "Erase" not in page(client, address("change"))
    assert client.post(address("erase")).status_code == 403
    assert InboxItem.objects.filter(recipient=ANN).exists()


def test_a_follow_is_made_with_the_one_spelling_of_its_recipient(admin_client: Client) -> None:
    aurora = Streamer.objects.create(key="aurora", name="Aurora")
    url = reverse("admin:notifications_follow_add")
    sent = {"recipient": " 0xAB ", "streamer": aurora.pk, "min_priority": 8}
    assert admin_client.post(url, sent).status_code == 302
    assert Follow.objects.get().recipient == "0xab"
    assert "already" in admin_client.post(url, sent).content.decode()
    assert "nobody&#x27;s key" in admin_client.post(url, {**sent, "recipient": "*"}).content.decode()


def test_feed_keys_are_revoked(admin_client: Client) -> None:
    key, secret = FeedKey.objects.issue("shop")
    url = reverse("admin:channels_app_feedkey_changelist")
    assert secret not in page(admin_client, url)
    sent = {"action": "revoke", "_selected_action": [key.pk]}
    assert "This cannot be undone." in admin_client.post(url, sent).content.decode()
    assert FeedKey.objects.filter(revoked_at__isnull=True).get() == key
    assert "Revoked: 1." in admin_client.post(url, {**sent, "confirmed": "yes"}, follow=True).content.decode()
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.secrets == ""
