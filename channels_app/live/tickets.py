"""Tickets: what a page shows to open a stream. Signed, for a minute at most, and good for one connection.

An `EventSource` cannot send headers, so the ticket stands in the URL, and URLs end up in logs: hence the short life and
the single use. That it was used is remembered in Redis; while that is away, the signature and the time alone decide.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.conf import settings
from django.core import signing

from channels_app.live.metrics import TICKETS_UNCHECKED as UNCHECKED
from channels_app.volatile import Away, Script, default_volatile

_SALT = "belfry.live.ticket"
_SPENT = "belfry:live:spent:{}"
_SPEND = Script("ticket_spend")


class BadTicket(Exception):
    """It was not made here, has been changed, or its time is over."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose stream it opens, on which device ("": it has no name), until when it can be used and the stream may last.

    Times are in seconds since 1970. `until` is 0 where nothing bounds it.
    """

    recipient: str
    device: str
    expires_at: int
    until: int
    id: str


def issue(recipient: str, *, device: str = "", until: datetime | None = None, now: datetime) -> str:
    """A ticket's text. `until` is the end of the credential for which it was given."""
    expires_at = int(now.timestamp() + settings.BELFRY_LIVE_TICKET_S)
    content = (recipient, device, expires_at, int(until.timestamp()) if until else 0, secrets.token_urlsafe(12))
    signer = signing.Signer(salt=_SALT)
    return signer.sign(signing.b64_encode(msgspec.msgpack.encode(content)).decode())


def read(text: str, *, now: datetime) -> Ticket:
    """What a ticket says. Raises `BadTicket`. Whether it was used before, `spend` tells."""
    try:
        content = signing.b64_decode(signing.Signer(salt=_SALT).unsign(text).encode())
    except (signing.BadSignature, ValueError):
        raise BadTicket from None
    ticket = Ticket(*msgspec.msgpack.decode(content, type=tuple[str, str, int, int, str]))
    if ticket.expires_at <= now.timestamp():
        raise BadTicket
    return ticket


def spend(tickets: Sequence[Ticket]) -> list[bool]:
    """For each of them whether this is its first use. Never raises."""
    try:
        answers = default_volatile().run(_SPEND, [_SPENT.format(ticket.id) for ticket in tickets], _remembered_s())
    except Away:
        answers = [None] * len(tickets)
    UNCHECKED.inc(answers.count(None))
    return [answer is not False for answer in answers]


def _remembered_s() -> int:
    """For as long as it could be shown; clocks may be a little off."""
    return int(settings.BELFRY_LIVE_TICKET_S) + 60
