"""Signatures of requests to webhooks, as Standard Webhooks 1.0 defines them.

Signed are id, timestamp and body: `HMAC-SHA256(key, "<id>.<timestamp>.<body>")`, in base64 after
`v1,`. While a secret is being changed the request bears a signature by each, separated by spaces, so
that the receiver can change over whenever it likes.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from functools import lru_cache

_PREFIX = "whsec_"
_NEW_KEY_BYTES = 32

#: Shorter and longer keys are not allowed by the specification.
MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64

#: How far a timestamp may lie from now before a receiver takes the request for a replay.
TOLERANCE_S = 300


class BadSecret(ValueError):
    """A signing secret is not `whsec_` and the base64 of 24 to 64 bytes. Does not repeat the secret."""

    def __init__(self) -> None:
        super().__init__(
            f"A signing secret is {_PREFIX} and the base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} random bytes."
        )


def new_secret() -> str:
    """A fresh secret of 32 random bytes."""
    return _PREFIX + b64encode(os.urandom(_NEW_KEY_BYTES)).decode()


def check_secret(secret: str) -> None:
    """Raise `BadSecret` unless `secret` can be signed with."""
    _key(secret)


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of the `webhook-signature` header: one signature for each of `secrets`, in order.

    `timestamp` is in seconds since 1970, as in the `webhook-timestamp` header. Raises `BadSecret`.
    """
    content = _signed_content(message_id, timestamp, body)
    return " ".join([f"v1,{_signature(secret, content)}" for secret in secrets])


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Whether one of `secrets` made one of the signatures in `headers` (lower-case names), and lately.

    `now` is in seconds since 1970. Raises `BadSecret`.
    """
    try:
        message_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        given = [each for each in headers["webhook-signature"].split(" ") if each.isascii()]
    except (KeyError, ValueError):
        return False
    if abs(now - timestamp) > TOLERANCE_S:
        return False
    right = sign(secrets, message_id, timestamp, body).split(" ")
    return any(hmac.compare_digest(one, other) for one in right for other in given)


def _signed_content(message_id: str, timestamp: int, body: bytes) -> bytes:
    return f"{message_id}.{timestamp}.".encode() + body


def _signature(secret: str, content: bytes) -> str:
    return b2a_base64(hmac.digest(_key(secret), content, "sha256"), newline=False).decode()


@lru_cache(maxsize=4096)
def _key(secret: str) -> bytes:
    """The bytes of the key, remembered: decoding them costs more than a signature."""
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise BadSecret from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise BadSecret
    return key
