"""Every page of the admin, opened: it answers, shows no secret, and asks the database few questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifications import replays
from notifications.models import ApiKey, DeadLetter, Delivery, Notification, Policy, Streamer
from notifications.selection import Selection
from notifications.states import State
from tests.notifications.admin.evening import CANARY, Evening, an_evening, delivery, notification

OURS = ("notifications", "channels_app")


def models() -> list[type[Any]]:
    return [model for label in OURS for model in apps.get_app_config(label).get_models()]


def address(model: Any, page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def pages() -> Iterator[str]:
    """All pages that can be opened: lists, forms, histories, one of each row."""
    yield reverse("admin:index")
    for model in models():
        yield address(model, "changelist")
        for row in model.objects.all():
            yield address(model, "change", row.pk)
            yield address(model, "history", row.pk)
    for model in (Policy, Streamer, ApiKey):
        yield address(model, "add")
    add = reverse("admin:channels_app_channel_add")
    yield add
    yield f"{add}?kind=webhook"
    yield from (
        reverse("admin:channels_app_channel_delete", args=(row.pk,))
        for row in apps.get_model("channels_app.Channel").objects.all()
    )


def test_every_model_has_a_room() -> None:
    assert [model for model in models() if not admin.site.is_registered(model)] == []


def test_every_page_opens_and_none_shows_a_secret(admin_client: Client, evening: Evening) -> None:
    replays.start(Selection(channel="archive-mirror"), by="operator", pace_per_s=5, now=evening.now)
    for page in pages():
        answer = admin_client.get(page)
        html = answer.content.decode()
        assert answer.status_code == 200, page
        assert CANARY not in html, page
        assert "Y0FuQXJZN2YzZA" not in html, page
        assert evening.key_text not in html, page


@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_a_row_that_is_not_there_is_not_an_error(page: str, admin_client: Client) -> None:
    for model in (*models(), LogEntry):
        assert admin_client.get(address(model, page, "987654321")).status_code in (302, 403, 404)


def test_lists_ask_no_more_for_more_rows(admin_client: Client, evening: Evening) -> None:
    lists = [address(model, "changelist") for model in models()]
    few = {page: _queries(admin_client, page) for page in lists}
    for place in range(20):
        told = notification(evening.now, place, "stream_online", "More", streamer=evening.nightowl)
        delivery(told, evening.archive, State.DEAD, [("permanent", 404, "Gone")])
        Streamer.objects.create(key=f"more-{place}", name="More")
        ApiKey.objects.issue("more", role="producer", streamer=Streamer.objects.get(key=f"more-{place}"))
    assert {page: _queries(admin_client, page) for page in lists} == few
    assert max(few.values()) <= 15


def test_a_notification_costs_the_same_however_many_deliveries_it_has(admin_client: Client, evening: Evening) -> None:
    page = address(Notification, "change", evening.dead.pk)
    few = _queries(admin_client, page)
    for place in range(9):
        delivery(evening.dead, evening.ops, State.DELIVERED, [("ok", 204, "")] * 5, address=str(place))
    assert _queries(admin_client, page) == few


def test_a_reader_may_look_and_touches_nothing(client: Client, django_user_model: Any) -> None:
    found = an_evening()
    reader = django_user_model.objects.create_user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(reader)
    rooms: tuple[Any, ...] = (Notification, Delivery, DeadLetter, Policy, Streamer, ApiKey)
    for model in rooms:
        assert client.get(address(model, "changelist")).status_code == 200
        assert client.get(address(model, "change", model.objects.values_list("pk", flat=True)[0])).status_code == 200
    denied = client.get(address(Policy, "add"))
    assert (denied.status_code, "does not have the right" in denied.content.decode()) == (403, True)
    client.post(address(Notification, "withdraw", found.retrying.pk), {"confirmed": "yes"})
    assert client.post(reverse("admin:channels_app_channel_test", args=(found.ops.pk,))).status_code == 403
    assert client.post(reverse("admin:channels_app_channel_delete", args=(found.ops.pk,))).status_code == 403
    client.post(address(ApiKey, "revoke", found.key.pk), {"confirmed": "yes"})
    letters = DeadLetter.objects.values_list("pk", flat=True)
    client.post(
        address(DeadLetter, "changelist"), {"action": "replay", "_selected_action": list(letters), "confirmed": "yes"}
    )
    found.retrying.refresh_from_db()
    found.key.refresh_from_db()
    found.ops.refresh_from_db()
    assert (found.retrying.withdrawn_at, found.key.revoked_at, found.ops.deleted_at) == (None, None, None)
    assert DeadLetter.objects.decided().count() == 0


def test_buttons_answer_to_post_alone(admin_client: Client, evening: Evening) -> None:
    assert admin_client.get(address(Notification, "withdraw", evening.retrying.pk)).status_code == 405
    assert admin_client.get(address(ApiKey, "revoke", evening.key.pk)).status_code == 405
    assert admin_client.get(reverse("admin:channels_app_channel_test", args=(evening.ops.pk,))).status_code == 405


def _queries(client: Client, page: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(page).status_code == 200
    # The clock asks on its own, every few seconds.
    return len([query for query in asked if "clock_timestamp" not in query["sql"]])
