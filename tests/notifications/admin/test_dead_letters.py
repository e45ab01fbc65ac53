"""Dead letters in the admin: looked at first, then decided on, by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from notifications import clock, replays
from notifications.admin import dead_letter, selecting
from notifications.models import DeadLetter, Delivery, Notification, ReplayJob
from notifications.states import State
from tests.notifications.admin.evening import Evening, bury, delivery, notification

LIST = "/admin/notifications/deadletter/"


def ask(client: Client, action: str, letters: Any, **more: Any) -> Any:
    ids = [letter.pk for letter in letters]
    return client.post(f"{LIST}?decision=all", {"action": action, "_selected_action": ids, **more})


def confirm(client: Client, action: str, letters: Any, **more: Any) -> Any:
    return ask(client, action, letters, confirmed="yes", **more)


def test_the_list_shows_what_waits_and_the_causes_on_top(admin_client: Client, evening: Evening) -> None:
    html = admin_client.get(LIST).content.decode()
    assert "<strong>3 ×</strong> Archive mirror" in html
    assert "<strong>1 ×</strong> Archive mirror" in html
    DeadLetter.objects.discard(
        [letter.pk for letter in DeadLetter.objects.all()], reason="old", by="operator", now=evening.now
    )
    html = admin_client.get(LIST).content.decode()
    assert "No dead letter waits for you." in html
    assert "discarded by operator" in admin_client.get(f"{LIST}?decision=discarded").content.decode()


def test_a_cause_leads_to_its_letters(admin_client: Client, evening: Evening) -> None:
    query: dict[str, Any] = {"fingerprint__exact": "permanent-404", "channel": evening.archive.pk}
    answer = admin_client.get(LIST, query)
    assert answer.context["cl"].result_count == 3


def test_replaying_shows_first_what_would_be_sent(admin_client: Client, evening: Evening) -> None:
    html = ask(admin_client, "replay", DeadLetter.objects.all()).content.decode()
    assert "<strong>4</strong> of 4 chosen will be sent once more" in html
    assert "Archive mirror" in html
    assert DeadLetter.objects.decided().count() == 0
    assert Delivery.objects.in_state(State.DEAD).count() == 4


def test_replaying_sends_once_more_and_says_who_did_it(admin_client: Client, evening: Evening) -> None:
    letters = list(DeadLetter.objects.all())
    answer = confirm(admin_client, "replay", letters)
    assert answer.status_code == 302
    assert Delivery.objects.in_state(State.DEAD).count() == 0
    assert {letter.decided_by for letter in DeadLetter.objects.all()} == {"admin"}
    assert LogEntry.objects.filter(change_message="Replayed.").count() == 4
    again = ask(admin_client, "replay", letters).content.decode()
    assert "None of the 4 chosen can be sent once more." in again
    assert "4 left out: somebody has decided on them already." in again
    sent = {"action": "replay", "_selected_action": [letter.pk for letter in letters]}
    assert "4 left out: somebody decided on them while you looked." in admin_client.post(LIST, sent).content.decode()


def test_what_cannot_be_replayed_is_left_out_with_the_reason(admin_client: Client, evening: Evening) -> None:
    told = notification(evening.now, 1, "stream_online", "Came back")
    alive = delivery(told, evening.discord, State.DELIVERED, [("ok", 204, "")])
    bury(alive, ("permanent", 400, "?"), evening.now)
    late = delivery(told, evening.archive, State.DEAD, [("gone", 410, "Gone")])
    Delivery.objects.filter(pk=late.pk).update(expires_at=evening.now - timedelta(hours=1))
    decided = DeadLetter.objects.earliest("pk")
    DeadLetter.objects.discard([decided.pk], reason="old", by="operator", now=evening.now)
    regretted = delivery(
        notification(evening.now, 2, "stream_online", "Regretted"), evening.discord, State.DEAD, [("gone", 410, "Gone")]
    )
    Notification.objects.filter(pk=regretted.notification_id).update(withdrawn_at=evening.now)
    html = ask(admin_client, "replay", DeadLetter.objects.all()).content.decode()
    assert "<strong>4</strong> of 7 chosen" in html
    assert "1 left out: withdrawn by its producer" in html
    assert "1 left out: somebody has decided" in html
    assert "1 left out: the delivery is not dead any more" in html
    assert "1 of those that are sent had expired" in html
    evening.archive.retire(evening.now)
    html = ask(admin_client, "replay", DeadLetter.objects.all()).content.decode()
    assert "4 left out: the channel was deleted" in html
    confirm(admin_client, "replay", DeadLetter.objects.all())
    assert Delivery.objects.in_state(State.PENDING).count() == 0


def test_what_is_buried_after_the_preview_is_not_replayed_with_it(admin_client: Client, evening: Evening) -> None:
    preview = ask(admin_client, "replay", DeadLetter.objects.all()[:1], select_across="1")
    assert preview.context["preview"].to_replay == 4
    newest = preview.context["newest"]
    told = notification(evening.now, 0, "stream_online", "Later")
    later = delivery(told, evening.archive, State.DEAD, [("permanent", 404, "No such bucket")])
    confirm(admin_client, "replay", DeadLetter.objects.all()[:1], select_across="1", newest=newest)
    assert list(Delivery.objects.in_state(State.DEAD)) == [later]


def test_everything_that_fits_a_filter_is_decided_on_at_once(admin_client: Client, evening: Evening) -> None:
    one = DeadLetter.objects.filter(outcome="permanent").first()
    assert one is not None
    sent = {
        "action": "discard",
        "_selected_action": [one.pk],
        "select_across": "1",
        "confirmed": "yes",
        "reason": "gone",
    }
    admin_client.post(f"{LIST}?outcome__exact=permanent", sent)
    assert DeadLetter.objects.decided().count() == 3


def test_discarding_asks_for_a_reason(admin_client: Client, evening: Evening) -> None:
    html = confirm(admin_client, "discard", DeadLetter.objects.all(), reason="  ").content.decode()
    assert "Say why" in html
    assert DeadLetter.objects.decided().count() == 0
    confirm(admin_client, "discard", DeadLetter.objects.all(), reason="The mirror was taken down.")
    assert {letter.discard_reason for letter in DeadLetter.objects.all()} == {"The mirror was taken down."}
    assert Delivery.objects.in_state(State.DEAD).count() == 4, "they stay dead, and readable"


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_who_decides_second_is_told_that_nothing_changed(admin_client: Client, evening: Evening, action: str) -> None:
    letters = list(DeadLetter.objects.all())
    confirm(admin_client, action, letters, reason="because")
    answer = admin_client.get(confirm(admin_client, action, letters, reason="because")["Location"])
    said = [(message.level_tag, message.message) for message in answer.context["messages"]]
    assert said[-1][0] == "warning"
    assert "Nothing was changed" in said[-1][1]


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_a_single_letter_is_decided_on_from_its_page(admin_client: Client, evening: Evening, action: str) -> None:
    letter = DeadLetter.objects.latest("pk")
    page = admin_client.get(reverse("admin:notifications_deadletter_change", args=(letter.pk,))).content.decode()
    assert f'name="action" value="{action}"' in page
    confirm(admin_client, action, [letter], reason="because")
    assert DeadLetter.objects.decided().count() == 1


@pytest.fixture
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letter, "AT_ONCE", 2)


@pytest.mark.usefixtures("_few_are_many")
def test_many_are_replayed_by_a_job_that_one_can_watch(admin_client: Client, evening: Evening) -> None:
    assert 'name="pace"' in ask(admin_client, "replay", DeadLetter.objects.all()).content.decode()
    answer = confirm(admin_client, "replay", DeadLetter.objects.all(), pace="5000")
    job = ReplayJob.objects.get()
    assert answer["Location"] == reverse("admin:notifications_replayjob_change", args=(job.pk,))
    assert (job.by, job.total, job.pace_per_s) == ("admin", 4, 5000.0)
    assert LogEntry.objects.filter(object_id=str(job.pk)).count() == 1
    html = admin_client.get(answer["Location"]).content.decode()
    assert "0 of 4" in html
    assert 'http-equiv="refresh"' in html
    replays.advance(job.pk, clock.now() + timedelta(seconds=5))
    html = admin_client.get(answer["Location"]).content.decode()
    assert "4 of 4" in html
    assert Delivery.objects.in_state(State.DEAD).count() == 0


@pytest.mark.usefixtures("_few_are_many")
def test_a_job_is_ended_by_hand(admin_client: Client, evening: Evening) -> None:
    page = confirm(admin_client, "replay", DeadLetter.objects.all())["Location"]
    assert ">Cancel</button>" in admin_client.get(page).content.decode()
    answer = admin_client.post(page.replace("change", "cancel"), follow=True)
    assert "It is ended" in answer.content.decode()
    assert (ReplayJob.objects.get().state, ReplayJob.objects.get().cancelled_by) == ("cancelled", "admin")
    assert ">Cancel</button>" not in answer.content.decode()
    assert 'http-equiv="refresh"' not in answer.content.decode()


@pytest.mark.usefixtures("_few_are_many")
def test_what_cannot_be_named_one_by_one_is_named_by_its_filter(
    admin_client: Client, evening: Evening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "MOST_NAMED", 2)
    sent = {"action": "replay", "_selected_action": [1], "select_across": "1", "confirmed": "yes", "pace": "9"}
    answer = admin_client.post(f"{LIST}?q=bucket", sent, follow=True)
    assert "Filter by channel, outcome or cause alone" in answer.content.decode()
    assert not ReplayJob.objects.exists()
    admin_client.post(f"{LIST}?outcome__exact=permanent&channel={evening.archive.pk}", sent)
    job = ReplayJob.objects.get()
    assert job.selection == {"outcome": "permanent", "channel_id": evening.archive.pk}
    assert job.total == 3
