"""Policies, streamers, API keys and the front page, as an operator uses them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from channels_app.models import Channel
from notifications.models import ApiKey, Policy, RulesVersion, Streamer
from tests.notifications.admin.evening import Evening, channel
from tests.notifications.scene import forget_the_rules

ADD_POLICY = "/admin/notifications/policy/add/"
OPEN = {
    "platform": "",
    "streamer": "",
    "enabled": "unknown",
    "min_priority": "",
    "event_types": "",
    "names_channels": "False",
}


def sent(**fields: Any) -> dict[str, Any]:
    """A policy that leaves everything open, but for `fields`."""
    return {"scope": "global", **OPEN, **fields}


def test_a_policy_that_is_left_empty_sets_nothing(admin_client: Client, db: None) -> None:
    assert admin_client.post(ADD_POLICY, sent()).status_code == 302
    policy = Policy.objects.get()
    assert (policy.enabled, policy.min_priority, policy.event_types, policy.names_channels) == (None, None, None, False)


def test_a_policy_takes_what_is_chosen(admin_client: Client, evening: Evening) -> None:
    lofi = Streamer.objects.get(key="lofi")
    chosen = sent(
        scope="streamer", streamer=lofi.pk, enabled="false", min_priority="8", names_channels="True",
        event_types="StreamOnline, download_*\r\n fatal_error", channels=[evening.ops.pk, evening.discord.pk],
    )  # fmt: skip
    before = RulesVersion.current() or 0
    assert admin_client.post(ADD_POLICY, chosen).status_code == 302
    policy = Policy.objects.get(streamer=lofi)
    assert (policy.enabled, policy.min_priority) == (False, 8)
    assert policy.event_types == ["stream_online", "download_*", "fatal_error"], "in the catalogue's spelling"
    assert {one.key for one in policy.channels.all()} == {"operations-pager", "stream-alerts"}
    assert (RulesVersion.current() or 0) > before, "workers hear of it"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scope": "platform"}, "Say which platform."),
        ({"scope": "streamer"}, "Say which streamer."),
        ({"platform": "twitch"}, "names neither platform nor streamer"),
        ({"scope": "platform", "platform": "twitch"}, "has a policy already"),
        ({}, "There is a global policy already"),
        ({"event_types": "<script>"}, "is no event type"),
        ({"min_priority": "11"}, "not one of the available choices"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_words(
    admin_client: Client, evening: Evening, fields: dict[str, str], said: str
) -> None:
    answer = admin_client.post(ADD_POLICY, sent(**fields))
    assert answer.status_code == 200
    assert said in str(answer.context["adminform"].form.errors)


def test_a_policy_refuses_channels_that_it_could_never_use(admin_client: Client, evening: Evening) -> None:
    own = Channel.objects.get(owner_key="nightowl")
    lofi = Streamer.objects.get(key="lofi")
    chosen = sent(scope="streamer", streamer=lofi.pk, names_channels="True", channels=[own.pk])
    answer = admin_client.post(ADD_POLICY, chosen)
    assert "belongs to nightowl" in answer.content.decode()
    ticked_in_vain = admin_client.post(ADD_POLICY, sent(scope="streamer", streamer=lofi.pk, channels=[evening.ops.pk]))
    assert "Channels are ticked" in ticked_in_vain.content.decode()


def test_a_streamer_shows_what_is_in_force_and_who_set_it(admin_client: Client, evening: Evening) -> None:
    forget_the_rules()
    answer = admin_client.get(reverse("admin:notifications_streamer_change", args=(evening.nightowl.pk,)))
    rows = {what: (str(value), str(where)) for what, value, where in answer.context["in_force"]}
    assert rows["Notifications"][0] == "on"
    assert "the policy for everyone" in rows["Notifications"][1]
    assert rows["Least priority"][0] == "2: low"
    assert "its own policy" in rows["Least priority"][1]
    assert rows["Event types"][0] == "stream_*, download_*, fatal_error"
    assert "the policy of twitch" in rows["Event types"][1]
    assert rows["Told"][0] == "Operations pager"


def test_without_policies_the_default_is_in_force(admin_client: Client, db: None) -> None:
    forget_the_rules()
    lonely = Streamer.objects.create(key="lonely", name="Lonely")
    channel("Everybody's")
    channel("Its own", owner_key="lonely")
    channel("Another's", owner_key="else")
    answer = admin_client.get(reverse("admin:notifications_streamer_change", args=(lonely.pk,)))
    rows = {what: (str(value), str(where)) for what, value, where in answer.context["in_force"]}
    assert rows["Told"][0] == "Everybody&#x27;s, Its own"
    assert {where for _, where in rows.values()} == {"no policy: Belfry's default"}
    html = answer.content.decode()
    assert f"?scope=streamer&amp;streamer={lonely.pk}" in html


def test_a_key_is_shown_once(admin_client: Client, db: None) -> None:
    answer = admin_client.post("/admin/notifications/apikey/add/", {"name": "recorder", "role": "producer"})
    key = ApiKey.objects.get()
    text = answer.context["text"]
    html = answer.content.decode()
    assert answer.status_code == 200
    assert text in html
    assert ApiKey.digest_of(text) == key.digest
    assert "no-store" in answer["Cache-Control"]
    assert text not in str(answer.cookies)
    change = reverse("admin:notifications_apikey_change", args=(key.pk,))
    for page in ("/admin/", "/admin/notifications/apikey/", change, f"{change.replace('change', 'history')}"):
        assert text not in admin_client.get(page).content.decode()
    assert text not in str([vars(entry) for entry in LogEntry.objects.all()])
    assert text not in str([session.get_decoded() for session in Session.objects.all()])


def test_a_key_keeps_its_role_and_may_be_renamed(admin_client: Client, evening: Evening) -> None:
    change = reverse("admin:notifications_apikey_change", args=(evening.key.pk,))
    admin_client.post(change, {"name": "renamed", "role": "operator"})
    evening.key.refresh_from_db()
    assert (evening.key.name, evening.key.role) == ("renamed", "producer")


def test_a_key_is_revoked_from_its_page_and_from_the_list(admin_client: Client, evening: Evening) -> None:
    other, _ = ApiKey.objects.issue("other", role="operator")
    button = reverse("admin:notifications_apikey_revoke", args=(evening.key.pk,))
    assert "This cannot be undone." in admin_client.post(button).content.decode()
    assert ApiKey.objects.filter(revoked_at__isnull=True).count() == 2
    admin_client.post(button, {"confirmed": "yes"})
    assert "nothing is left to revoke" in admin_client.post(button, {"confirmed": "yes"}, follow=True).content.decode()
    sent = {"action": "revoke", "_selected_action": [other.pk], "confirmed": "yes"}
    admin_client.post("/admin/notifications/apikey/", sent)
    assert ApiKey.objects.filter(revoked_at__isnull=True).count() == 0
    assert LogEntry.objects.filter(change_message="Revoked.").count() == 2
    assert admin_client.post(f"/admin/notifications/apikey/{other.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_front_page_says_how_things_stand(admin_client: Client, evening: Evening) -> None:
    html = admin_client.get("/admin/").content.decode()
    figures = [part.partition("</strong>")[0] for part in html.split("bf-strip")[1].split("<strong>")[1:5]]
    assert figures == ["1", "1", "4", "1"]
    for link in ("/admin/notifications/delivery/?state=open", "/admin/channels_app/channel/?service=trouble"):
        assert link in html
        assert admin_client.get(link).status_code == 200
    assert "First steps" not in html


def test_a_new_house_is_told_what_to_do_first(admin_client: Client, db: None) -> None:
    html = admin_client.get("/admin/").content.decode()
    assert "First steps" in html
    assert html.index("Add a channel") < html.index("Issue an API key") < html.index("Send a first notification")
    channel("First")
    assert "(done)" in admin_client.get("/admin/").content.decode()


def test_an_empty_list_says_what_to_do(admin_client: Client, db: None) -> None:
    assert (
        "No policy is set, so every shared channel hears of everything."
        in admin_client.get("/admin/notifications/policy/").content.decode()
    )
    assert "bf-empty" in admin_client.get("/admin/channels_app/channel/").content.decode()
