"""Discord, against a far end that refuses whatever Discord documents as wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels_app import configuration
from channels_app.base import Message, Response
from channels_app.configuration import InvalidConfig
from channels_app.outcomes import Outcome, Verdict
from channels_app.transports.discord import Discord, DiscordConfig
from project.outside import World
from project.outside.discord import Limit
from project.outside.discord_rules import faults_of
from tests.channels_app.transports.telling import tell
from tests.contracts.samples import HOSTILE, NOW, message

URL = "https://discord.com/api/webhooks/100/token"
NO_LIMIT = Limit(requests=1000)


def body_of(one: Message, **settings: str) -> dict[str, Any]:
    config = DiscordConfig(webhook_url=URL, **settings)
    body: dict[str, Any] = json.loads(Discord().build(one, config, now=NOW).body)
    return body


def embed_of(one: Message) -> dict[str, Any]:
    [embed] = body_of(one)["embeds"]
    assert isinstance(embed, dict)
    return embed


def read(status: int, body: object = "", **headers: str) -> Verdict:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Discord().interpret(Response(status, named, content), now=NOW)


# --- What is sent.


def test_discord_takes_it(world: World) -> None:
    url = world.discord_url("takes")
    [verdict] = tell("discord", {"webhook_url": url}, message())
    [seen] = world.seen("discord/takes")
    assert (verdict.outcome, verdict.code) == (Outcome.OK, 200)
    assert (seen.accepted, seen.idempotency_id) == (True, message().idempotency_id)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "deep_data"])
def test_discord_takes_even(world: World, name: str) -> None:
    url = world.discord_url(name, limit=NO_LIMIT)
    settings = {"webhook_url": url, "mention": "<@&100000000000000001>", "avatar_url": "https://example.org/a.png"}
    [verdict] = tell("discord", settings, HOSTILE[name])
    assert (verdict.outcome, verdict.detail) == (Outcome.OK, "")


def test_an_embed_tells_all_at_a_glance() -> None:
    embed = embed_of(message())
    assert embed["title"] == "Recorded The Velvet Walrus Hour"
    assert embed["description"] == "It went well."
    assert embed["timestamp"] == "2026-03-14T21:09:26.535897+00:00"
    assert embed["footer"]["text"] == "Belfry · download_completed · msg_01957bd5e9d27a4c8b3f0e6d1a2b3c4d_42"
    assert [(field["name"], field["value"], field["inline"]) for field in embed["fields"]] == [
        ("Platform", "youtube", True),
        ("File size", "1.8 GiB", True),
        ("Duration", "2 h 11 min", True),
        ("Session id", "walrus-1", True),
    ]


@pytest.mark.parametrize(
    ("label", "colour"), [("low", 0x808080), ("normal", 0x3498DB), ("high", 0xF39C12), ("critical", 0xE74C3C)]
)
def test_the_colour_is_that_of_the_priority(label: str, colour: int) -> None:
    assert embed_of(message(priority_label=label))["color"] == colour


def test_the_message_is_waited_for_until_it_is_saved() -> None:
    def url_of(webhook_url: str) -> str:
        return Discord().build(message(), DiscordConfig(webhook_url=webhook_url), now=NOW).url

    assert url_of(URL) == f"{URL}?wait=true"
    assert url_of(f"{URL}?thread_id=7") == f"{URL}?thread_id=7&wait=true"


def test_long_texts_are_cut_with_an_ellipsis_and_the_id_survives() -> None:
    body = body_of(HOSTILE["endless"])
    [embed] = body["embeds"]
    assert faults_of(body) == []
    assert embed["title"].endswith("…")
    assert embed["description"].endswith("…")
    assert embed["footer"]["text"].endswith(f" · {message().idempotency_id}")


def test_a_cut_leaves_no_half_of_an_escaped_mark() -> None:
    for length in range(240, 260):
        title = embed_of(message(title="x" * length + "*" * 30))["title"]
        kept = title.removesuffix("…")
        assert len(title) <= 256
        assert (len(kept) - len(kept.rstrip("\\"))) % 2 == 0


def test_texts_read_as_they_stand() -> None:
    body = "# not big\n> no quote, snake_case, **stars**, <@1>, ||dark|| [masked](https://evil.example/a_b)\n- a\n-5 °C"
    assert embed_of(message(body=body))["description"] == (
        "\\# not big\n\\> no quote, snake\\_case, \\*\\*stars\\*\\*, \\<@1\\>, \\|\\|dark\\|\\| "
        "\\[masked\\](https://evil.example/a_b)\n\\- a\n-5 °C"
    )


def test_a_url_stays_a_link() -> None:
    url = "https://example.org/vod/the_first_one~v2"
    assert embed_of(message(body=f"See {url}."))["description"] == f"See {url}."


# --- Who is pinged.


def test_nobody_is_pinged_by_a_text() -> None:
    body = body_of(message(title="@everyone", body="@here <@&5>", priority_label="critical"))
    assert body["allowed_mentions"] == {"parse": []}
    assert "content" not in body


def test_a_critical_one_pings_whom_the_channel_names() -> None:
    role = body_of(message(priority_label="critical"), mention="<@&123>")
    user = body_of(message(priority_label="critical"), mention="<@456>")
    assert (role["content"], role["allowed_mentions"]) == ("<@&123>", {"parse": [], "roles": ["123"]})
    assert (user["content"], user["allowed_mentions"]) == ("<@456>", {"parse": [], "users": ["456"]})


def test_no_other_pings_anybody() -> None:
    body = body_of(message(priority_label="high"), mention="<@&123>")
    assert "content" not in body
    assert body["allowed_mentions"] == {"parse": []}


# --- Settings.


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("webhook_url", "ftp://discord.com/x"),
        ("webhook_url", "https://discord.com"),
        ("username", "Discord herald"),
        ("username", "CLYDE"),
        ("username", " "),
        ("username", "x" * 81),
        ("avatar_url", "javascript:alert(1)"),
        ("mention", "@everyone"),
        ("mention", "123"),
    ],
)
def test_a_setting_that_discord_would_refuse_is_named(field: str, value: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        configuration.check("discord", {"webhook_url": URL, field: value})
    assert refused.value.field == field


# --- What answers mean.


def test_its_limit_is_kept_by_what_it_says(world: World) -> None:
    url = world.discord_url("limited", limit=Limit(requests=2, window_s=30))
    first, last, refused = tell("discord", {"webhook_url": url}, *[message()] * 3)
    assert (first.outcome, first.retry_after_s) == (Outcome.OK, None)
    assert last.outcome is Outcome.OK
    assert last.retry_after_s == pytest.approx(30, abs=2)
    assert refused.outcome is Outcome.RATE_LIMITED
    assert refused.retry_after_s == pytest.approx(30, abs=2)
    assert refused.detail == "You are being rate limited."


def test_the_most_exact_time_to_wait_is_believed() -> None:
    headers = {"retry_after": "2", "x_ratelimit_reset_after": "1.25"}
    assert read(429, {"retry_after": 1.234}, **headers).retry_after_s == 1.234
    assert read(429, "error code: 1015", **headers).retry_after_s == 1.25
    assert read(429, "error code: 1015", retry_after="2").retry_after_s == 2
    assert read(429, {"retry_after": 0}, **headers).retry_after_s == 0


def test_a_deleted_webhook_is_gone(world: World) -> None:
    url = world.discord_url("deleted")
    world.discord.delete("deleted")
    [verdict] = tell("discord", {"webhook_url": url}, message())
    assert verdict == Verdict(Outcome.GONE, 404, "Unknown Webhook.")


def test_a_webhook_whose_token_is_not_valid_is_gone(world: World) -> None:
    url = world.discord_url("retoken")
    [verdict] = tell("discord", {"webhook_url": url[:-1]}, message())
    assert verdict == Verdict(Outcome.GONE, 401, "Invalid Webhook Token.")


def test_a_404_of_somebody_else_is_not_the_end_of_the_webhook(world: World) -> None:
    assert read(404, "<h1>Not found</h1>").outcome is Outcome.PERMANENT
    assert read(404, {"message": "Unknown Channel", "code": 10003}).outcome is Outcome.PERMANENT


def test_a_refusal_names_every_fault() -> None:
    errors = {"embeds": {"0": {"title": {"_errors": [{"code": "X", "message": "Must be 256 or fewer in length."}]}}}}
    verdict = read(400, {"message": "Invalid Form Body", "code": 50035, "errors": errors})
    assert verdict == Verdict(
        Outcome.PERMANENT, 400, "Invalid Form Body. embeds.0.title: Must be 256 or fewer in length."
    )


def test_discord_being_down_is_transient(world: World) -> None:
    url = world.discord_url("down")
    world.behave("discord/down", "status=503,retry_after_s=4")
    [verdict] = tell("discord", {"webhook_url": url}, message())
    assert (verdict.outcome, verdict.code, verdict.retry_after_s) == (Outcome.TRANSIENT, 503, 4)
