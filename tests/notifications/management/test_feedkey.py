"""`./belfry feedkey`."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from channels_app import feed_tokens
from channels_app.models import FeedKey
from notifications import clock

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("feedkey", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def made() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("create", "--name", "shop", "--json"))
    return answer


def test_a_secret_is_shown_once_and_kept_sealed() -> None:
    kid, secret = run("create", "--name", "shop").split()
    assert (kid[:3], secret[:4]) == ("fk_", "bfs_")
    assert secret not in run("list") + run("list", "--json") + FeedKey.objects.get().secrets
    assert FeedKey.objects.secret_of(kid) == secret


def test_a_token_is_signed_as_an_application_would() -> None:
    run("create", "--name", "old")
    key = made()
    token = feed_tokens.read(run("token", " 0xABC ").strip(), key["secret"], now=clock.now())
    assert (token.recipient, token.kid) == ("0xabc", key["kid"])
    assert json.loads(run("token", "ada", "--kid", key["kid"], "--json"))["kid"] == key["kid"]


def test_a_revoked_key_signs_and_opens_nothing_any_more() -> None:
    key = made()
    run("revoke", key["kid"])
    first = FeedKey.objects.get().revoked_at
    assert (FeedKey.objects.secret_of(key["kid"]), FeedKey.objects.get().secrets) == (None, "")
    run("revoke", key["kid"])
    assert FeedKey.objects.get().revoked_at == first
    assert "revoked" in run("list")
    for asked in ((), ("--kid", key["kid"])):
        with pytest.raises(CommandError, match="no key"):
            run("token", "ada", *asked)


@pytest.mark.parametrize(
    "arguments",
    [(), ("create",), ("revoke", "fk_no"), ("token", "*"), ("token", "ada", "--minutes", "1441"), ("token", "ada")],
)
def test_what_is_missing_is_said(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


@override_settings(BELFRY_CHANNEL_KEYS={})
def test_without_keys_to_seal_with_there_is_no_secret() -> None:
    with pytest.raises(CommandError, match="BELFRY_CHANNEL_KEYS"):
        made()
