"""Errors that nobody asked for, and the form of all of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from psycopg.errors import IdleInTransactionSessionTimeout, InFailedSqlTransaction, ReadOnlySqlTransaction
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.test import APIClient

from notifications.api.problems import problem_of
from notifications.models import acceptance
from tests.notifications.api.problem import fields_of

URL = "/api/v1/notifications"


def test_nested_errors_are_named_by_their_path() -> None:
    detail: Any = {"config": {"url": ["Bad."]}, "tags": {2: ["Empty."]}, "non_field_errors": ["All."]}
    assert problem_of(ValidationError(detail)).errors == (("config.url", "Bad."), ("tags[2]", "Empty."), ("", "All."))


def test_errors_in_a_list_are_named_by_their_place() -> None:
    assert problem_of(ValidationError({"items": [{}, {"a": ["Bad."]}]})).errors == (("items[1].a", "Bad."),)


def test_too_many_requests_say_when_to_come_back() -> None:
    problem = problem_of(Throttled(wait=3))
    assert (problem.status_code, problem.headers) == (429, {"Retry-After": "3"})


def test_two_changes_at_once_are_a_conflict() -> None:
    assert problem_of(IntegrityError("duplicate key value (secret detail)")).status_code == 409
    assert "secret" not in problem_of(IntegrityError("secret")).text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OperationalError, None),
        (InterfaceError, None),
        (InternalError, IdleInTransactionSessionTimeout()),
        (InternalError, ReadOnlySqlTransaction()),
    ],
)
def test_a_database_that_is_away_is_said_so(
    producer: APIClient, monkeypatch: pytest.MonkeyPatch, error: type[Exception], cause: Exception | None
) -> None:
    def away(*_: object, **__: object) -> None:
        raise error("connection to 10.0.0.7 refused") from cause

    monkeypatch.setattr(acceptance, "store", away)
    answer = producer.post(URL, {"event_type": "a"})
    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"
    assert fields_of(answer) == []
    assert b"10.0.0.7" not in answer.content


@pytest.mark.parametrize(("error", "cause"), [(RuntimeError, None), (InternalError, InFailedSqlTransaction())])
def test_a_mistake_of_ours_shows_nothing_of_the_inside(
    producer: APIClient, monkeypatch: pytest.MonkeyPatch, error: type[Exception], cause: Exception | None
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error("canary") from cause

    monkeypatch.setattr(acceptance, "store", broken)
    producer.raise_request_exception = False
    answer = producer.post(URL, {"event_type": "a"})
    assert answer.status_code == 500
    assert fields_of(answer) == []
    assert b"canary" not in answer.content


def test_whatever_is_asked_for_is_answered_in_json(producer: APIClient) -> None:
    answer = producer.get("/api/v1/event-types", headers={"Accept": "text/html"})
    assert (answer.status_code, answer["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("url", [URL, "/api/v1/streamers"])
@pytest.mark.parametrize("body", [b'{"event_type": "\xff"}', b'{"event_type": "\xed\xa0\x80"}', b'{"\xff": 1}'])
def test_a_body_that_is_not_utf_8_is_refused(operator: APIClient, url: str, body: bytes) -> None:
    answer = operator.post(url, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert fields_of(answer) == [""]


@pytest.mark.parametrize(
    ("url", "body", "words"),
    [
        (URL, {"event_type": "Ärger!"}, "begin with a letter or a digit"),
        ("/api/v1/dead-letters/replay", {"channel": "a\0"}, "NUL cannot be stored"),
        ("/api/v1/inbox/ack?recipient=ann", {"device": "a\n", "upto": "1-0"}, "one line without control characters"),
    ],
)
def test_what_a_text_must_look_like_is_said_in_words(
    operator: APIClient, url: str, body: dict[str, str], words: str
) -> None:
    (error,) = operator.post(url, body).json()["errors"]
    assert words in error["message"]
