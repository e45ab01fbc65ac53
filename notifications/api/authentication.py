"""How a caller shows who it is: an API key as a bearer token, or the session of a member of staff."""

from __future__ import annotations

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from notifications.api.caller import Caller
from notifications.api.remembered import Remembered
from notifications.models import ApiKey


def _read(digest: str) -> Caller | None:
    key = ApiKey.objects.select_related("streamer").filter(digest=digest, revoked_at__isnull=True).first()
    if key is None:
        return None
    return Caller(
        name=f"API key {key}",
        role=key.role,
        api_key=key,
        streamer_id=key.streamer_id,
        streamer_key=key.streamer.key if key.streamer else "",
    )


#: Callers by the digest of their key.
REMEMBERED = Remembered(_read)


def is_operator(text: str) -> bool:
    """Whether this is the key of an operator for all streamers."""
    caller = REMEMBERED.find(ApiKey.digest_of(text))
    return caller is not None and caller.is_operator and not caller.is_bound


class BearerKey(BaseAuthentication):
    """`Authorization: Bearer bf_...`"""

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise AuthenticationFailed("Use `Authorization: Bearer` and an API key.")
        caller = REMEMBERED.find(ApiKey.digest_of(text.strip()))
        if caller is None:
            raise AuthenticationFailed("This API key does not exist or was revoked.")
        return caller, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Belfry"'


class StaffSession(SessionAuthentication):
    """The session of somebody who may use the admin; CSRF is checked.

    Superusers act as operators. The rights of others are those that Django's permissions give them in the
    admin, and the API knows nothing of these: so it opens their own feed to them, and nothing else.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Caller] | None:
        signed_in = super().authenticate(request)
        if signed_in is None or not signed_in[0].is_staff:
            return None
        user = signed_in[0]
        caller = Caller(name=user.get_username(), role=ApiKey.Role.OPERATOR if user.is_superuser else "")
        return caller, caller


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema shows `BearerKey`."""

    target_class = BearerKey
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "bf_…",
            "description": "A key made by `./belfry apikey create`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema shows `StaffSession`."""

    target_class = StaffSession
    name = "staffSession"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Signed in to the admin."}
