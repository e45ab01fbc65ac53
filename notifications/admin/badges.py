"""Words with a colour and a sign: readable without either."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications import clock, priority
from notifications.states import State

#: Word → (tone, sign). Tones are classes of `admin.css`.
_LOOKS: dict[str, tuple[str, str]] = {
    State.SCHEDULED: ("wait", "◷"),
    State.PENDING: ("wait", "…"),
    State.SENDING: ("wait", "→"),
    State.RETRYING: ("warn", "↻"),
    State.DELIVERED: ("good", "✓"),
    State.SUPPRESSED: ("quiet", "⊘"),
    State.DEAD: ("bad", "✕"),
    State.CANCELLED: ("quiet", "–"),
    "waiting": ("wait", "◷"),
    Outcome.OK: ("good", "✓"),
    Outcome.TRANSIENT: ("warn", "↻"),
    Outcome.RATE_LIMITED: ("warn", "◷"),
    Outcome.PERMANENT: ("bad", "✕"),
    Outcome.GONE: ("bad", "✕"),
    Outcome.UNKNOWN: ("warn", "?"),
    "replayed": ("good", "↻"),
    "discarded": ("quiet", "–"),
    "running": ("wait", "→"),
    "done": ("good", "✓"),
    "closed": ("good", "✓"),
    "open": ("bad", "✕"),
    "half_open": ("warn", "?"),
    "tripped": ("bad", "✕"),
    "on": ("good", "✓"),
    "off": ("quiet", "–"),
    "quarantined": ("bad", "!"),
    "deleted": ("quiet", "✕"),
    "active": ("good", "✓"),
    "revoked": ("quiet", "✕"),
    "critical": ("bad", "▲"),
    "high": ("warn", "▲"),
    "normal": ("plain", ""),
    "low": ("quiet", "▽"),
}


def badge(word: str, text: str = "") -> SafeString:
    """`word` in its looks; `text` is shown instead where it is given."""
    tone, sign = _LOOKS.get(word, ("plain", ""))
    return format_html(
        '<span class="bf-badge bf-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone,
        sign,
        text or word.replace("_", " "),
    )


def outcome_badge(outcome: str, code: int) -> SafeString:
    """What a try came to, with the far end's own number."""
    return badge(outcome, f"{outcome} {code or ''}".replace("_", " ").strip())


def priority_badge(number: int) -> SafeString:
    """The word of a priority with its number."""
    word = priority.label(number)
    return badge(word, f"{word} {number}")


def channel_badge(channel: Channel) -> SafeString:
    """Whether a channel is in service."""
    return badge(channel_word(channel))


def channel_word(channel: Channel) -> str:
    if channel.deleted_at is not None:
        return "deleted"
    if channel.quarantined_at is not None:
        return "quarantined"
    return "on" if channel.enabled else "off"


def channel_link(channel: Channel) -> SafeString:
    """A channel by its name, leading to its page."""
    url = reverse("admin:channels_app_channel_change", args=(channel.pk,))
    return format_html('<a href="{}">{}</a>', url, channel)


def moment(at: datetime | None) -> SafeString:
    """A time to the second in UTC; how long ago or ahead it is stands in its title."""
    if at is None:
        return SafeString("–")
    now = clock.now()
    distance = f"in {timeuntil(at, now)}" if at > now else f"{timesince(at, now)} ago"
    return format_html(
        '<time datetime="{}" title="{}" class="bf-moment">{}</time>',
        at.isoformat(),
        distance,
        f"{at:%Y-%m-%d %H:%M:%S}",
    )


def duration(milliseconds: int) -> str:
    """A short time for people: 42 ms, 1.3 s."""
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
