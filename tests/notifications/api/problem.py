"""Reading problems in tests."""

from __future__ import annotations

from typing import Any


def fields_of(response: Any) -> list[str]:
    """The fields that a problem names; checks on the way that it is one, in the form of RFC 9457."""
    assert response["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == response.status_code
    assert body["type"].startswith("urn:belfry:problem:")
    assert body["title"]
    assert body["detail"]
    assert all(error["message"] for error in body["errors"])
    return [error["field"] for error in body["errors"]]
