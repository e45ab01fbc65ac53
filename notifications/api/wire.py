"""Bodies: JSON in and out by msgspec, bounded in size, and every fault of a body or a query named.

A view may declare `body_type`, a msgspec type; `request.data` is then that, already checked, and no
serializer stands between. Without it, `request.data` is plain JSON for a serializer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import IO, Any, TypeVar

import msgspec
from django.utils.functional import Promise
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from notifications.api.problems import Problem, invalid
from notifications.draft import EVENT_TYPE
from notifications.selection import NO_NUL

B = TypeVar("B")

#: Bytes of a body where the view does not say otherwise. Escaped text can take six times its length.
MAX_BODY_BYTES = 1024 * 1024

_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_FIELD = re.compile(r"field `(?P<field>[^`]+)`")
_FORM = re.compile(r"^Expected `str` matching regex (?P<pattern>'.*')$")

#: Text that names something and is shown to people.
ONE_LINE = r"^[^\x00-\x1f\x7f]+\Z"

#: What a pattern asks for, as msgspec repeats it, in words.
_FORMS = {
    repr(NO_NUL): "The character NUL cannot be stored",
    repr(ONE_LINE): "Use one line without control characters",
    repr(EVENT_TYPE): "Use 1 to 100 letters, digits, spaces and _ . : - and begin with a letter or a digit",
}


class JsonParser(BaseParser):
    """Reads `application/json` into the view's `body_type`, or into plain JSON."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        view = (parser_context or {}).get("view")
        body = _bounded(stream, getattr(view, "max_body_bytes", MAX_BODY_BYTES))
        return decoded(body, getattr(view, "body_type", Any))


class JsonRenderer(BaseRenderer):
    """Writes JSON: times as RFC 3339 in UTC, UUIDs as text."""

    media_type = "application/json"
    format = "json"
    #: JSON is UTF-8 by definition; DRF must not add a parameter.
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else _encode(data)


class JsonAlone(DefaultContentNegotiation):
    """There is one form of answers, so there is nothing to negotiate: whatever `Accept` says, it is JSON.

    RFC 9110 (12.5.1) allows it, and it saves an eighth of a request. A view with a choice still offers it.
    """

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        choice = list(renderers)
        if len(choice) == 1:
            return choice[0], choice[0].media_type
        chosen: tuple[BaseRenderer, str] = super().select_renderer(request, choice, format_suffix)
        return chosen


def decoded(body: bytes, body_type: Any) -> Any:
    """The body as `body_type`. Raises `Problem` that names the field at fault, where there is one."""
    try:
        return msgspec.json.decode(body, type=body_type)
    except msgspec.ValidationError as error:
        raise invalid(_named(str(error))) from None
    except msgspec.DecodeError as error:
        raise invalid(("", f"The body cannot be read as JSON: {error}.")) from None
    except UnicodeDecodeError:
        raise invalid(("", "The body is not UTF-8, in which JSON is written.")) from None
    except RecursionError:
        raise invalid(("", "The body is nested too deeply.")) from None


def body_of(request: Request, body_type: type[B]) -> B:
    """The body that the parser has read for a view that declares `body_type`. Raises `Problem` where it is empty."""
    body = request.data
    if not isinstance(body, body_type):
        raise invalid(("", "The body is empty. Send JSON, with a Content-Length."))
    return body


def query_of(request: Request, query_type: type[B]) -> B:
    """The query as `query_type`, whose fields are told from text. Raises `Problem` that names the field at fault."""
    try:
        return msgspec.convert(request.query_params.dict(), type=query_type, strict=False)
    except msgspec.ValidationError as error:
        raise invalid(_named(str(error))) from None


def without_query(request: Request) -> None:
    """Raises `Problem` where a list that has no filters is asked with one."""
    unknown = [(name, "There is no such filter, nor any other.") for name in request.query_params]
    if unknown:
        raise invalid(*unknown)


def _bounded(stream: IO[Any], limit: int) -> bytes:
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise Problem(413, f"The body is larger than {limit} bytes.")
    return body


def _named(text: str) -> tuple[str, str]:
    """msgspec says where by a path at the end, and by the field's name in the sentence."""
    at = _PATH.search(text)
    path, sentence = (at["path"], text[: at.start()]) if at else ("", text)
    field = _FIELD.search(sentence)
    if field:
        path = f"{path}.{field['field']}" if path else field["field"]
    form = _FORM.search(sentence)
    words = _FORMS.get(form["pattern"], sentence) if form else sentence
    return path.replace("[...]", "[]"), words + "."


def _plain(value: object) -> object:
    """What msgspec does not know: translated texts and subclasses of str."""
    if isinstance(value, (str, Promise)):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form here")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
