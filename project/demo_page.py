"""/demo/: superusers send themselves notifications, and watch the bell, the mailbox and the receiver side by side.

The page does everything over the API, as any other program would. What arrived it asks of the far ends, where
`./belfry up --demo` has started some. It is there in the embedded default alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from functools import wraps
from typing import Any

import requests
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.views.decorators.http import require_GET

View = Callable[[HttpRequest], HttpResponse]

#: What the page shows of each far end.
_MOST_SHOWN = 10
_PATIENCE_S = 2.0


def _where_there_is_a_demo(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not settings.BELFRY_DEMO:
            raise Http404("Only ./belfry up has this page.")
        # It acts over the API, as an operator.
        if request.user.is_authenticated and request.user.is_staff and not request.user.is_superuser:
            raise PermissionDenied("The page acts as an operator: only superusers may.")
        return view(request)

    return guarded


@_where_there_is_a_demo
@require_GET
@staff_member_required
def show(request: HttpRequest) -> HttpResponse:
    """The page."""
    facts = {
        "recipient": request.user.get_username(),
        "csrf": get_token(request),
        "world": settings.BELFRY_DEMO_WORLD,
        "smtp_port": settings.BELFRY_DEMO_SMTP_PORT,
        "live": f"{settings.BELFRY_LIVE_URL}/rt",
    }
    context = {**admin.site.each_context(request), "title": "Try it", "facts": facts}
    return render(request, "demo/page.html", context)


@_where_there_is_a_demo
@require_GET
@staff_member_required
def arrived(_request: HttpRequest) -> HttpResponse:
    """What the far ends have got, the newest first: `{"mail": [...], "webhook": [...]}`. 502 when they are away."""
    try:
        return JsonResponse({"mail": [*_mail()], "webhook": [*_webhooks()]})
    except requests.RequestException:
        return JsonResponse({"detail": "The mailbox and the receiver do not answer."}, status=502)


def _seen(place: str) -> list[dict[str, Any]]:
    """Raises `requests.RequestException`."""
    if not settings.BELFRY_DEMO_WORLD:
        return []
    answer = requests.get(f"{settings.BELFRY_DEMO_WORLD}/__seen", {"place": place}, timeout=_PATIENCE_S)
    answer.raise_for_status()
    lines: list[dict[str, Any]] = answer.json()["lines"]
    return lines[: -_MOST_SHOWN - 1 : -1]


def _mail() -> Iterator[dict[str, Any]]:
    for line in _seen("mail"):
        mail = message_from_bytes(line["body"].encode(), _class=EmailMessage, policy=default_policy)
        text = mail.get_body(("plain",))
        yield {
            "at": line["received_at"],
            "id": line["idempotency_id"],
            "title": mail["Subject"] or "",
            "to": mail["To"] or "",
            "text": text.get_content().replace("\r\n", "\n") if text is not None else "",
        }


def _webhooks() -> Iterator[dict[str, Any]]:
    for line in _seen("sink/try"):
        yield {"at": line["received_at"], "id": line["idempotency_id"], "text": _laid_out(line["body"])}


def _laid_out(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
