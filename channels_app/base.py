"""What a transport is: the contract between one kind of channel and the engine.

A new kind of channel is one file in `channels_app/transports/` with one subclass of
`HttpTransport` (the engine sends what `build` returns) or of `BlockingTransport` (it speaks a
protocol of its own in `send`). It is found by its presence; its kind stands nowhere else.
`docs/adding_a_transport.md` is the guide, `tests/contracts/` what every transport must pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from channels_app.outcomes import Outcome, Verdict


def setting(help_text: str, *, secret: bool = False, example: Any = None, **constraints: Any) -> msgspec.Meta:
    """Describe one field of a `Config`, as in `Annotated[str, setting("Where to post.")]`.

    `secret` fields are encrypted at rest, can be written but never read back, and are masked in
    `repr`. `example` is shown in the schema, and the contract suite makes its sample settings of the
    examples; a field without a default must have one. `constraints` are those of `msgspec.Meta`
    (`min_length`, `pattern`, `ge` ...).
    """
    examples = None if example is None else [example]
    return msgspec.Meta(description=help_text, examples=examples, extra={"secret": secret}, **constraints)


class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Settings of one channel, typed. Validation, API schema and admin form come from the fields."""

    def __repr__(self) -> str:
        hidden = secret_fields(type(self))
        shown = (f"{name}={'***' if name in hidden else repr(getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(shown)})"

    __str__ = __repr__


def fields_of(config: type[Config]) -> tuple[msgspec.inspect.Field, ...]:
    """The fields of `config` with all that is said of them."""
    fields: tuple[msgspec.inspect.Field, ...] = msgspec.inspect.type_info(config).fields  # type: ignore[attr-defined]
    return fields


def secret_fields(config: type[Config]) -> frozenset[str]:
    """Names of the fields of `config` that must never be shown."""
    names = _SECRET_FIELDS.get(config)
    if names is None:
        names = frozenset(
            f.encode_name
            for f in fields_of(config)
            if isinstance(f.type, msgspec.inspect.Metadata) and (f.type.extra or {}).get("secret")
        )
        _SECRET_FIELDS[config] = names
    return names


_SECRET_FIELDS: dict[type[Config], frozenset[str]] = {}


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is to be told, ready for any transport: texts are rendered, nothing is left to look up."""

    #: The same over all tries and replays of a delivery; receivers tell duplicates by it.
    idempotency_id: str
    notification_id: str
    event_type: str
    #: 0 to 10, Gotify's scale; `priority_label` is its word (low, normal, high, critical).
    priority: int
    priority_label: str
    title: str
    body: str
    data: Mapping[str, Any]
    accepted_at: datetime
    streamer_key: str = ""
    streamer_name: str = ""
    platform: str = ""
    #: The recipient's address on this channel, where the delivery has one of its own.
    address: str = ""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One HTTP request, built by a transport and sent by the engine. `repr` hides what may be secret."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"

    def __repr__(self) -> str:
        return f"Request(method={self.method!r})"


class Response(msgspec.Struct, frozen=True, gc=False):
    """What came back: `body` is cut at the size the HTTP seam allows, `truncated` says whether it was.

    Header names are in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False


class CannotBuild(Exception):
    """The message does not fit this channel in any shortened form: the delivery is dead at once."""


def json_body(value: object) -> bytes:
    """`value` as JSON, for the body of a request. Raises `CannotBuild` for what JSON cannot say."""
    try:
        return _encode_json(value)
    except (msgspec.EncodeError, RecursionError, TypeError, ValueError):
        raise CannotBuild("The notification holds something that cannot be written as JSON.") from None


_encode_json = msgspec.json.Encoder().encode


C = TypeVar("C", bound=Config)


class Transport(ABC, Generic[C]):
    """One kind of channel."""

    #: The word in the database, in the API and in import files. Stable for ever.
    kind: ClassVar[str]
    #: The word for people.
    label: ClassVar[str]
    #: Which lanes carry it: the name of a group of transports that may share a pump.
    lane: ClassVar[str]
    #: The typed settings.
    Config: type[C]
    #: Whether the transport can address one recipient among several (e-mail), or is one place.
    addresses_recipients: ClassVar[bool] = False
    #: Whether a try whose end nobody knows is made again (at least once) or buried (at most once).
    retries_unknown: ClassVar[bool] = True


class HttpTransport(Transport[C]):
    """A kind of channel that is one HTTP request per delivery. Both methods are pure."""

    lane: ClassVar[str] = "http"

    @abstractmethod
    def build(self, message: Message, config: C, *, now: datetime) -> Request:
        """The request that tells `message`. Raises `CannotBuild` when it cannot be told here."""

    def interpret(self, response: Response, *, now: datetime) -> Verdict:
        """What an answer means. The rules of HTTP; override where a provider has words of its own."""
        return interpret_http(response, now=now)


class BlockingTransport(Transport[C]):
    """A kind of channel with a protocol of its own, spoken by a library that blocks."""

    lane: ClassVar[str] = "blocking"

    @abstractmethod
    def send(self, messages: Sequence[Message], config: C, *, now: datetime, deadline: float) -> Sequence[Verdict]:
        """Tell all `messages` over one connection; one verdict for each, in order. Must not raise.

        Returns by `deadline` (a time of `time.monotonic`), whatever the far end does: no message is begun
        and no connection is kept after it. Verdicts of messages that were not begun in time are
        `rate_limited`: they wait, and no attempt is counted.
        """


def interpret_http(response: Response, *, now: datetime) -> Verdict:
    """Read an answer by the rules of HTTP (RFC 9110), as Standard Webhooks asks: only 2xx is success."""
    status = response.status
    detail = "" if 200 <= status < 300 else response.body.decode("utf-8", "replace").strip()
    if 200 <= status < 300:
        return Verdict(Outcome.OK, status)
    if status == 429:
        return Verdict(Outcome.RATE_LIMITED, status, detail, retry_after_s(response, now=now))
    if status in (408, 425) or status >= 500:
        return Verdict(Outcome.TRANSIENT, status, detail, retry_after_s(response, now=now))
    if status == 410:
        return Verdict(Outcome.GONE, status, detail)
    return Verdict(Outcome.PERMANENT, status, detail or _redirect_detail(response))


def retry_after_s(response: Response, *, now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, in either of its forms (RFC 9110, 10.2.3), or None."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(value) - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None


def _redirect_detail(response: Response) -> str:
    if 300 <= response.status < 400:
        return "The answer is a redirect; redirects are not followed. Set the channel to the final address."
    return ""
