"""WSGI entry point."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, cast

import django
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, get_resolver

from project import connections, env
from project.production import refuse_without_secrets

_API = "/api/v1/"


@lru_cache(maxsize=1024)
def _resolved(path: str) -> ResolverMatch:
    """Producers ask for few paths; finding one anew costs more than checking its body. Raises `Resolver404`."""
    return get_resolver().resolve(path)


class ProgramHandler(WSGIHandler):
    """Django for programs that show a key: without sessions, messages, CSRF and static files.

    Those layers serve browsers, and cost a third of the time in which a notification is accepted. Nor are a
    script prefix, a URLconf and the signals of a request set for its thread: their locks are shared by all
    threads, which then queue for them and hand the interpreter round two or three times a request.
    """

    def __call__(  # type: ignore[override]  # WSGI asks for bytes; Django gives its response, which has them.
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        connections.replace_broken()
        request = WSGIRequest(environ)
        try:
            response = cast("HttpResponse", self._middleware_chain(request))
            if response.status_code >= 500:
                connections.replace_broken()
            start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
            return [response.content]
        finally:
            request.close()

    def resolve_request(self, request: HttpRequest) -> Any:
        match = request.resolver_match = _resolved(request.path_info)
        return match

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(
            SecurityMiddleware(convert_exception_to_response(self._get_response))  # type: ignore[attr-defined]
        )


class Entrance:
    """Sends programs and browsers to the Django that is made for them."""

    def __init__(self) -> None:
        self._programs, self._browsers = ProgramHandler(), WSGIHandler()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        shows_a_key = environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer ")
        is_api = environ.get("PATH_INFO", "").startswith(_API)
        handler = self._programs if shows_a_key and is_api else self._browsers
        return handler(environ, start_response)


env.fill({"DJANGO_SETTINGS_MODULE": "project.settings"})
django.setup(set_prefix=False)
application = Entrance()
refuse_without_secrets()
# What was imported stays; the collector need not walk through it at every few hundred requests.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 50)
