"""Finding out who is at the other end: by a ticket, by a token, or by the session of a member of staff."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError, InterfaceError
from django.utils.module_loading import import_string

from channels_app import feed_tokens
from channels_app.feed.recipient import BadRecipient, spelled
from channels_app.feed_keys import FeedKey
from channels_app.feed_tokens import BadToken
from channels_app.live import tickets
from channels_app.live.codes import Code, Refused
from channels_app.live.gathering import Gathering
from channels_app.live.identity import Identity, device_named
from channels_app.live.origin import may_use_cookies
from channels_app.live.request import Request
from channels_app.live.threads import Threads
from channels_app.live.tickets import BadTicket, Ticket
from channels_app.secrets import NoSecretKeys, SecretUnreadable

logger = structlog.get_logger(__name__)

_SESSION, _TOKEN = "session", "token"


class Credentials:
    """Asks whatever must be asked in threads. `trusted`: origins whose pages may use cookies."""

    def __init__(self, threads: Threads, *, trusted: Collection[str]) -> None:
        self._threads, self.trusted = threads, trusted
        self._spending: Gathering[Ticket, bool] = Gathering(self._spend)

    def has_any(self, request: Request, *, websocket: bool) -> bool:
        """Whether a request shows anything at all by which to know who asks."""
        return bool("ticket" in request.query or request.bearer or self._session_key(request, websocket))

    async def identify(self, request: Request, *, websocket: bool) -> Identity:
        """Who asks. Raises `Refused`."""
        device = request.query.get("device", "")
        session_key = self._session_key(request, websocket)
        if "ticket" in request.query:
            return await self.of_ticket(request.query["ticket"], device)
        if request.bearer:
            return await self._of_token(request.bearer, request.query.get("recipient", ""), device)
        if session_key:
            return await self._of_session(session_key, device)
        raise Refused(Code.FORBIDDEN)

    async def of_ticket(self, text: str, device: str) -> Identity:
        """Who was given this ticket. It cannot be shown again. Raises `Refused`."""
        try:
            ticket = tickets.read(text, now=datetime.now(UTC))
        except BadTicket:
            raise Refused(Code.TOKEN_EXPIRED) from None
        if not await self._spending.ask(ticket):
            raise Refused(Code.TOKEN_EXPIRED)
        return Identity(ticket.recipient, device_named(ticket.device or device), float(ticket.until))

    async def is_operator(self, request: Request) -> bool:
        """Whether a request shows an operator's token."""
        return bool(request.bearer) and await self._ask(_is_operator, request.bearer)

    async def still_counts(self, identity: Identity) -> bool:
        """Whether what was shown would be taken again. It is where nobody can tell."""
        try:
            if identity.kind == _SESSION:
                await self._of_session(identity.secret, identity.device)
            elif identity.kind == _TOKEN:
                await self._of_token(identity.secret, identity.recipient, identity.device)
        except Refused as refused:
            return refused.code is Code.SERVER_ERROR
        return True

    def _session_key(self, request: Request, websocket: bool) -> str:
        site = request.headers.get("sec-fetch-site")
        if not may_use_cookies(request.origin, fetch_site=site, trusted=self.trusted, websocket=websocket):
            return ""
        return request.cookie(settings.SESSION_COOKIE_NAME)

    async def _of_token(self, token: str, recipient: str, device: str) -> Identity:
        """A feed token opens its recipient's feed; an operator's key that of whom they ask for."""
        if _is_feed_token(token):
            who = await self._ask(_of_feed_token, token)
        else:
            who = _spelled(recipient) if await self._ask(_is_operator, token) else None
        if not who:
            raise Refused(Code.TOKEN_EXPIRED)
        name, until = who
        return Identity(name, device_named(device), until, kind=_TOKEN, secret=token)

    async def _of_session(self, key: str, device: str) -> Identity:
        identity: Identity | None = await self._ask(_signed_in, key)
        if identity is None:
            raise Refused(Code.FORBIDDEN)
        return replace(identity, device=device_named(device))

    async def _ask(self, question: Callable[..., Any], *arguments: str) -> Any:
        try:
            return await self._threads.run(question, *arguments, now=datetime.now(UTC))
        except (DatabaseError, InterfaceError) as error:
            logger.warning("live_credentials_unknown", error=type(error).__name__)
            raise Refused(Code.SERVER_ERROR) from error

    async def _spend(self, some: Sequence[Ticket]) -> list[bool]:
        return await self._threads.run(tickets.spend, some)


def trusted_origins() -> frozenset[str]:
    """Origins whose pages may use cookies: our own, and those that the settings name."""
    return frozenset([settings.BELFRY_PUBLIC_URL, *settings.CSRF_TRUSTED_ORIGINS, *settings.BELFRY_LIVE_ORIGINS])


def _is_feed_token(text: str) -> bool:
    """Whether a text has the form of a JSON Web Token; keys of the API have no dots."""
    return text.count(".") == 2


def _of_feed_token(text: str, *, now: datetime) -> tuple[str, float] | None:
    """The recipient for whom an application signed it, and until when it counts."""
    try:
        secret = FeedKey.objects.secret_of(feed_tokens.kid_of(text))
        token = feed_tokens.read(text, secret, now=now) if secret else None
    except (BadToken, SecretUnreadable, NoSecretKeys):
        return None
    return (token.recipient, token.expires_at.timestamp()) if token else None


def _is_operator(token: str, *, now: datetime) -> bool:  # noqa: ARG001 - asked like all others
    """As `settings.BELFRY_LIVE_OPERATORS` says, a function of the token."""
    return bool(import_string(settings.BELFRY_LIVE_OPERATORS)(token))


def _spelled(recipient: str) -> tuple[str, float] | None:
    try:
        return spelled(recipient), 0.0
    except BadRecipient:
        return None


def _signed_in(key: str, *, now: datetime) -> Identity | None:  # noqa: ARG001 - asked like all others
    """The member of staff who is signed in by this session, as the recipient of their name."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(SimpleNamespace(session=session))  # type: ignore[arg-type]  # The session is all it looks at.
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return None
    until = session.get_expiry_date().timestamp()
    return Identity(spelled(user.get_username()), "", until, kind=_SESSION, secret=key)
