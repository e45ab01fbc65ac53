"""The stage of the demo: who streams, where things can be told, and who wants to hear what.

All of it is set through the API, in the API's own words.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from project.demo.client import Client
from project.outside import World

#: It fails for so long from the first thing it is sent.
FLAKY_DOWN_S = 4.0
#: Its place in the outside world, and its key here: what it is told ends as dead letters.
NEVER_BACK_PLACE = "hooks/never-back"
NEVER_BACK = "demo-never-back"

#: Nobody wants to watch for minutes how patient Belfry can be.
_QUICK = {"retry_base_s": 0.4, "retry_cap_s": 2.0}

STREAMERS: tuple[Mapping[str, Any], ...] = (
    {"key": "lantern-moth", "name": "Lantern Moth Radio", "platform": "twitch", "tags": ["music", "night"]},
    {"key": "turnip-speedway", "name": "Turnip Speedway", "platform": "twitch", "tags": ["speedrun"]},
    {"key": "velvet-walrus", "name": "The Velvet Walrus Hour", "platform": "youtube", "tags": ["talk"]},
    {"key": "attic-observatory", "name": "Attic Observatory ☾", "platform": "youtube", "tags": ["science", "night"]},
    {"key": "nap-whale", "name": "昼寝クジラ放送局", "platform": "bilibili", "tags": ["drawing"]},
    {"key": "rice-rocket", "name": "糯米火箭实验台", "platform": "bilibili", "tags": ["workshop"]},
    {"key": "gravy-regatta", "name": "Gravy Boat Regatta", "platform": "kick", "tags": ["racing"]},
    {"key": "teapot-arcade", "name": "Teapot Arcade", "platform": "kick", "tags": ["retro"]},
)

#: The narrower wins field by field, so each names only what it wants otherwise.
POLICIES: tuple[Mapping[str, Any], ...] = (
    {"scope": "global", "min_priority": "info", "event_types": ["*"], "channels": ["demo-ops", "demo-log"]},
    # Everything of these, down to single segments, goes to the archive's own books.
    {"scope": "platform", "platform": "twitch", "min_priority": "debug"},
    {
        "scope": "platform",
        "platform": "youtube",
        "event_types": ["stream_*", "download_*", "fatal_error", "pipeline_failed"],
        "channels": ["demo-lounge", "demo-mail"],
    },
    {"scope": "platform", "platform": "bilibili", "channels": ["demo-flaky", "demo-mail", "demo-rocket-alarm"]},
    {"scope": "platform", "platform": "kick", "channels": ["demo-lounge", "demo-ops"]},
    {
        "scope": "streamer",
        "streamer": "lantern-moth",
        "min_priority": "normal",
        "channels": ["demo-lounge", "demo-log"],
    },
    {"scope": "streamer", "streamer": "velvet-walrus", "event_types": ["stream_online", "*_error"]},
    # Only what matters, and to a channel that nobody else may use.
    {"scope": "streamer", "streamer": "rice-rocket", "min_priority": "high", "channels": ["demo-rocket-alarm"]},
    {"scope": "streamer", "streamer": "gravy-regatta", "min_priority": 7, "channels": [NEVER_BACK, "demo-ops"]},
)


def channels(world: World, *, seed: int) -> Iterator[dict[str, Any]]:
    """The channels, each with a far end that is opened in `world` for it."""
    random = Random(seed)  # The secrets of a play.

    def webhook(place: str, behaviour: str) -> dict[str, Any]:
        secret = "whsec_" + base64.b64encode(random.randbytes(24)).decode()
        return {"url": world.webhook_url(secret, name=place, behaviour=behaviour), "secret": secret}

    mail = {
        "host": world.smtp_host,
        "port": world.smtp_port,
        "security": "none",
        "from_address": "bell@belfry.invalid",
        "to": ["crew@recorder.invalid"],
    }
    yield _channel("demo-ops", "Operations desk", "webhook", webhook("ops", "delay_ms=15,slow_share=0.05,slow_ms=400"))
    yield _channel("demo-log", "Recorder's log", "server_log", {})
    yield _channel("demo-lounge", "Crew lounge", "discord", {"webhook_url": world.discord_url("lounge")})
    yield _channel("demo-mail", "Crew mailing list", "email", mail)
    alarm = {"webhook_url": world.discord_url("rocket-alarm"), "username": "Rocket alarm"}
    yield _channel("demo-rocket-alarm", "Rocket alarm", "discord", alarm, owner_key="rice-rocket")
    flaky = webhook("flaky", f"down:for_s={FLAKY_DOWN_S:g}")
    yield _channel("demo-flaky", "Flaky uploader", "webhook", flaky, max_attempts=15, breaker_cooldown_s=1.0)
    # It is to end as dead letters. A breaker would hold them back, which is what `demo-flaky` shows.
    hopeless = {"max_attempts": 3, "breaker_consecutive_failures": 1000, "breaker_min_calls": 1000}
    yield _channel(NEVER_BACK, "Abandoned bot", "webhook", webhook("never-back", "never"), **hopeless)


def _channel(key: str, name: str, kind: str, config: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, "name": name, "kind": kind, "config": config, **_QUICK, **more}


def set_up(client: Client, world: World, *, seed: int) -> None:
    """Make or renew everything that the evening needs. Raises `Refused`."""
    for streamer in STREAMERS:
        client.ensure("streamers", streamer)
    for channel in channels(world, seed=seed):
        client.ensure("channels", channel)
    for policy in POLICIES:
        client.ensure_policy(policy)
