"""What goes wrong, said in one form everywhere: `application/problem+json` (RFC 9457).

A problem names its kind (`type`), says what happened (`detail`), and lists each field at fault with a
sentence (`errors`). Views raise; `problem_of` is the one place where exceptions become answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.signals import got_request_exception
from django.db import DataError, IntegrityError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from notifications.intake import IdempotencyConflict, Refused
from notifications.models.statement import AWAY, is_away

MEDIA_TYPE = "application/problem+json"

#: Status → the kind of problem, the last part of `type`. A status that is not here has its phrase.
KINDS: Mapping[int, str] = {
    400: "invalid-request",
    401: "not-authenticated",
    403: "not-permitted",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    429: "too-many-requests",
    500: "internal-error",
    503: "unavailable",
}

_log = structlog.get_logger(__name__)


class Problem(exceptions.APIException):
    """A problem that a view raises in its own words. `errors` are (path of the field, sentence)."""

    def __init__(self, status: int, detail: str, errors: Iterable[tuple[str, str]] = (), **headers: str) -> None:
        super().__init__(detail)
        self.status_code = status
        self.text = detail
        self.errors = tuple(errors)
        self.headers = headers


def invalid(*errors: tuple[str, str]) -> Problem:
    """400: these fields are at fault."""
    return Problem(400, "; ".join(f"{field}: {text}" if field else text for field, text in errors), errors)


def conflict(detail: str, *errors: tuple[str, str]) -> Problem:
    """409: it cannot be done as things stand."""
    return Problem(409, detail, errors)


def answer(exception: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's exception handler: every exception of a view becomes a problem."""
    request = context["request"]
    problem = problem_of(exception)
    if problem.status_code >= 500:
        _report(exception, problem.status_code, request)
    set_rollback()
    response = Response(
        body_of(problem, instance=request.path),
        status=problem.status_code,
        headers=problem.headers,
        content_type=MEDIA_TYPE,
    )
    response.exception = True
    return response


def body_of(problem: Problem, *, instance: str = "") -> dict[str, Any]:
    """The members of a problem, as RFC 9457 names them, and `errors`."""
    status = problem.status_code
    return {
        "type": f"urn:belfry:problem:{KINDS.get(status, 'problem')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem.text,
        "instance": instance,
        "errors": [{"field": field, "message": text} for field, text in problem.errors],
    }


def problem_of(exception: Exception) -> Problem:
    """Which problem an exception is. What nobody foresaw is a 500 without any inside detail."""
    for kinds, read in _READINGS:
        if isinstance(exception, kinds):
            problem: Problem = read(exception)
            return problem
    return Problem(500, _UNFORESEEN)


def _of_validation(exception: Any) -> Problem:
    return invalid(*_flattened(exception.detail))


def _of_api(exception: Any) -> Problem:
    headers = {}
    if getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = exception.auth_header
    if getattr(exception, "wait", None):
        headers["Retry-After"] = str(int(exception.wait))
    return Problem(exception.status_code, str(exception.detail), (), **headers)


def _of_database(error: Exception) -> Problem:
    return Problem(503, _DATABASE_AWAY, (), **{"Retry-After": "1"}) if is_away(error) else Problem(500, _UNFORESEEN)


_UNFORESEEN = "Something went wrong in Belfry. It was logged."
_NOT_FOUND = "There is nothing here, or nothing that this caller may see."
_DATABASE_AWAY = "The database does not answer. Nothing was changed; try again."

_READINGS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Any], ...] = (
    (Problem, lambda problem: problem),
    (Refused, lambda refused: invalid(*refused.problems)),
    (IdempotencyConflict, lambda found: conflict(str(found), (found.path, str(found)))),
    (exceptions.ValidationError, _of_validation),
    ((exceptions.NotFound, Http404), lambda _: Problem(404, _NOT_FOUND)),
    (exceptions.APIException, _of_api),
    (PermissionDenied, lambda _: Problem(403, "This caller may not do that.")),
    (RequestDataTooBig, lambda _: Problem(413, "The body is too large.")),
    (DataError, lambda _: invalid(("", "A value lies outside of what can be kept."))),
    (IntegrityError, lambda _: conflict("Somebody else changed the same thing at this moment, or it is in use.")),
    (AWAY, _of_database),
)


def _flattened(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """DRF's nested errors as (path, sentence): `config.url`, `tags[2]`; "" is the whole body."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flattened(inner, _below(path, name))
    elif isinstance(detail, (list, tuple)):
        for place, inner in enumerate(detail):
            yield from _flattened(inner, path if isinstance(inner, str) else f"{path}[{place}]")
    else:
        yield path, str(detail)


def _below(path: str, name: object) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    if name == "non_field_errors":
        return path
    return f"{path}.{name}" if path else str(name)


def _report(exception: Exception, status: int, request: Any) -> None:
    if status == 503:  # The engine says enough; a trace for every request would bury it.
        error, detail = type(exception).__name__, str(exception).partition("\n")[0]
        _log.warning("database_away", method=request.method, path=request.path, error=error, detail=detail)
        return
    _log.error("request_failed", method=request.method, path=request.path, exc_info=exception)
    got_request_exception.send(sender=None, request=request)
