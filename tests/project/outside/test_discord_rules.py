"""The form of a Discord message, limit by limit, as the developer documentation states it."""

from typing import Any

import pytest

from project.outside.discord_rules import errors_tree, faults_of, is_empty


def codes(body: dict[str, Any]) -> list[str]:
    return [fault.code for fault in faults_of(body)]


def embed(**parts: Any) -> dict[str, Any]:
    return {"embeds": [parts]}


@pytest.mark.parametrize(
    "body",
    [
        {"content": "x" * 2000},
        {"content": "hello", "username": "x" * 80, "tts": False, "allowed_mentions": {"parse": ["roles"]}},
        {"embeds": [{"title": "x"}] * 10},
        embed(title="x" * 256),
        embed(description="x" * 4096),
        embed(title="x", footer={"text": "x" * 2048}),
        embed(title="x", author={"name": "x" * 256, "url": "https://example.org"}),
        embed(fields=[{"name": "n", "value": "v", "inline": True}] * 25),
        embed(fields=[{"name": "n" * 256, "value": "v" * 1024}]),
        embed(title="x", color=0xFFFFFF, timestamp="2026-03-01T20:15:00.5+00:00", url="https://example.org/a"),
        embed(title="x" * 256, description="x" * 4096, footer={"text": "x" * 1648}),
        {"content": "an unknown key is ignored", "colour": 7},
        {"content": None, "embeds": None, "username": None},
    ],
)
def test_what_is_within_the_limits_has_no_fault(body: dict[str, Any]) -> None:
    assert codes(body) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": "x" * 2001}, "BASE_TYPE_MAX_LENGTH"),
        ({"content": 7}, "STRING_TYPE_CONVERT"),
        ({"content": "x", "username": "x" * 81}, "BASE_TYPE_MAX_LENGTH"),
        ({"content": "x", "username": " "}, "BASE_TYPE_BAD_LENGTH"),
        ({"content": "x", "username": "My Discord bell"}, "USERNAME_INVALID_CONTAINS"),
        ({"content": "x", "username": "Clyde"}, "USERNAME_INVALID_CONTAINS"),
        ({"content": "x", "avatar_url": "javascript:alert(1)"}, "URL_TYPE_INVALID_URL"),
        ({"content": "x", "avatar_url": "ftp://example.org/a.png"}, "URL_TYPE_INVALID_SCHEME"),
        ({"content": "x", "tts": "yes"}, "BOOLEAN_TYPE_CONVERT"),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, "BASE_TYPE_CHOICES"),
        (
            {"content": "x", "allowed_mentions": {"parse": ["roles"], "roles": ["1"]}},
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
        ({"embeds": [{"title": "x"}] * 11}, "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": {"title": "x"}}, "LIST_TYPE_CONVERT"),
        ({"embeds": ["x"]}, "MODEL_TYPE_CONVERT"),
        (embed(title="x" * 257), "BASE_TYPE_MAX_LENGTH"),
        (embed(description="x" * 4097), "BASE_TYPE_MAX_LENGTH"),
        (embed(footer={"text": "x" * 2049}), "BASE_TYPE_MAX_LENGTH"),
        (embed(footer={}), "BASE_TYPE_REQUIRED"),
        (embed(author={"name": "x" * 257}), "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n", "value": "v"}] * 26), "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n" * 257, "value": "v"}]), "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n", "value": "v" * 1025}]), "BASE_TYPE_MAX_LENGTH"),
        (embed(fields=[{"name": "n", "value": ""}]), "BASE_TYPE_REQUIRED"),
        (embed(fields=[{"value": "v"}]), "BASE_TYPE_REQUIRED"),
        (embed(color=0x1000000), "NUMBER_TYPE_MAX"),
        (embed(color=-1), "NUMBER_TYPE_MIN"),
        (embed(color="#ff0000"), "NUMBER_TYPE_COERCE"),
        (embed(timestamp="yesterday"), "DATE_TIME_TYPE_PARSE"),
        (embed(timestamp=1700000000), "DATE_TIME_TYPE_PARSE"),
        (embed(image={}), "BASE_TYPE_REQUIRED"),
        (embed(title="x" * 256, description="x" * 4096, footer={"text": "x" * 1649}), "MAX_EMBED_SIZE_EXCEEDED"),
        ({"embeds": [{"description": "x" * 3001}] * 2}, "MAX_EMBED_SIZE_EXCEEDED"),
    ],
)
def test_what_is_beyond_a_limit_is_named(body: dict[str, Any], code: str) -> None:
    assert codes(body) == [code]


def test_texts_are_trimmed_before_they_are_measured() -> None:
    assert codes({"content": " " * 100 + "x" * 2000}) == []


@pytest.mark.parametrize("body", [{}, {"content": " \n"}, {"embeds": []}, {"embeds": [{}]}, {"username": "Bell"}])
def test_a_message_with_nothing_to_show_is_empty(body: dict[str, Any]) -> None:
    assert is_empty(body)


def test_the_tree_of_errors_leads_to_each_fault() -> None:
    tree = errors_tree(faults_of({"content": "x" * 2001, "embeds": [{"title": "ok"}, {"color": -1}]}))
    assert tree["content"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
    assert tree["embeds"]["1"]["color"]["_errors"][0]["code"] == "NUMBER_TYPE_MIN"
