"""What every transport must do. Each clause is a function that takes a transport and raises when it breaks it."""

from __future__ import annotations

import ast
import inspect
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels_app import configuration
from channels_app.base import BlockingTransport, CannotBuild, HttpTransport, Message, Request, Response, secret_fields
from channels_app.outcomes import MAX_DETAIL_CHARS, MAX_RETRY_AFTER_S, Outcome, Verdict
from channels_app.registry import AnyTransport
from tests.channels_app.far_end import Visit, far_end, silent
from tests.contracts import samples
from tests.contracts.samples import HOSTILE, NOW, config_of, message, secret_texts

Clause = Callable[[Any], None]

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: Calls by which code could learn the time behind its caller's back.
_CLOCKS = frozenset({"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"})

_quickly = settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))


# --- Every transport.


def its_kind_is_a_word_and_the_name_of_its_file(transport: AnyTransport) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{1,49}", transport.kind)
    assert type(transport).__module__.rpartition(".")[2] == transport.kind


def it_is_labelled_and_has_a_lane(transport: AnyTransport) -> None:
    assert transport.label == transport.label.strip() != ""
    assert re.fullmatch(r"[a-z][a-z0-9_]*", transport.lane)


def its_file_says_what_it_is(transport: AnyTransport) -> None:
    first_line = (inspect.getdoc(inspect.getmodule(type(transport))) or "").partition("\n")[0]
    assert re.fullmatch(r".+: .+\.", first_line), "begin the file with a line like: Label: what it does."


def it_holds_no_state(transport: AnyTransport) -> None:
    assert not vars(transport), "one instance serves all channels"


def each_setting_has_a_help_text(transport: AnyTransport) -> None:
    for field in msgspec.inspect.type_info(transport.Config).fields:  # type: ignore[attr-defined]
        described = (getattr(field.type, "extra_json_schema", None) or {}).get("description", "")
        assert described.endswith("."), f"`{field.encode_name}` needs setting('A sentence.')"


def its_examples_are_settings_that_pass(transport: AnyTransport) -> None:
    config = config_of(transport)
    plain, secret = configuration.split(config)
    json.dumps({**plain, **secret})
    assert msgspec.convert({**plain, **secret}, transport.Config) == config


def its_settings_have_a_schema(transport: AnyTransport) -> None:
    assert msgspec.json.schema(transport.Config)["$defs"]


def an_unknown_setting_is_refused_by_its_name(transport: AnyTransport) -> None:
    with pytest.raises(configuration.InvalidConfig) as refused:
        configuration.check(transport.kind, {**samples.settings_of(transport), "no_such_setting": 1})
    assert refused.value.field == "no_such_setting"


def no_representation_of_its_settings_shows_a_secret(transport: AnyTransport) -> None:
    config = config_of(transport)
    plain, _ = configuration.split(config)
    shown = f"{config!r} {config} {[config]} {plain}"
    assert not [secret for secret in secret_texts(config) if secret in shown]
    assert secret_fields(type(config)).isdisjoint(plain)


def it_reads_no_clock(transport: AnyTransport) -> None:
    tree = ast.parse(Path(inspect.getfile(type(transport))).read_text())
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {function.attr for function in called if isinstance(function, ast.Attribute)}
    assert not _CLOCKS & names, "the time is given as `now`"


# --- Transports of requests.


def the_same_message_gives_the_same_request(transport: HttpTransport[Any]) -> None:
    first, second = (transport.build(message(), config_of(transport), now=NOW) for _ in range(2))
    assert first == second


def a_request_can_be_sent(transport: HttpTransport[Any]) -> None:
    _check_request(transport.build(message(), config_of(transport), now=NOW))


def a_request_bears_the_idempotency_id(transport: HttpTransport[Any]) -> None:
    for one in (message(), HOSTILE["endless"]):
        request = transport.build(one, config_of(transport), now=NOW)
        sent = " ".join([request.url, *request.headers.values(), request.body.decode("utf-8", "replace")])
        assert one.idempotency_id in sent


def no_representation_of_a_request_shows_a_secret(transport: HttpTransport[Any]) -> None:
    config = config_of(transport)
    shown = f"{transport.build(message(), config, now=NOW)!r}"
    assert not [secret for secret in secret_texts(config) if secret in shown]


def a_hostile_message_is_built_or_refused(transport: HttpTransport[Any]) -> None:
    for hostile in HOSTILE.values():
        _build_or_refuse(transport, hostile)


def any_message_is_built_or_refused(transport: HttpTransport[Any]) -> None:
    @_quickly
    @given(samples.any_message)
    def check(any_message: Message) -> None:
        _build_or_refuse(transport, any_message)

    check()


def _build_or_refuse(transport: HttpTransport[Any], one: Message) -> None:
    config = config_of(transport)
    built = _built_or_refused(transport, one)
    if isinstance(built, Request):
        _check_request(built)
    else:
        assert str(built)
        assert not [secret for secret in secret_texts(config) if secret in str(built)]


def _built_or_refused(transport: HttpTransport[Any], one: Message) -> Request | CannotBuild:
    try:
        return transport.build(one, config_of(transport), now=NOW)
    except CannotBuild as error:
        return error


def _check_request(request: Request) -> None:
    assert re.fullmatch(r"https?://[^\s\x00-\x1f\x7f]+", request.url)
    assert request.url.isascii()
    assert re.fullmatch(r"[A-Z]+", request.method)
    for name, value in request.headers.items():
        assert _HEADER_NAME.fullmatch(name)
        assert value.isascii()
        assert value.isprintable()
    if "json" in {name.lower(): value for name, value in request.headers.items()}.get("content-type", ""):
        json.loads(request.body)


# --- Answers.

_BODIES = (
    b"",
    b"no such thing",
    b"<!doctype html><title>Bad gateway</title>",
    b"{}",
    b"[]",
    b"null",
    b'{"code": "x", "message": 7, "errors": [], "retry_after": "soon", "ok": false, "parameters": null}',
    b'{"code": 1e400, "retry_after": -1, "parameters": {"retry_after": {}}, "errors": {"a": {"_errors": [1]}}}',
    b'{"message": "cut of',
    b"\xff\xfe\x00\x01" * 100,
    b"[" * 60_000,
    "ü".encode() * 30_000,
)

_HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"retry-after": ""},
    {"retry-after": "soon"},
    {"retry-after": "nan"},
    {"retry-after": "5, 7"},
    {"retry-after": "Thu, 32 Foo 99999 25:61:61 +999999"},
    {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "x", "x-ratelimit-reset": "-1"},
    {"content-type": "application/json; charset=klingon", "location": "http://127.0.0.1/"},
)


def every_answer_is_understood(transport: HttpTransport[Any]) -> None:
    for status in range(100, 600):
        for body in _BODIES if status in _LOOKED_AT_CLOSELY else _BODIES[:5]:
            for headers in _HEADERS:
                _check_reading(status, _read(transport, status, headers, body))


#: Every class, and where providers have words of their own.
_LOOKED_AT_CLOSELY = frozenset({200, 204, 302, 400, 401, 403, 404, 410, 429, 500, 503})


def any_answer_is_understood(transport: HttpTransport[Any]) -> None:
    names = st.sampled_from(["retry-after", "x-ratelimit-reset-after", "x-ratelimit-remaining", "content-type"])

    @_quickly
    @given(st.integers(100, 599), st.dictionaries(names, st.text(max_size=30)), st.binary(max_size=300))
    def check(status: int, headers: dict[str, str], body: bytes) -> None:
        _check_reading(status, _read(transport, status, headers, body))

    check()


def a_time_to_wait_is_heard(transport: HttpTransport[Any]) -> None:
    def waits(value: str) -> float | None:
        return _read(transport, 429, {"retry-after": value}, b"").retry_after_s

    assert waits("7") == 7
    assert waits("2.5") == 2.5
    assert waits(format_datetime(NOW.replace(microsecond=0) + timedelta(seconds=30))) == pytest.approx(30, abs=1)
    assert waits(format_datetime(NOW - timedelta(days=1))) == 0
    assert waits("-5") == 0
    assert waits("99999999999") == MAX_RETRY_AFTER_S
    assert waits("soon") is None
    assert waits("") is None


def _read(transport: HttpTransport[Any], status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    return transport.interpret(Response(status, headers, body), now=NOW)


def _check_reading(status: int, verdict: Verdict) -> None:
    assert verdict.outcome in _allowed(status), f"{status} is not {verdict.outcome}"
    assert verdict.code == status
    check_shown(verdict)


def _allowed(status: int) -> set[Outcome]:
    if 200 <= status < 300:
        return {Outcome.OK}
    if status == 429:
        return {Outcome.RATE_LIMITED}
    if status in (408, 425) or status >= 500:
        return {Outcome.TRANSIENT}
    return {Outcome.PERMANENT, Outcome.GONE} if status >= 400 else {Outcome.PERMANENT}


def check_shown(verdict: Verdict) -> None:
    """What is kept of a try can be stored and shown."""
    assert len(verdict.detail) <= MAX_DETAIL_CHARS
    assert not re.search("[\0\ud800-\udfff]", verdict.detail)
    assert verdict.retry_after_s is None or 0 <= verdict.retry_after_s <= MAX_RETRY_AFTER_S


# --- Transports that block.


def each_message_gets_a_verdict_whatever_it_holds(transport: BlockingTransport[Any]) -> None:
    config = config_of(transport)
    verdicts = _told(transport, list(HOSTILE.values()), config)
    assert len(verdicts) == len(HOSTILE)
    for verdict in verdicts:
        check_shown(verdict)
        assert not [secret for secret in secret_texts(config) if secret in verdict.detail]


def nothing_to_send_gives_no_verdicts(transport: BlockingTransport[Any]) -> None:
    assert _told(transport, [], config_of(transport)) == []


def a_server_that_is_not_there_may_come_back(transport: BlockingTransport[Any]) -> None:
    if "host" not in samples.settings_of(transport):
        return  # It speaks to no server.
    [verdict] = _told(transport, [message()], config_of(transport))
    assert verdict.outcome is Outcome.TRANSIENT


def it_returns_by_its_deadline_whatever_a_server_does(transport: BlockingTransport[Any]) -> None:
    if "host" not in samples.settings_of(transport):
        return
    for behaviour in (silent, _drips):
        with far_end(behaviour) as server:
            config = configuration.check(transport.kind, {**samples.settings_of(transport), "port": server.port})
            began = time.monotonic()
            verdicts = _told(transport, [message()] * 5, config, within_s=0.6)
            assert time.monotonic() - began < 1.2
            assert server.visits
        assert {verdict.outcome for verdict in verdicts} <= _NOT_ARRIVED
        assert len(verdicts) == 5


def nothing_is_begun_after_its_deadline(transport: BlockingTransport[Any]) -> None:
    verdicts = _told(transport, [message()] * 2, config_of(transport), within_s=-1.0)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.RATE_LIMITED] * 2


def _told(
    transport: BlockingTransport[Any], messages: list[Message], config: Any, *, within_s: float = 10.0
) -> list[Verdict]:
    return list(transport.send(messages, config, now=NOW, deadline=time.monotonic() + within_s))


def _drips(visit: Visit) -> None:
    """A server that says something all the time, and never comes to an end."""
    while True:
        visit.answer(b"2")
        time.sleep(0.02)


_NOT_ARRIVED = {Outcome.TRANSIENT, Outcome.UNKNOWN, Outcome.RATE_LIMITED}


_EVERY: list[Clause] = [
    its_kind_is_a_word_and_the_name_of_its_file,
    it_is_labelled_and_has_a_lane,
    its_file_says_what_it_is,
    it_holds_no_state,
    each_setting_has_a_help_text,
    its_examples_are_settings_that_pass,
    its_settings_have_a_schema,
    an_unknown_setting_is_refused_by_its_name,
    no_representation_of_its_settings_shows_a_secret,
    it_reads_no_clock,
]

_OF_REQUESTS: list[Clause] = [
    the_same_message_gives_the_same_request,
    a_request_can_be_sent,
    a_request_bears_the_idempotency_id,
    no_representation_of_a_request_shows_a_secret,
    a_hostile_message_is_built_or_refused,
    any_message_is_built_or_refused,
    every_answer_is_understood,
    any_answer_is_understood,
    a_time_to_wait_is_heard,
]

_OF_BLOCKING: list[Clause] = [
    each_message_gets_a_verdict_whatever_it_holds,
    nothing_to_send_gives_no_verdicts,
    a_server_that_is_not_there_may_come_back,
    it_returns_by_its_deadline_whatever_a_server_does,
    nothing_is_begun_after_its_deadline,
]


def clauses_of(transport: AnyTransport) -> list[Clause]:
    """The clauses that bind a transport."""
    return _EVERY + (_OF_REQUESTS if isinstance(transport, HttpTransport) else _OF_BLOCKING)
