"""Dead letters by cause: filtered, looked at, and decided on as one; and the job that does it, watched."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from channels_app.models import Channel
from notifications import clock
from notifications.models import DeadLetter, ReplayJob
from notifications.retirement import retire
from tests.notifications.admin.evening import Evening
from tests.notifications.scene import HOUR, channel_at, many_dead_letters, states, sweep

pytestmark = pytest.mark.django_db

GROUPS = "/admin/notifications/deadletter/groups/"


@pytest.fixture
def ops() -> Channel:
    ops = channel_at("https://example.org", "ops")
    many_dead_letters(ops, 1200)
    many_dead_letters(ops, 2, fingerprint="g", outcome="gone", code=410, detail="Gone.", buried_at=clock.now() - HOUR)
    return ops


def of(channel: Channel, **more: Any) -> str:
    return "?" + "&".join(f"{name}={value}" for name, value in {"channel": channel.pk, **more}.items())


def job_page(job: ReplayJob) -> str:
    return reverse("admin:notifications_replayjob_change", args=(job.pk,))


def text_of(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


def lines(answer: Any) -> list[tuple[str, int]]:
    return [(line.group.newest.fingerprint, line.group.count) for line in answer.context["lines"]]


def test_a_thousand_equal_failures_are_one_line(admin_client: Client, ops: Channel) -> None:
    answer = admin_client.get(GROUPS)
    assert lines(answer) == [("f", 1200), ("g", 2)]
    assert "Not found." in text_of(answer)


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"outcome": "gone"}, [("g", 2)]),
        ({"fingerprint": "f"}, [("f", 1200)]),
        ({"event_type": "stream_online"}, []),
        ({"streamer": "nobody"}, []),
        ({"outcome": ""}, [("f", 1200), ("g", 2)]),
        ({"outcome": "sad"}, []),
        ({"since": "yesterday"}, []),
        ({"channel": "x"}, []),
        ({"streamer": "\0"}, []),
    ],
)
def test_the_page_is_narrowed_down(admin_client: Client, ops: Channel, asked: Any, left: Any) -> None:
    assert lines(admin_client.get(GROUPS, asked)) == left


def test_times_are_in_utc(admin_client: Client, ops: Channel) -> None:
    half_an_hour_ago = f"{clock.now() - HOUR / 2:%Y-%m-%dT%H:%M}"
    assert lines(admin_client.get(GROUPS, {"since": half_an_hour_ago})) == [("f", 1200)]
    assert lines(admin_client.get(GROUPS, {"until": half_an_hour_ago})) == [("g", 2)]


def test_a_line_leads_to_its_letters(admin_client: Client, ops: Channel) -> None:
    (line,) = admin_client.get(GROUPS, {"outcome": "gone"}).context["lines"]
    listed = admin_client.get(f"/admin/notifications/deadletter/?{line.listed}")
    assert listed.context["cl"].result_count == 2


def test_a_group_is_looked_at_then_replayed_by_a_job(admin_client: Client, ops: Channel) -> None:
    query = of(ops, fingerprint="f")
    seen = admin_client.get(f"{GROUPS}replay/{query}")
    assert "<strong>1200</strong> of 1200 chosen will be sent once more" in text_of(seen)
    assert not ReplayJob.objects.exists()
    many_dead_letters(ops, 5)
    answer = admin_client.post(
        f"{GROUPS}replay/{query}", {"confirmed": "yes", "newest": seen.context["newest"], "pace": ""}
    )
    job = ReplayJob.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, job_page(job))
    assert (job.total, job.pace_per_s, job.by) == (1200, None, "admin")
    assert "Began:" in LogEntry.objects.get().change_message
    while job.is_running:
        sweep()
        job.refresh_from_db()
    assert states() == {"pending": 1200, "dead": 7}


@pytest.mark.parametrize(
    ("pace", "per_s"), [("", None), ("20", 20), ("0.5", 0.5), ("-3", 0.1), ("nan", 50), ("inf", 50), ("x", 50)]
)
def test_any_pace_is_a_pace(admin_client: Client, ops: Channel, pace: str, per_s: float | None) -> None:
    sent = {"confirmed": "yes", "newest": 10**9, "pace": pace}
    assert admin_client.post(f"{GROUPS}replay/{of(ops)}", sent).status_code == 302
    assert ReplayJob.objects.get().pace_per_s == per_s


def test_a_group_is_discarded_with_a_reason(admin_client: Client, ops: Channel) -> None:
    query = of(ops, fingerprint="f")
    newest = admin_client.get(f"{GROUPS}discard/{query}").context["newest"]
    sent = {"confirmed": "yes", "newest": newest}
    assert "Say why" in text_of(admin_client.post(f"{GROUPS}discard/{query}", {**sent, "reason": " "}))
    assert not DeadLetter.objects.decided().exists()
    admin_client.post(f"{GROUPS}discard/{query}", {**sent, "reason": "Known."})
    decided = DeadLetter.objects.decided()
    assert set(decided.values_list("fingerprint", "discard_reason", "decided_by")) == {("f", "Known.", "admin")}
    entry = LogEntry.objects.get()
    assert "1,200" in entry.change_message
    assert "Known." in entry.change_message


def test_a_few_are_logged_one_by_one(admin_client: Client, ops: Channel) -> None:
    query = of(ops, fingerprint="g")
    sent = {"confirmed": "yes", "newest": 10**9, "reason": "Known."}
    admin_client.post(f"{GROUPS}discard/{query}", sent)
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Discarded: Known."] * 2


def test_what_is_left_out_is_told(admin_client: Client, ops: Channel) -> None:
    retire(ops, by="ada", now=clock.now())
    html = text_of(admin_client.get(f"{GROUPS}replay/{of(ops)}"))
    assert "None of the 1202 chosen can be sent once more." in html
    assert "1202 left out: the channel was deleted" in html


@pytest.mark.parametrize("query", ["", "?channel=", "?channel=x", "?outcome=sad", "?colour=red"])
@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_naming_nothing_means_nothing(admin_client: Client, ops: Channel, verb: str, query: str) -> None:
    sent = {"confirmed": "yes", "newest": 10**9, "reason": "x"}
    assert admin_client.post(f"{GROUPS}{verb}/{query}", sent).status_code == 404
    assert admin_client.get(f"{GROUPS}burn/{of(ops)}").status_code == 404
    assert states() == {"dead": 1202}


def test_a_job_is_watched_and_cancelled(admin_client: Client, ops: Channel) -> None:
    admin_client.post(f"{GROUPS}replay/{of(ops)}", {"confirmed": "yes", "newest": 10**9, "pace": "1"})
    job = ReplayJob.objects.get()
    html = text_of(admin_client.get(job_page(job)))
    assert '<meta http-equiv="refresh"' in html
    assert "channel ops" in html
    admin_client.post(reverse("admin:notifications_replayjob_cancel", args=(job.pk,)))
    job.refresh_from_db()
    assert (job.state, job.cancelled_by) == ("cancelled", "admin")
    html = text_of(admin_client.get(job_page(job)))
    assert '<meta http-equiv="refresh"' not in html
    assert "It was ended by admin" in html
    assert admin_client.get(reverse("admin:notifications_replayjob_cancel", args=(job.pk,))).status_code == 405


def test_a_replay_that_is_asked_for_twice_runs_once(admin_client: Client, ops: Channel) -> None:
    page = f"{GROUPS}replay/{of(ops)}"
    sent = {"confirmed": "yes", "newest": admin_client.get(page).context["newest"], "pace": "1"}
    first, second = admin_client.post(page, sent), admin_client.post(page, sent)
    job = ReplayJob.objects.get()
    assert first["Location"] == second["Location"] == job_page(job)
    assert "of admin is running, 0 of 1202." in text_of(admin_client.get(page))
    many_dead_letters(ops, 5)
    admin_client.post(page, {**sent, "newest": admin_client.get(page).context["newest"]})
    assert ReplayJob.objects.count() == 2, "these were buried later"


def test_a_reader_looks_and_decides_nothing(client: Client, django_user_model: Any, ops: Channel) -> None:
    reader = django_user_model.objects.create_user("reader", password="x", is_staff=True)
    client.force_login(reader)
    assert client.get(GROUPS).status_code == 403
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    page = client.get(GROUPS)
    assert (page.status_code, "Replay…" in text_of(page)) == (200, False)
    sent = {"confirmed": "yes", "newest": 10**9, "reason": "x"}
    for verb in ("replay", "discard"):
        assert client.get(f"{GROUPS}{verb}/{of(ops)}").status_code == 403
        assert client.post(f"{GROUPS}{verb}/{of(ops)}", sent).status_code == 403
    assert (ReplayJob.objects.count(), DeadLetter.objects.decided().count()) == (0, 0)


def test_the_list_leads_here(admin_client: Client, evening: Evening) -> None:
    assert f'href="{GROUPS}"' in text_of(admin_client.get("/admin/notifications/deadletter/"))
