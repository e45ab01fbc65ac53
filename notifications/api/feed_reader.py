"""Whose feed a request is about, and whether that is the caller's to see.

A feed token opens the feed of its recipient, the session of a member of staff that of their user name,
and the key of an operator for all streamers the feed that the query names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from channels_app import feed_tokens
from channels_app.feed.recipient import BadRecipient, spelled
from channels_app.feed_tokens import BadToken
from channels_app.models import FeedKey
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from notifications import clock
from notifications.api.authentication import BearerKey, StaffSession
from notifications.api.caller import Caller, known_caller
from notifications.api.remembered import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReader:
    """A recipient, by a token that their application has signed; it counts until `until`."""

    recipient: str
    until: datetime

    #: What Django and DRF ask of a user.
    is_authenticated = True
    is_active = True


#: Secrets of feed keys by their ids.
SECRETS: Remembered[str] = Remembered(FeedKey.objects.secret_of)


class FeedToken(BaseAuthentication):
    """`Authorization: Bearer` and a JSON Web Token; anything else is left to others."""

    def authenticate(self, request: Request) -> tuple[FeedReader, FeedReader] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        # Keys of the API have no dots.
        if scheme.lower() != "bearer" or text.count(".") != 2:
            return None
        try:
            reader = _read(text.strip())
        except BadToken as error:
            raise AuthenticationFailed(f"This feed token does not count. {error}") from None
        except (NoSecretKeys, SecretUnreadable):
            raise AuthenticationFailed("The key of this feed token cannot be opened by Belfry.") from None
        return reader, reader

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Belfry"'


def _read(text: str) -> FeedReader:
    """Raises `BadToken`, and what `FeedKeyQuerySet.secret_of` raises."""
    secret = SECRETS.find(feed_tokens.kid_of(text))
    if secret is None:
        raise BadToken("The feed key in its header (`kid`) does not exist or was revoked.")
    token = feed_tokens.read(text, secret, now=clock.now())
    return FeedReader(recipient=token.recipient, until=token.expires_at)


class MayReadFeeds(BasePermission):
    """Recipients, staff, and operators for all streamers."""

    message = "This needs a feed token, or an API key of an operator for all streamers."

    def has_permission(self, request: Request, view: object) -> bool:
        caller = known_caller(request)
        if caller is None:
            return isinstance(request.auth, FeedReader)
        return caller.api_key is None or (caller.is_operator and not caller.is_bound)


#: How callers show who they are where recipients are among them.
RECIPIENTS_TOO: list[type[BaseAuthentication]] = [FeedToken, BearerKey, StaffSession]


def known_reader(request: Request | None) -> FeedReader | None:
    """The recipient who shows a token, or None."""
    reader = request.auth if request is not None else None
    return reader if isinstance(reader, FeedReader) else None


def recipient_of(request: Request) -> str:
    """Whose feed it is about. Raises `ValidationError` and `PermissionDenied`."""
    named = _named(request.query_params.get("recipient", ""))
    own = _own(request)
    if own is None and not named:
        raise ValidationError({"recipient": "Say whose feed: an API key has none of its own."})
    if own is not None and named not in ("", own):
        raise PermissionDenied("This opens the feed of one recipient, and not that of another.")
    return own or named


def _named(text: str) -> str:
    try:
        return spelled(text) if text else ""
    except BadRecipient as error:
        raise ValidationError({"recipient": str(error)}) from None


def _own(request: Request) -> str | None:
    """The one feed that this caller has; None for a key."""
    reader, caller = known_reader(request), known_caller(request)
    if reader is not None:
        return reader.recipient
    return _feed_of_staff(caller) if caller is not None and caller.api_key is None else None


def _feed_of_staff(caller: Caller) -> str:
    try:
        return spelled(caller.name)
    except BadRecipient as error:
        raise PermissionDenied(f"This user name has no feed. {error}") from None


class FeedTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema shows `FeedToken`."""

    target_class = FeedToken
    name = "feedToken"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A JSON Web Token (HS256) that an application signs for one of its users with the secret "
            "of a feed key: `kid` in the header; `sub` the recipient, `aud` belfry-feed, `exp` at most 24 hours ahead.",
        }
