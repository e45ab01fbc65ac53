"""`./belfry rotatesecrets`."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from channels_app.management.commands import rotatesecrets
from channels_app.models import Channel, FeedKey
from channels_app.secrets import default_box

pytestmark = pytest.mark.django_db

KEYS = {"k2": "b" * 43 + "=", "k1": "a" * 43 + "="}
URL = "https://discord.example.org/api/webhooks/1/example-token"


@pytest.fixture
def channels() -> Iterator[list[Channel]]:
    """Three with secrets under `k1`, one without any; the ring has `k2` in front of it."""
    with override_settings(BELFRY_CHANNEL_KEYS={"k1": KEYS["k1"]}):
        made = [a_channel(f"discord-{n}", "discord", {"webhook_url": URL}) for n in range(3)]
        a_channel("log", "server_log", {})
    with override_settings(BELFRY_CHANNEL_KEYS=KEYS):
        yield made


def a_channel(key: str, kind: str, settings: dict[str, str]) -> Channel:
    channel = Channel(key=key, name=key, kind=kind)
    channel.configure(settings)
    channel.save()
    return channel


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotatesecrets", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def key_ids() -> list[str]:
    return [sealed.split(":")[1] for sealed in Channel.objects.sealed().values_list("secrets", flat=True)]


def test_all_move_to_the_new_key_and_the_old_one_can_go(channels: list[Channel]) -> None:
    before = list(Channel.objects.order_by("pk").values("config", "secret_names", "updated_at"))
    assert "3 of 3 channels with secrets were sealed" in run()
    assert key_ids() == ["k2"] * 3
    with override_settings(BELFRY_CHANNEL_KEYS={"k2": KEYS["k2"]}):
        channels[0].refresh_from_db()
        assert channels[0].typed_config().webhook_url == URL  # type: ignore[attr-defined]
    assert list(Channel.objects.order_by("pk").values("config", "secret_names", "updated_at")) == before


def test_twice_changes_nothing(channels: list[Channel]) -> None:
    run()
    before = list(Channel.objects.values("secrets"))
    assert "0 of 3" in run()
    assert list(Channel.objects.values("secrets")) == before


def test_a_dry_run_changes_nothing(channels: list[Channel]) -> None:
    assert "3 of 3 channels with secrets would be sealed" in run("--dry-run")
    assert key_ids() == ["k1"] * 3


def test_one_that_cannot_be_opened_is_named_and_keeps_no_other(channels: list[Channel]) -> None:
    Channel.objects.filter(pk=channels[0].pk).update(secrets="v1:k0:lost")
    with pytest.raises(CommandError, match=r"discord-0: .*'k0' is not in BELFRY_CHANNEL_KEYS"):
        run()
    assert sorted(key_ids()) == ["k0", "k2", "k2"]


def test_without_keys_it_says_so(channels: list[Channel]) -> None:
    with override_settings(BELFRY_CHANNEL_KEYS={}), pytest.raises(CommandError, match="No key for channel secrets"):
        run()


def test_interrupted_it_has_done_whole_channels_and_goes_on(
    channels: list[Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = default_box()
    rotate, calls = box.rotate, iter([True, False])

    def interrupted(sealed: str) -> str:
        if next(calls):
            return rotate(sealed)
        raise KeyboardInterrupt

    monkeypatch.setattr(box, "rotate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    assert sorted(key_ids()) == ["k1", "k1", "k2"]
    assert "2 of 3" in run()


def test_a_channel_that_is_retired_meanwhile_is_left_alone(channels: list[Channel]) -> None:
    Channel.objects.filter(pk=channels[0].pk).update(secrets="")
    assert not Channel.objects.reseal(channels[0].pk)
    assert Channel.objects.get(pk=channels[0].pk).secrets == ""


def test_many_are_told_as_it_goes_on(channels: list[Channel], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotatesecrets, "_EVERY", 2)
    assert run().splitlines()[0] == "2 of 3"


def test_feed_keys_move_too(channels: list[Channel]) -> None:
    with override_settings(BELFRY_CHANNEL_KEYS={"k1": KEYS["k1"]}):
        key, secret = FeedKey.objects.issue("shop")
    assert "1 of 1 feed keys with secrets were sealed" in run()
    with override_settings(BELFRY_CHANNEL_KEYS={"k2": KEYS["k2"]}):
        assert FeedKey.objects.secret_of(key.kid) == secret
