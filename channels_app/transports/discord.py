"""Discord: an embed in the Discord channel of a webhook, coloured by priority.

Source of limits and answers: Discord's developer documentation, resources/webhook ("Execute
Webhook"), resources/message ("Embed Limits", "Allowed Mentions"), topics/rate-limits and
topics/opcodes-and-status-codes ("JSON Error Codes").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from channels_app.base import Config, HttpTransport, Message, Request, Response, interpret_http, json_body, setting
from channels_app.facts import facts_of
from channels_app.outcomes import Outcome, Verdict
from channels_app.plain_text import ELLIPSIS, cleaned, one_line, shortened

#: Discord's limits, in characters. All texts of an embed together may have 6000; ours add up to less.
TITLE_CHARS = 256
DESCRIPTION_CHARS = 4096
#: Ours; Discord would take 25 fields with names of 256 and values of 1024, which nobody reads.
MAX_FIELDS = 6
FIELD_NAME_CHARS = 60
FIELD_VALUE_CHARS = 160
EVENT_TYPE_CHARS = 100

_COLOURS = {"low": 0x808080, "normal": 0x3498DB, "high": 0xF39C12, "critical": 0xE74C3C}

#: (status, Discord's code): the webhook was deleted, or its token is not valid any more.
_GONE = frozenset({(404, 10015), (401, 50027)})


class DiscordConfig(Config):
    webhook_url: Annotated[
        str,
        setting(
            "Discord's address of the webhook. For a thread, add ?thread_id= and its id.",
            secret=True,
            pattern=r"^https?://(?!.*[#@])[!-~]+/[!-~]+$",
            max_length=2000,
            example="https://discord.com/api/webhooks/100000000000000000/example-token",
        ),
    ]
    username: Annotated[str, setting("Who the message is from.", min_length=1, max_length=80, example="Belfry")] = (
        "Belfry"
    )
    avatar_url: Annotated[
        str,
        setting(
            "A picture for it. Empty: the webhook's own.",
            pattern=r"^(https?://[^/\s]+\S*)?$",
            max_length=2000,
            example="https://example.org/bell.png",
        ),
    ] = ""
    mention: Annotated[
        str,
        setting(
            "Whom to ping when it is critical, as Discord writes it: <@&role id> or <@user id>. Empty: nobody.",
            pattern=r"^(<@&?[0-9]{1,20}>)?$",
            example="<@&100000000000000001>",
        ),
    ] = ""

    def __post_init__(self) -> None:
        if any(word in self.username.lower() for word in ("discord", "clyde")):
            raise ValueError("Discord allows neither 'discord' nor 'clyde' in `username`")
        if not self.username.strip():
            raise ValueError("There must be something to read in `username`")


class Discord(HttpTransport[DiscordConfig]):
    kind = "discord"
    label = "Discord"
    Config = DiscordConfig

    def build(self, message: Message, config: DiscordConfig, *, now: datetime) -> Request:
        ping = config.mention if message.priority_label == "critical" else ""
        body = {
            "username": config.username,
            **({"avatar_url": config.avatar_url} if config.avatar_url else {}),
            **({"content": ping} if ping else {}),
            "embeds": [_embed(message)],
            "allowed_mentions": _allowed_mentions(ping),
        }
        return Request(
            url=_confirmed(config.webhook_url), body=json_body(body), headers={"content-type": "application/json"}
        )

    def interpret(self, response: Response, *, now: datetime) -> Verdict:
        verdict = interpret_http(response, now=now)
        pause_s = _seconds(response.headers.get("x-ratelimit-reset-after", ""))
        if verdict.outcome is Outcome.OK:
            used_up = response.headers.get("x-ratelimit-remaining") == "0"
            return replace(verdict, retry_after_s=pause_s) if used_up else verdict
        said = _said(response.body)
        detail = said.text() or verdict.detail
        if (response.status, said.code) in _GONE:
            return Verdict(Outcome.GONE, response.status, detail)
        if verdict.outcome is Outcome.RATE_LIMITED:
            # Of the three the body is exact, and `Retry-After` is rounded up to whole seconds.
            exact_s = said.retry_after if said.retry_after is not None else pause_s
            return replace(verdict, detail=detail, retry_after_s=verdict.retry_after_s if exact_s is None else exact_s)
        return replace(verdict, detail=detail)


def _confirmed(webhook_url: str) -> str:
    """Without `wait`, Discord says yes also to a message that it then fails to save."""
    return f"{webhook_url}{'&' if urlsplit(webhook_url).query else '?'}wait=true"


def _allowed_mentions(ping: str) -> dict[str, Any]:
    """Nothing that stands in a text pings anybody; only whom the channel's settings name is told."""
    if not ping:
        return {"parse": []}
    return {"parse": [], "roles" if "&" in ping else "users": [ping.strip("<@&>")]}


def _embed(message: Message) -> dict[str, Any]:
    # The footer shows texts as they are. It is how a reader, and a machine, finds the delivery again.
    event_type = shortened(one_line(message.event_type), EVENT_TYPE_CHARS)
    embed = {
        "title": _as_markdown(one_line(message.title), TITLE_CHARS),
        "description": _as_markdown(cleaned(message.body).strip(), DESCRIPTION_CHARS),
        "color": _COLOURS.get(message.priority_label, _COLOURS["normal"]),
        "timestamp": message.accepted_at.isoformat(),
        "footer": {"text": f"Belfry · {event_type} · {message.idempotency_id}"},
        "fields": [
            {
                "name": _as_markdown(fact.name, FIELD_NAME_CHARS),
                "value": _as_markdown(fact.value, FIELD_VALUE_CHARS),
                "inline": True,
            }
            for fact in facts_of(message, at_most=MAX_FIELDS)
        ],
    }
    return {name: value for name, value in embed.items() if value not in ("", [])}


#: What Discord would take for markup: marks anywhere but in a URL, and signs that begin a line.
_MARKUP = re.compile(
    r"(?P<url>https?://[^\s\\*`|<>\[\]]+)|(?P<before>^[ \t]*)(?P<sign>[-+#](?=[-+#]*\s))|(?P<mark>[\\*_~`|<>\[\]])",
    re.MULTILINE,
)


def _as_markdown(text: str, limit: int) -> str:
    """`text` so that it reads as it stands, in at most `limit` characters of markdown."""
    # A text longer than the limit cannot become shorter: the rest need not be looked at.
    escaped = _MARKUP.sub(_escaped, text[: limit + 1])
    if len(escaped) <= limit:
        return escaped
    cut = shortened(escaped, limit).removesuffix(ELLIPSIS)
    backslashes = len(cut) - len(cut.rstrip("\\"))
    return (cut[:-1] if backslashes % 2 else cut) + ELLIPSIS


def _escaped(match: re.Match[str]) -> str:
    if match["url"]:
        return match["url"]
    return f"{match['before'] or ''}\\{match['sign'] or match['mark']}"


class _Said(msgspec.Struct):
    """Discord's object for an error, in the parts that we read."""

    code: int = 0
    message: str = ""
    retry_after: float | None = None
    errors: dict[str, Any] = {}

    def text(self) -> str:
        """All of it for people: `Invalid Form Body. embeds.0.title: Must be 256 or fewer in length.`"""
        return " ".join(filter(None, [f"{self.message.rstrip('.')}." if self.message else "", *_faults(self.errors)]))


def _said(body: bytes) -> _Said:
    """What Discord says in `body`; nothing where it is not Discord who speaks, but a proxy before it."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _Said()


_decode = msgspec.json.Decoder(_Said).decode


def _faults(errors: Mapping[str, Any]) -> Iterator[str]:
    """The lists of errors at the ends of a tree whose nodes are the parts of the request's body."""
    waiting: list[tuple[str, Any]] = [("", errors)]
    while waiting:
        path, node = waiting.pop(0)
        if isinstance(node, dict):
            waiting += [(f"{path}.{key}" if path else key, below) for key, below in node.items() if key != "_errors"]
            node = node.get("_errors")
        for fault in node if isinstance(node, list) else ():
            if isinstance(fault, dict) and isinstance(fault.get("message"), str):
                yield f"{path}: {fault['message']}" if path else fault["message"]


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
