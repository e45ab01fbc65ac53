"""An evening as an operator finds it in the admin: every state, every reason, and secrets that must not show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.text import slugify

from channels_app.models import Channel
from notifications import clock
from notifications.models import ApiKey, Attempt, DeadLetter, Delivery, Notification, Policy, Streamer
from notifications.states import State

#: Planted in every secret of every channel.
CANARY = "cAnArY7f3d"
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Evening:
    """What tests and pictures point at."""

    now: datetime
    nightowl: Streamer
    ops: Channel
    discord: Channel
    archive: Channel
    key: ApiKey
    key_text: str
    dead: Notification
    suppressed: Notification
    retrying: Notification


def channel(name: str, kind: str = "webhook", config: dict[str, Any] | None = None, **fields: Any) -> Channel:
    """A saved channel with a canary in its address."""
    made = Channel(key=slugify(name), name=name, kind=kind, **fields)
    made.configure(config or {"url": f"https://hooks.example.org/{CANARY}"})
    made.save()
    return made


def notification(now: datetime, minutes_ago: float, event_type: str, title: str, **fields: Any) -> Notification:
    """A routed notification."""
    at = now - minutes_ago * _MINUTE
    usual = {"priority": 5, "accepted_at": at, "routed_at": at}
    return Notification.objects.create(event_type=event_type, title=title, **{**usual, **fields})


def delivery(
    told: Notification, to: Channel, state: State, tries: list[tuple[str, int, str]], **fields: Any
) -> Delivery:
    """A delivery with its attempts, each (outcome, code, detail), a minute apart."""
    start, ended = told.accepted_at, state in (State.DELIVERED, State.DEAD, State.SUPPRESSED, State.CANCELLED)
    last = start + max(len(tries) - 1, 0) * _MINUTE
    usual = {
        "lane": "http-normal",
        "priority": told.priority,
        "due_at": last + 4 * _MINUTE,
        "created_at": start,
        "settled_at": last if ended else None,
        "attempts": len(tries),
        "first_attempt_at": start if tries else None,
    }
    made = Delivery.objects.create(notification=told, channel=to, state=state.value, **{**usual, **fields})
    for place, (outcome, code, detail) in enumerate(tries):
        Attempt.objects.create(
            delivery=made,
            started_at=start + place * _MINUTE,
            duration_ms=48 + 731 * place,
            outcome=outcome,
            code=code,
            detail=detail,
        )
    if state is State.DEAD:
        bury(made, tries[-1], last)
    return made


def bury(dead: Delivery, why: tuple[str, int, str], at: datetime) -> DeadLetter:
    """The letter of a dead delivery; equal reasons have equal fingerprints."""
    outcome, code, detail = why
    return DeadLetter.objects.create(
        delivery=dead,
        channel=dead.channel,
        outcome=outcome,
        code=code,
        detail=detail,
        fingerprint=f"{outcome}-{code}",
        attempts=max(dead.attempts, 1),
        buried_at=at,
    )


def an_evening() -> Evening:
    """Four channels, three streamers, three policies, and some twenty notifications in every state."""
    now = clock.now()
    nightowl, pixelfox, _ = _streamers()
    ops, discord, archive = _channels()
    _policies(nightowl, ops)
    key, text = ApiKey.objects.issue("recorder on the big machine", role="producer")
    _quiet_hour(now, [nightowl, pixelfox], [discord, ops])
    return Evening(
        now=now,
        nightowl=nightowl,
        ops=ops,
        discord=discord,
        archive=archive,
        key=key,
        key_text=text,
        dead=_dead(now, nightowl, discord, archive),
        suppressed=_suppressed(now, pixelfox, discord),
        retrying=_retrying(now, ops, discord),
    )


def _streamers() -> list[Streamer]:
    rows = [
        ("nightowl", "NightOwl", "twitch"),
        ("pixelfox", "PixelFox", "youtube"),
        ("lofi", "Lo-Fi Radio", "bilibili"),
    ]
    return [Streamer.objects.create(key=key, name=name, platform=platform) for key, name, platform in rows]


def _channels() -> tuple[Channel, Channel, Channel]:
    secrets = {
        "url": f"https://pager.example.org/{CANARY}",
        "secret": "whsec_Y0FuQXJZN2YzZC1jQW5Bclk3ZjNkLWNBbkFyWQ==",
        "headers": {"Authorization": f"Bearer {CANARY}"},
    }
    since = clock.now() - 3 * _MINUTE
    ops = channel(
        "Operations pager", failing_since_at=since, config={"url": f"https://pager.example.org/{CANARY}", **secrets}
    )
    discord = channel("Stream alerts")
    archive = channel("Archive mirror")
    channel("NightOwl's own", owner_key="nightowl", enabled=False)
    return ops, discord, archive


def _policies(nightowl: Streamer, ops: Channel) -> None:
    Policy.objects.create(scope="global", enabled=True, min_priority=5)
    Policy.objects.create(scope="platform", platform="twitch", event_types=["stream_*", "download_*", "fatal_error"])
    own = Policy.objects.create(scope="streamer", streamer=nightowl, min_priority=2, names_channels=True)
    own.channels.add(ops)


def _quiet_hour(now: datetime, about: list[Streamer], to: list[Channel]) -> None:
    types = [
        ("stream_online", "{} is live"),
        ("download_started", "Recording {}"),
        ("download_completed", "Recorded {}"),
    ]
    for place in range(15):
        event_type, title = types[place % 3]
        streamer = about[place % len(about)]
        told = notification(now, 65 - 3 * place, event_type, title.format(streamer.name), streamer=streamer)
        for one in to:
            delivery(told, one, State.DELIVERED, [("ok", 204, "")])


def _dead(now: datetime, about: Streamer, discord: Channel, archive: Channel) -> Notification:
    told = notification(
        now, 12, "download_error", "Recording NightOwl failed", streamer=about, priority=8,
        body="The connection was closed after 00:41:17.", data={"error_message": "connection closed", "segment": 14},
    )  # fmt: skip
    delivery(told, discord, State.DELIVERED, [("transient", 503, "Service Unavailable"), ("ok", 204, "")])
    gone = "Unknown Webhook: it was deleted."
    tries = [
        ("transient", 500, "Internal Server Error"),
        ("transient", 0, "No answer came in time."),
        ("gone", 410, gone),
    ]
    delivery(told, archive, State.DEAD, tries, reason_code="gone", reason=gone)
    for place in range(3):
        other = notification(
            now, 30 - place, "segment_completed", f"NightOwl: segment {place + 11} done", streamer=about
        )
        delivery(other, archive, State.DEAD, [("permanent", 404, f"No such bucket: mirror-{place}")])
    return told


def _suppressed(now: datetime, about: Streamer, discord: Channel) -> Notification:
    told = notification(now, 9, "segment_started", "PixelFox: segment 3", streamer=about, priority=2)
    text = "Priority 2 (low) is below 5 (normal), the least that the global policy lets through."
    delivery(told, discord, State.SUPPRESSED, [], reason_code="min_priority", reason=text)
    nowhere = "No channel is meant for it: none is configured, or the policy in force names none."
    notification(now, 7, "config_updated", "Configuration of Lo-Fi Radio changed", priority=2, routing_note=nowhere)
    return told


def _retrying(now: datetime, ops: Channel, discord: Channel) -> Notification:
    told = notification(now, 2, "out_of_space", "Disk almost full: /srv/recordings", priority=10, data={"path": "/srv"})
    tries = [("transient", 502, "Bad Gateway"), ("transient", 502, "Bad Gateway")]
    delivery(told, ops, State.RETRYING, tries, reason_code="transient", reason="Bad Gateway")
    delivery(told, discord, State.SCHEDULED, [("rate_limited", 429, "You are being rate limited.")],
             reason_code="rate_limited", reason="The channel asked us to slow down.", attempts=0)  # fmt: skip
    return told
