"""Notifications in the admin: found by any id, explained in words, withdrawn."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from notifications.models import Delivery, Notification
from notifications.states import State
from tests.notifications.admin.evening import Evening, delivery, notification

LIST = "/admin/notifications/notification/"


def page(client: Client, found: Notification) -> str:
    html: str = client.get(reverse("admin:notifications_notification_change", args=(found.pk,))).content.decode()
    return html


def listed(client: Client, **query: Any) -> list[Notification]:
    return list(client.get(LIST, query).context["cl"].result_list)


def test_the_page_tells_every_attempt_and_where_it_ended(admin_client: Client, evening: Evening) -> None:
    html = page(admin_client, evening.dead)
    said = ["Meant for Archive mirror", "Attempt 1: 500", "Attempt 2:", "No answer came in time.",
            "Attempt 3: 410", "Given up after 3 attempts"]  # fmt: skip
    places = [html.index(text, html.index("Meant for Archive mirror")) for text in said]
    assert places == sorted(places)
    assert "Replay or discard" in html
    assert "Given up: " in html


def test_the_page_names_the_policy_that_decided(admin_client: Client, evening: Evening) -> None:
    html = page(admin_client, evening.suppressed)
    assert "A policy decided against it: Priority 2 (low) is below 5 (normal), the least that the global policy" in html


def test_the_page_says_when_the_next_try_comes_and_what_it_waits_for(admin_client: Client, evening: Evening) -> None:
    html = page(admin_client, evening.retrying)
    assert "Next try" in html
    assert "Waits until then" in html
    assert "The channel asked us to slow down." in html


def test_one_that_went_nowhere_says_why(admin_client: Client, evening: Evening) -> None:
    nowhere = Notification.objects.get(event_type="config_updated")
    assert "No channel is meant for it" in page(admin_client, nowhere)
    new = notification(evening.now, 0, "stream_online", "New", routed_at=None)
    assert "has not been routed yet" in page(admin_client, new)


def test_what_a_producer_sent_is_shown_as_text(admin_client: Client, evening: Evening) -> None:
    hostile = "<script>alert(1)</script>"
    found = notification(evening.now, 0, "x", hostile, body=hostile, data={"a": hostile}, recipients=[hostile])
    one = delivery(found, evening.ops, State.DEAD, [("permanent", 400, hostile)], reason=hostile)
    assert hostile not in page(admin_client, found)
    for address in (
        LIST,
        "/admin/notifications/delivery/",
        "/admin/notifications/deadletter/",
        "/admin/notifications/attempt/",
    ):
        assert hostile not in admin_client.get(address).content.decode()
    assert hostile not in admin_client.get(f"/admin/notifications/delivery/{one.pk}/change/").content.decode()


def test_one_without_a_title_is_called_as_its_receivers_read_it(admin_client: Client, evening: Evening) -> None:
    found = notification(evening.now, 0, "stream_online", "", streamer=evening.nightowl)
    delivery(found, evening.archive, State.DEAD, [("permanent", 404, "?")])
    for address in (LIST, "/admin/notifications/delivery/", "/admin/notifications/deadletter/"):
        assert "NightOwl is live" in admin_client.get(address).content.decode().split("result_list")[1]
    assert "<h2>NightOwl is live</h2>" in page(admin_client, found)


def test_any_id_leads_to_it(admin_client: Client, evening: Evening) -> None:
    first = evening.dead.deliveries.all()[0]
    for words in (str(evening.dead.pk), evening.dead.pk.hex, first.idempotency_id, f" {evening.dead.pk} "):
        assert listed(admin_client, q=words) == [evening.dead]
    found = admin_client.get("/admin/notifications/delivery/", {"q": first.idempotency_id}).context["cl"].result_list
    assert list(found) == [first]
    assert listed(admin_client, q="Disk almost") == [evening.retrying]
    assert listed(admin_client, q="no such thing") == []


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 22),
        ({"standing": "waiting"}, 1),
        ({"standing": "dead"}, 4),
        ({"standing": "delivered"}, 16),
        ({"standing": "suppressed"}, 1),
        ({"standing": "nowhere"}, 1),
        ({"standing": "withdrawn"}, 0),
        ({"urgency": "critical"}, 1),
        ({"urgency": "low"}, 2),
        ({"standing": "dead", "urgency": "high"}, 1),
    ],
)
def test_filters_find_what_they_name(admin_client: Client, evening: Evening, query: dict[str, str], count: int) -> None:
    assert len(listed(admin_client, **query)) == count


def test_the_filter_by_age_goes_by_the_time_in_the_id(admin_client: Client, evening: Evening) -> None:
    assert len(listed(admin_client, accepted="hour")) == 22
    Notification.objects.all().delete()
    assert listed(admin_client, accepted="hour") == []


def test_withdrawing_ends_what_is_open_and_is_logged(admin_client: Client, evening: Evening) -> None:
    button = reverse("admin:notifications_notification_withdraw", args=(evening.retrying.pk,))
    assert button in page(admin_client, evening.retrying)
    assert "This cannot be undone." in admin_client.post(button).content.decode()
    assert not Notification.objects.filter(withdrawn_at__isnull=False).exists()
    assert "end now: 2." in admin_client.post(button, {"confirmed": "yes"}, follow=True).content.decode()
    evening.retrying.refresh_from_db()
    assert evening.retrying.withdrawn_at is not None
    states = {one.state: one.reason for one in Delivery.objects.filter(notification=evening.retrying)}
    assert states == {"cancelled": "Withdrawn by admin."}
    assert LogEntry.objects.latest("pk").change_message == "Withdrawn; deliveries ended: 2."
    assert button not in page(admin_client, evening.retrying)


def test_show_all_is_offered_where_not_all_are_shown(admin_client: Client, evening: Evening) -> None:
    assert "Show all" not in admin_client.get(LIST).content.decode()
    assert "Show all" not in admin_client.get(LIST, {"o": "1"}).content.decode(), "sorted, and still all of them"
    assert "Show all" in admin_client.get(LIST, {"standing": "dead"}).content.decode()
    assert "Show all" in admin_client.get(LIST, {"q": "archive"}).content.decode()


def test_many_are_withdrawn_from_the_list(admin_client: Client, evening: Evening) -> None:
    ids = [evening.retrying.pk, evening.dead.pk]
    sent = {"action": "withdraw", "_selected_action": ids}
    assert "Withdraw 2 notifications?" in admin_client.post(LIST, sent).content.decode()
    assert not Notification.objects.filter(withdrawn_at__isnull=False).exists()
    answer = admin_client.post(LIST, {**sent, "confirmed": "yes"}, follow=True)
    assert "Withdrawn: 2. Deliveries that were still open and end now: 2." in answer.content.decode()
    assert Delivery.objects.filter(notification=evening.dead, state="delivered").count() == 1


def test_nobody_writes_one_by_hand(admin_client: Client, evening: Evening) -> None:
    assert admin_client.get(f"{LIST}add/").status_code == 403
    change = reverse("admin:notifications_notification_change", args=(evening.dead.pk,))
    assert admin_client.post(change, {"title": "Changed"}).status_code == 403
    assert admin_client.post(change.replace("change", "delete"), {"post": "yes"}).status_code == 403
