"""The OpenAPI document, its page, and `docs/api.md`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from notifications.api import urls

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def schema(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> dict[str, Any]:
    # Around a request connections are looked after, also where it needs none.
    with django_db_blocker.unblock():
        answer = APIClient().get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, found) for path, methods in schema["paths"].items() for method, found in methods.items()]


def test_every_operation_is_told_of(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        assert len(operation["tags"]) == 1, (path, method)


def test_every_operation_but_health_needs_a_key_and_says_what_goes_wrong(schema: dict[str, Any]) -> None:
    assert schema["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    for path, method, operation in operations(schema):
        if path.endswith("/health"):
            assert not any(operation.get("security", [{}]))
            continue
        assert {"apiKey": []} in operation["security"]
        for status in ("400", "401", "403", "503"):
            assert "application/problem+json" in operation["responses"][status]["content"], (path, method)


def test_every_body_that_is_sent_has_an_example(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        if method == "post" and "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"], path


def test_all_references_lead_somewhere(schema: dict[str, Any]) -> None:
    named = set(re.findall(r"#/components/schemas/([\w.]+)", str(schema)))
    assert {"Draft", "Bulk", "Problem"} <= named
    assert named <= set(schema["components"]["schemas"])


@pytest.mark.django_db
def test_the_page_comes_from_this_host_alone() -> None:
    page = APIClient().get("/api/docs/")
    assert page.status_code == 200
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page.content.decode())


def test_the_schema_and_the_routes_agree(schema: dict[str, Any]) -> None:
    assert sorted(schema["paths"]) == sorted(in_braces(str(route.pattern)) for route in urls.V1)


def test_the_table_of_the_guide_is_the_table_of_the_routes(schema: dict[str, Any]) -> None:
    guide = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text()
    told = re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[^`]*)` \|", guide, re.MULTILINE)
    real = [(method.upper(), path.removeprefix("/api/v1")) for path, method, _ in operations(schema)]
    assert sorted(told) == sorted(real)


def in_braces(pattern: str) -> str:
    return "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", pattern)
