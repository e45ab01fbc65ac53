"""Erasing a recipient."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from channels_app.feed import acking, reading
from channels_app.feed.cursor import Cursor
from channels_app.models import Device, InboxItem, InboxState
from notifications import clock
from notifications.erasure import Erased, erase
from notifications.models import Follow, Streamer
from tests.notifications.scene import accept, route

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _feeds() -> None:
    aurora = Streamer.objects.create(key="aurora", name="Aurora")
    Follow.objects.create(recipient="ann", streamer=aurora)
    Follow.objects.create(recipient="ben", streamer=aurora)
    accept(streamer="aurora")
    accept(recipients=["ann"])
    route()
    acking.ack("ann", "phone", upto=Cursor(1, 1), now=clock.now())


def kept(recipient: str) -> tuple[int, int, int]:
    rows: list[Any] = [model.objects.filter(recipient=recipient).count() for model in (InboxItem, Device, Follow)]
    return rows[0], rows[1], rows[2]


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("feeds", *arguments, stdout=out)
    return out.getvalue()


def test_everything_of_one_recipient_goes_and_nothing_of_others() -> None:
    assert erase("ann", by="test") == Erased(items=2, follows=1)
    assert (kept("ann"), kept("ben")) == ((0, 0, 0), (1, 0, 1))


def test_no_cursor_of_before_counts_again() -> None:
    erase("ann", by="test")
    assert reading.changes("ann", Cursor(1, 1), now=clock.now()).reset == "epoch"
    accept(recipients=["ann"])
    route()
    assert str(reading.page("ann", now=clock.now()).cursor) == "2-1"


def test_who_has_no_feed_can_be_erased_too() -> None:
    assert erase("nobody", by="test") == Erased(items=0, follows=0)
    assert not InboxState.objects.filter(pk="nobody").exists()


def test_the_command_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was erased"):
        run("erase", "ann")
    assert kept("ann") == (2, 1, 1)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert "2 items" in run("erase", " ann ")
    assert kept("ann") == (0, 0, 0)


def test_the_command_erases_nothing_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(CommandError, match="--yes"):
        run("erase", "ann")
    assert kept("ann") == (2, 1, 1)


def test_the_command_answers_in_json_and_refuses_what_is_nobodys_key() -> None:
    assert json.loads(run("erase", "ann", "--yes", "--json")) == {"items": 2, "follows": 1}
    with pytest.raises(CommandError, match="nobody's key"):
        run("erase", "*", "--yes")


def test_after_a_restore_every_cursor_is_void() -> None:
    assert json.loads(run("newepoch", "--json")) == {"feeds": 2}
    for who in ("ann", "ben"):
        assert reading.changes(who, Cursor(1, 1), now=clock.now()).reset == "epoch"
    assert kept("ann") == (2, 1, 1)
