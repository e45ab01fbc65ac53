"""Recipients who show a token, and what is written into their feeds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.test import APIClient

from channels_app import feed_tokens
from channels_app.feed import writing
from channels_app.feed.item import NewItem
from channels_app.models import FeedKey
from notifications import clock

V1 = "/api/v1"


def reader(recipient: str = "ann") -> APIClient:
    """A recipient's program."""
    key, secret = FeedKey.objects.issue("app")
    token = feed_tokens.sign(recipient, kid=key.kid, secret=secret, now=clock.now())
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}")


def write(recipient: str = "ann", **fields: Any) -> UUID:
    """An item into a feed; its id."""
    item = NewItem(**{"recipient": recipient, "event_type": "stream_online", "title": "It is on", **fields})
    (change,) = writing.publish([item], now=clock.now())
    return UUID(change.item["id"])
