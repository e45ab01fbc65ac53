"""Feed tokens: an application signs one for each of its users, and the user's programs show it to reach their feed.

A JSON Web Token (RFC 7519) under HS256 with the secret of a feed key. In its header `kid` names the key; `sub` is the
recipient, `aud` is `belfry-feed`, `exp` lies at most a day ahead. Whether the key still counts is asked elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from jwt.exceptions import InvalidSubjectError

from channels_app.feed.recipient import BadRecipient, spelled

AUDIENCE = "belfry-feed"
_ALGORITHM = "HS256"

#: How far ahead a token may end: one that leaks is of no use the day after.
LONGEST_S = 24 * 3600.0
#: How far the clock of an application may be from ours.
LEEWAY_S = 30.0


class BadToken(Exception):
    """A text is no feed token that counts. The message is a sentence for whoever signs them."""


@dataclass(frozen=True, slots=True)
class FeedToken:
    """Whose feed it opens, until when, and the id of the key that signed it."""

    recipient: str
    expires_at: datetime
    kid: str


def kid_of(text: str) -> str:
    """The id of the key that a token says it was signed with. Nothing of it has been proved. Raises `BadToken`."""
    try:
        header = jwt.get_unverified_header(text)
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise BadToken("It is not a JSON Web Token.") from None
    kid = header.get("kid")
    # What no id of ours contains need not reach the database, which cannot even be asked for some of it.
    if not isinstance(kid, str) or not (kid.isascii() and kid.isprintable() and kid):
        raise BadToken("Its header does not say with which feed key it was signed (`kid`).")
    return kid


def read(text: str, secret: str, *, now: datetime) -> FeedToken:
    """What a token says that was signed with `secret`. Raises `BadToken`."""
    kid = kid_of(text)
    claims = _claims(text, secret)
    ends_at = _end(claims.get("exp"), now.timestamp())
    begins_at = claims.get("nbf", 0)
    if not _is_number(begins_at) or begins_at > now.timestamp() + LEEWAY_S:
        raise BadToken("It does not count yet (`nbf`).")
    try:
        recipient = spelled(claims["sub"])
    except BadRecipient as error:
        raise BadToken(f"Its `sub` is no recipient. {error}") from None
    return FeedToken(recipient, datetime.fromtimestamp(ends_at, UTC), kid)


def sign(recipient: str, *, kid: str, secret: str, now: datetime, lasts: timedelta = timedelta(hours=1)) -> str:
    """A token, as applications make them."""
    claims = {"sub": recipient, "aud": AUDIENCE, "exp": int((now + lasts).timestamp())}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": kid})


# Times are compared with the `now` of the caller; the rest is the library's to check.
_REQUIRED: Any = {"require": ["sub", "aud", "exp"], "verify_exp": False, "verify_nbf": False, "verify_iat": False}

_FAULTS: dict[type[jwt.InvalidTokenError], str] = {
    jwt.InvalidSignatureError: "Its signature does not fit: it was signed with another secret, or changed.",
    jwt.InvalidAlgorithmError: f"It is not signed with {_ALGORITHM}.",
    jwt.InvalidAudienceError: f"Its `aud` is not {AUDIENCE}.",
    InvalidSubjectError: "Its `sub` is not a text.",
}


def _claims(text: str, secret: str) -> dict[str, Any]:
    try:
        return jwt.decode(text, secret, algorithms=[_ALGORITHM], audience=AUDIENCE, options=_REQUIRED)
    except jwt.MissingRequiredClaimError as error:
        raise BadToken(f"It lacks `{error.claim}`.") from None
    except jwt.InvalidTokenError as error:
        raise BadToken(_FAULTS.get(type(error), "It is not a JSON Web Token.")) from None
    except (ValueError, RecursionError):
        raise BadToken("It is not a JSON Web Token.") from None


def _end(exp: Any, now_s: float) -> float:
    if not _is_number(exp):
        raise BadToken("Its `exp` is not a number of seconds.")
    if exp <= now_s - LEEWAY_S:
        raise BadToken("Its time is over (`exp`).")
    if exp > now_s + LONGEST_S + LEEWAY_S:
        raise BadToken("It would count for more than 24 hours (`exp`).")
    return float(exp)


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)
