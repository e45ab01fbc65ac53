"""`{% load belfry %}{% belfry_bell %}`: the bell of whoever is signed in. `docs/bell.md` explains it."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse

from channels_app.feed import reading
from channels_app.feed.recipient import BadRecipient, spelled
from notifications import clock

register = template.Library()


@register.inclusion_tag("belfry/bell.html", takes_context=True)
def belfry_bell(
    context: dict[str, Any],
    *,
    token: str = "",
    token_url: str = "",
    recipient: str = "",
    theme: str = "",
    nonce: str = "",
) -> dict[str, Any]:
    """The element, with the count that holds now, and its script.

    A member of staff sees the feed of their own user name. For anybody else say whose feed it is (`recipient`) and
    how the page shows so: a feed token, or an address of yours that answers `{"token": "..."}`. Others see nothing.
    `theme` is "light", "dark" or as the system has it; `nonce` is for pages whose policy asks for one.
    """
    request: HttpRequest | None = context.get("request")
    by_token = bool(token or token_url)
    reader = _spelled(recipient) if by_token else _staff(request)
    if not reader:
        return {"reader": ""}
    return {
        "reader": reader,
        "unread": reading.state(reader, now=clock.now()).unread,
        "api": reverse("health").removesuffix("/health"),
        "stream": f"{settings.BELFRY_LIVE_URL}/rt",
        "csrf": get_token(request) if request is not None and not by_token else "",
        "token": token,
        "token_url": token_url,
        "theme": theme,
        "nonce": nonce,
    }


def _staff(request: HttpRequest | None) -> str:
    user = getattr(request, "user", None)
    return _spelled(user.get_username()) if user is not None and user.is_active and user.is_staff else ""


def _spelled(recipient: str) -> str:
    try:
        return spelled(recipient)
    except BadRecipient:
        return ""
