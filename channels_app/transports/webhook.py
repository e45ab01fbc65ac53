"""Webhook: a JSON POST to an address of the operator's, signed by Standard Webhooks.

Source of the headers and of the signed content: the Standard Webhooks specification, 1.0.0.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from channels_app import signing
from channels_app.base import Config, HttpTransport, Message, Request, json_body, setting
from channels_app.payload import raw

#: Names that are ours to set. A configured header of the same name would break the signature.
_OURS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length", "host"})

_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [ -~]*")


class WebhookConfig(Config):
    url: Annotated[
        str,
        setting(
            "Where to post.",
            secret=True,
            pattern="^https?://(?![/?#])[!-~]+$",
            max_length=2000,
            example="https://example.org/hooks/belfry",
        ),
    ]
    secret: Annotated[
        str,
        setting(
            "Signs every request, whsec_ and base64. Empty: unsigned.",
            secret=True,
            pattern="^(whsec_.+)?$",
            example="whsec_ZXhhbXBsZS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE=",
        ),
    ] = ""
    old_secret: Annotated[
        str, setting("Signs too while receivers change over to a new secret.", secret=True, pattern="^(whsec_.+)?$")
    ] = ""
    method: Annotated[Literal["POST", "PUT"], setting("How to send it.")] = "POST"
    headers: Annotated[
        dict[str, str],
        setting(
            "Further headers, such as Authorization.", secret=True, example={"Authorization": "Bearer example-token"}
        ),
    ] = {}

    def __post_init__(self) -> None:
        for field, secret in (("secret", self.secret), ("old_secret", self.old_secret)):
            if secret:
                _check_secret(field, secret)
        for name, value in self.headers.items():
            if name.lower() in _OURS:
                raise ValueError(f"The header {name} is set by Belfry; leave it out of `headers`")
            if not _HEADER.fullmatch(f"{name}: {value}"):
                raise ValueError(
                    "Names and values of headers are single lines of ASCII, names without spaces, in `headers`"
                )

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in (self.secret, self.old_secret) if secret)


def _check_secret(field: str, secret: str) -> None:
    try:
        signing.check_secret(secret)
    except ValueError as error:
        raise ValueError(f"{error} Look at `{field}`") from None


class WebhookBody(msgspec.Struct):
    """What a receiver reads. Fields are added, never renamed or removed."""

    id: str
    event_type: str
    priority: int
    priority_label: str
    title: str
    body: str
    timestamp: datetime
    streamer: str
    streamer_name: str
    platform: str
    data: object


class Webhook(HttpTransport[WebhookConfig]):
    kind = "webhook"
    label = "Webhook"
    Config = WebhookConfig

    def build(self, message: Message, config: WebhookConfig, *, now: datetime) -> Request:
        body = json_body(
            WebhookBody(
                id=message.notification_id,
                event_type=message.event_type,
                priority=message.priority,
                priority_label=message.priority_label,
                title=message.title,
                body=message.body,
                timestamp=message.accepted_at,
                streamer=message.streamer_key,
                streamer_name=message.streamer_name,
                platform=message.platform,
                data=raw(message.data),
            )
        )
        headers = {**config.headers, "content-type": "application/json", "webhook-id": message.idempotency_id}
        secrets = config.signing_secrets
        if secrets:
            timestamp = int(now.timestamp())
            headers["webhook-timestamp"] = str(timestamp)
            headers["webhook-signature"] = signing.sign(secrets, message.idempotency_id, timestamp, body)
        return Request(url=config.url, body=body, headers=headers, method=config.method)
