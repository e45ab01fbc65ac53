"""A Discord as far as webhooks reach: `POST /api/webhooks/<id>/<token>`.

It checks the body as Discord documents it, counts requests into a bucket for each webhook and says
so in Discord's headers, and refuses what is too much with 429. Errors have Discord's own codes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

from project.outside.behaviour import Behaviour, Conduct
from project.outside.chance import chance
from project.outside.discord_rules import errors_tree, faults_of, is_empty
from project.outside.http_server import Answer, Manner, Request
from project.outside.journal import IDEMPOTENCY_ID, Journal, Received

#: `/api/webhooks/...` or, with the version of the API, `/api/v10/webhooks/...`.
_PATH = re.compile(r"/api/(?:v\d+/)?webhooks/(?P<id>[^/]+)/(?P<token>[^/]+)/?")
#: Discord's epoch for ids, in milliseconds since 1970.
_SNOWFLAKE_EPOCH_MS = 1420070400000

UNKNOWN_WEBHOOK = 10015
EMPTY_MESSAGE = 50006
INVALID_WEBHOOK_TOKEN = 50027
INVALID_FORM_BODY = 50035
INVALID_JSON = 50109


class DiscordError(Exception):
    """An answer in Discord's form of an error."""

    def __init__(self, status: int, code: int, message: str, *, errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message, "code": code}
        if errors:
            self.body["errors"] = errors


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in each window of so many seconds."""

    requests: int = 5
    window_s: float = 2.0


@dataclass(slots=True)
class Bucket:
    """The requests to one webhook in the present window, which opens with its first request."""

    name: str
    limit: Limit
    used: int = 0
    opened_at: float = -math.inf

    def take(self, now: float) -> bool:
        """Count one request at `now` (seconds since 1970); False when the window is used up."""
        if now >= self.opened_at + self.limit.window_s:
            self.opened_at, self.used = now, 0
        if self.used >= self.limit.requests:
            return False
        self.used += 1
        return True

    def reset_after_s(self, now: float) -> float:
        """Seconds until the window ends."""
        return max(self.opened_at + self.limit.window_s - now, 0.0)

    def headers(self, now: float) -> dict[str, str]:
        """What Discord says of the bucket in every answer."""
        return {
            "X-RateLimit-Limit": str(self.limit.requests),
            "X-RateLimit-Remaining": str(self.limit.requests - self.used),
            "X-RateLimit-Reset": f"{self.opened_at + self.limit.window_s:.3f}",
            "X-RateLimit-Reset-After": f"{self.reset_after_s(now):.3f}",
            "X-RateLimit-Bucket": self.name,
        }


@dataclass(slots=True)
class Webhook:
    """One webhook of one Discord channel."""

    name: str
    snowflake: str
    token: str
    bucket: Bucket
    conduct: Conduct

    @property
    def place(self) -> str:
        """Its name in the journal."""
        return f"discord/{self.name}"


class Discord:
    """All webhooks of this Discord."""

    def __init__(self, journal: Journal, *, seed: int, limit: Limit | None = None) -> None:
        self._journal = journal
        self._seed = seed
        self._limit = limit or Limit()
        self._webhooks: dict[str, Webhook] = {}

    def open(self, name: str, *, limit: Limit | None = None) -> str:
        """Make the webhook that the journal calls `discord/<name>`; its path on this server."""
        random = chance(self._seed, f"discord/{name}")
        snowflake = str(random.randrange(10**17, 10**18))
        token = "".join(random.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789-_", k=68))
        bucket = Bucket(sha256(snowflake.encode()).hexdigest()[:32], limit or self._limit)
        self._webhooks[snowflake] = Webhook(name, snowflake, token, bucket, Conduct(Behaviour(), random))
        return f"/api/webhooks/{snowflake}/{token}"

    def delete(self, name: str) -> None:
        """Delete the webhook, as a person does in Discord: from now on it is unknown."""
        gone = [webhook.snowflake for webhook in self._webhooks.values() if webhook.name == name]
        for snowflake in gone:
            del self._webhooks[snowflake]

    def behave(self, place: str, behaviour: Behaviour) -> None:
        """From now on the webhook misbehaves like this, before it looks at what came. Raises `KeyError`."""
        for webhook in self._webhooks.values():
            if webhook.place == place:
                webhook.conduct = Conduct(behaviour, chance(self._seed, place))
                return
        raise KeyError(place)

    def receive(self, request: Request) -> Answer:
        """Answer a request below `/api/`."""
        try:
            webhook = self._webhook(request)
        except DiscordError as error:
            return self._refuse(request, "discord", error, {})
        bad = webhook.conduct.answer(request.received_at)
        if bad.status != 204 or bad.manner is not Manner.WHOLE:
            self._write(request, webhook.place, bad.status, bad.manner.value)
            return bad
        return replace(self._execute(request, webhook), after_s=bad.after_s)

    def _execute(self, request: Request, webhook: Webhook) -> Answer:
        now = request.received_at.timestamp()
        fits = webhook.bucket.take(now)
        headers = webhook.bucket.headers(now)
        if not fits:
            return self._rate_limited(request, webhook, now)
        try:
            body = _decode(request)
        except DiscordError as error:
            return self._refuse(request, webhook.place, error, headers)
        waits = parse_qs(request.query).get("wait", ["false"])[0].lower() in ("true", "1")
        self._write(request, webhook.place, 200 if waits else 204, "")
        message = _message(body, webhook, request.received_at)
        return _json(200, message, headers) if waits else Answer(204, headers=headers)

    def _webhook(self, request: Request) -> Webhook:
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise DiscordError(404, 0, "404: Not Found")
        if request.method != "POST":
            raise DiscordError(405, 0, "405: Method Not Allowed")
        if not match["id"].isdecimal():
            message = f'Value "{match["id"]}" is not snowflake.'
            raise DiscordError(400, INVALID_FORM_BODY, "Invalid Form Body", errors={"webhook_id": [message]})
        webhook = self._webhooks.get(match["id"])
        if webhook is None:
            raise DiscordError(404, UNKNOWN_WEBHOOK, "Unknown Webhook")
        if webhook.token != match["token"]:
            raise DiscordError(401, INVALID_WEBHOOK_TOKEN, "Invalid Webhook Token")
        return webhook

    def _rate_limited(self, request: Request, webhook: Webhook, now: float) -> Answer:
        wait_s = webhook.bucket.reset_after_s(now)
        self._write(request, webhook.place, 429, "rate limited")
        headers = webhook.bucket.headers(now) | {
            # The header is in whole seconds; only the body and Reset-After are exact.
            "Retry-After": str(math.ceil(wait_s)),
            "X-RateLimit-Scope": "user",
        }
        body = {"message": "You are being rate limited.", "retry_after": round(wait_s, 3), "global": False}
        return _json(429, body, headers)

    def _refuse(self, request: Request, place: str, error: DiscordError, headers: Mapping[str, str]) -> Answer:
        self._write(request, place, error.status, f"{error} {json.dumps(error.body.get('errors', ''))}")
        return _json(error.status, error.body, headers)

    def _write(self, request: Request, place: str, status: int, note: str) -> None:
        found = IDEMPOTENCY_ID.search(request.body.decode("utf-8", "replace"))
        self._journal.write(
            Received(
                place=place,
                idempotency_id=found.group() if found else "",
                received_at=request.received_at,
                accepted=200 <= status < 300,
                status=status,
                body=request.body,
                note=note,
            )
        )


def _decode(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise DiscordError(400, EMPTY_MESSAGE, "Cannot send an empty message")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise DiscordError(400, INVALID_JSON, "The request body contains invalid JSON.") from None
    if not isinstance(body, dict):
        raise DiscordError(400, INVALID_FORM_BODY, "Invalid Form Body")
    faults = faults_of(body)
    if faults:
        raise DiscordError(400, INVALID_FORM_BODY, "Invalid Form Body", errors=errors_tree(faults))
    if is_empty(body):
        raise DiscordError(400, EMPTY_MESSAGE, "Cannot send an empty message")
    return body


def _message(body: Mapping[str, Any], webhook: Webhook, now: datetime) -> dict[str, Any]:
    """The message as `?wait=true` shows it, in the parts that senders look at."""
    snowflake = (int(now.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS) << 22
    return {
        "id": str(snowflake + webhook.bucket.used),
        "type": 0,
        "content": body.get("content") or "",
        "embeds": [{"type": "rich", **embed} for embed in body.get("embeds") or ()],
        "channel_id": str(int(webhook.snowflake) - 1),
        "author": {"bot": True, "id": webhook.snowflake, "username": body.get("username") or webhook.name},
        "attachments": [],
        "mentions": [],
        "pinned": False,
        "mention_everyone": False,
        "tts": bool(body.get("tts")),
        "timestamp": now.astimezone(UTC).isoformat(),
        "edited_timestamp": None,
        "flags": 0,
        "webhook_id": webhook.snowflake,
    }


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
