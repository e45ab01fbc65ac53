"""`./belfry apikey`."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from notifications.api import authentication
from notifications.models import ApiKey, Streamer

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("apikey", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def made(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("create", "--name", "demo", "--json", *arguments))
    return answer


def test_a_key_is_shown_once_and_works() -> None:
    text = run("create", "--name", "demo").strip()
    assert text.startswith("bf_")
    assert text not in run("list") + run("list", "--json")
    assert APIClient(HTTP_AUTHORIZATION=f"Bearer {text}").get("/api/v1/notifications").status_code == 200


def test_while_there_is_none_it_says_how_to_make_one() -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("apikey", "list", stdout=out, stderr=err)
    assert (out.getvalue(), "`create`" in err.getvalue()) == ("", True)
    assert json.loads(run("list", "--json")) == []


def test_the_least_right_is_the_default() -> None:
    assert made()["role"] == "producer"
    assert made("--role", "operator")["role"] == "operator"


def test_a_key_may_speak_for_one_streamer() -> None:
    streamer = Streamer.objects.create(key="nightowl", name="NightOwl")
    assert made("--streamer", "nightowl")["streamer"] == "nightowl"
    assert ApiKey.objects.get().streamer == streamer
    assert "for nightowl" in run("list")


@pytest.mark.parametrize("command", ["apikey", "feedkey"])
@pytest.mark.parametrize("name", ["", " ", "x" * 101])
def test_a_key_without_a_proper_name_is_not_made(command: str, name: str) -> None:
    with pytest.raises(CommandError, match="1 to 100 characters"):
        call_command(command, "create", "--name", name)


def test_an_unknown_streamer_is_named() -> None:
    with pytest.raises(CommandError, match="nobody"):
        made("--streamer", "nobody")
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("by", ["id", "shown"])
def test_a_revoked_key_is_refused(by: str) -> None:
    key = made()
    authentication.REMEMBERED.forget()
    run("revoke", str(key[by]))
    assert APIClient(HTTP_AUTHORIZATION=f"Bearer {key['key']}").get("/api/v1/notifications").status_code == 401
    first = ApiKey.objects.get().revoked_at
    run("revoke", str(key[by]))
    assert ApiKey.objects.get().revoked_at == first
    assert "revoked" in run("list")


def test_a_key_that_is_not_there_is_not_revoked() -> None:
    with pytest.raises(CommandError, match="No keys"):
        run("revoke", "bf_nothing")


@pytest.mark.parametrize("arguments", [(), ("create",), ("create", "--name", "x", "--role", "king")])
def test_what_is_missing_is_said(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
