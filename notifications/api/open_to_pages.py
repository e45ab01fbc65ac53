"""Letting pages of other origins ask (CORS): an application's own pages show their users' feeds."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.views import APIView

#: No cookies go with `*`: what a page of another origin reads, it has a token for.
_READABLE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, X-Poll-Interval, Retry-After",
}
_PREFLIGHT = {
    **_READABLE,
    "Access-Control-Allow-Methods": "GET, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, Idempotency-Key, X-CSRFToken",
    "Access-Control-Max-Age": "7200",
}


class OpenToPages(APIView):
    """For views that are open to recipients. No answer of theirs is kept by anybody in between."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """A browser asks first whether a page may ask; with that it shows nothing by which to know who it is."""
        if request.method == "OPTIONS":
            return HttpResponse(status=204, headers=_PREFLIGHT)
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if "Origin" in request.headers:
            for name, value in _READABLE.items():
                answer.headers[name] = value
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer
