"""The entrance for programs: the same answers as Django's own handler gives, on a shorter way."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection

from notifications.models import ApiKey, Notification
from project.wsgi import Entrance, ProgramHandler


def asked(handler: Any, method: str, path: str, key: str, body: bytes = b"") -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body."""
    said: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    parts = handler(environ, lambda status, headers: said.extend((status, dict(headers))))
    answer = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return said[0], said[1], answer


@pytest.fixture
def key(transactional_db: None) -> str:
    return ApiKey.objects.issue("recorder", role=ApiKey.Role.OPERATOR)[1]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/channels", b""),
        ("GET", "/api/v1/nothing-here", b""),
        ("POST", "/api/v1/notifications", b"{"),
        ("POST", "/api/v1/notifications", b'{"event_type": "x", "colour": 1}'),
        ("DELETE", "/api/v1/notifications", b""),
        ("GET", "/api/v1/inbox/state", b""),
        ("POST", "/api/v1/inbox/read", b'{"all": true}'),
    ],
)
def test_both_ways_answer_alike(key: str, method: str, path: str, body: bytes) -> None:
    status, headers, answer = asked(Entrance(), method, path, key, body)
    usual = asked(WSGIHandler(), method, path, key, body)
    assert (status, answer) == (usual[0], usual[2])
    assert headers["Content-Type"] == usual[1]["Content-Type"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_breaks_in_a_view_is_an_answer(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("notifications.intake.accept", broken)
    status, _, answer = asked(ProgramHandler(), "POST", "/api/v1/notifications", key, b'{"event_type": "x"}')
    assert status.startswith("500")
    assert b"ZeroDivisionError" not in answer


def test_a_request_after_a_broken_connection_is_accepted(key: str) -> None:
    entrance, body = Entrance(), b'{"event_type": "stream_online"}'
    asked(entrance, "POST", "/api/v1/notifications", key, body)
    connection.connection.close()
    statuses = [asked(entrance, "POST", "/api/v1/notifications", key, body)[0] for _ in range(3)]
    assert statuses[-1].startswith("202")
    assert Notification.objects.count() == 1 + sum(status.startswith("202") for status in statuses)
