"""`./belfry deadletters`."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from channels_app.models import Channel
from notifications import clock
from notifications.models import DeadLetter, ReplayJob
from notifications.retirement import retire
from notifications.withdrawal import withdraw
from tests.notifications.scene import HOUR, channel_at, many_dead_letters, states, sweep

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops() -> Channel:
    ops = channel_at("https://example.org", "ops")
    many_dead_letters(ops, 30)
    many_dead_letters(ops, 2, fingerprint="g", outcome="gone", code=410, buried_at=clock.now() - 3 * HOUR)
    return ops


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("deadletters", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def answer(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_the_list_has_a_line_for_each_cause(ops: Channel) -> None:
    first, second = run("list").splitlines()
    assert first.split()[:4] == ["30", "ops", "permanent", "404"]
    assert second.split()[:5] == ["2", "ops", "gone", "410", "g"]
    assert [(one["fingerprint"], one["count"]) for one in answer("list", "--outcome", "gone")] == [("g", 2)]
    assert answer("list", "--channel", "nobody") == []
    assert "No dead letter waits" in run("list", "--channel", "nobody")


def test_a_dry_run_tells_and_changes_nothing(ops: Channel) -> None:
    gone = channel_at("https://example.org", "gone")
    many_dead_letters(gone, 3)
    retire(gone, by="ada", now=clock.now())
    regretted = DeadLetter.objects.select_related("delivery__notification").filter(fingerprint="f").earliest("pk")
    withdraw(regretted.delivery.notification, by="ada", now=clock.now())
    said = run("replay", "--fingerprint", "f", "--dry-run")
    assert "29 of 33 would be sent once more" in said
    assert "1  left out: withdrawn by its producer" in said
    assert "3  left out: the channel was deleted" in said
    assert answer("replay", "--fingerprint", "f", "--dry-run")["to_replay"] == 29
    assert answer("discard", "--fingerprint", "f", "--reason", "x", "--dry-run") == {
        "matched": 33,
        "discarded": 0,
        "dry_run": True,
    }
    assert (ReplayJob.objects.count(), DeadLetter.objects.decided().count()) == (0, 0)


def test_a_replay_is_a_job_of_the_workers(ops: Channel) -> None:
    said = run("replay", "--channel", "ops", "--fingerprint", "f", "--pace", "max", "--by", "ada")
    assert "is running: 0 replayed, 0 skipped of 30" in said
    sweep()
    assert ReplayJob.objects.get().replayed == 30
    assert set(DeadLetter.objects.decided().values_list("decided_by", flat=True)) == {"ada"}


def test_waiting_needs_no_worker(ops: Channel) -> None:
    job = answer("replay", "--channel", "ops", "--pace", "100", "--wait")
    assert (job["state"], job["replayed"], job["pace_per_s"]) == ("done", 32, 100)
    assert states() == {"pending": 32}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--since", "2h"], 30),
        (["--until", "90m"], 2),
        (["--since", "1d", "--outcome", "gone"], 2),
        (["--since", "2020-01-01"], 32),
        (["--since", "2020-01-01T00:00:00+02:00"], 32),
        (["--event-type", "test_event"], 32),
        (["--streamer", "nobody"], 0),
    ],
)
def test_filters(ops: Channel, filters: list[str], count: int) -> None:
    assert answer("discard", "--reason", "Over.", *filters)["discarded"] == count
    assert set(DeadLetter.objects.decided().values_list("discard_reason", flat=True)) <= {"Over."}


def test_by_id(ops: Channel) -> None:
    first, second = DeadLetter.objects.values_list("pk", flat=True)[:2]
    assert answer("replay", "--id", str(first), "--id", str(second), "--wait")["replayed"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("replay",),
        ("replay", "--pace", "max"),
        ("replay", "--channel", "ops", "--pace", "0"),
        ("replay", "--channel", "ops", "--pace", "fast"),
        ("replay", "--channel", "ops", "--pace", "nan"),
        ("replay", "--channel", "ops", "--since", "yesterday"),
        ("replay", "--id", "-1"),
        ("discard", "--channel", "ops"),
        ("discard", "--reason", "x"),
        ("discard", "--channel", "ops", "--reason", "  "),
        ("replay", "--channel", ""),
    ],
)
def test_what_is_wrong_or_missing_is_said(ops: Channel, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
    assert states() == {"dead": 32}
    assert not ReplayJob.objects.exists()


@pytest.mark.parametrize("moment", ["yesterday", "99999999999d", "2030-13-01"])
def test_what_is_no_moment_is_answered_with_one_that_is(moment: str) -> None:
    with pytest.raises(CommandError, match="use a time such as 2030-01-31T12:00"):
        run("list", "--since", moment)
