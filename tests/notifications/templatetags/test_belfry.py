"""The tag that puts the bell into a page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.template import RequestContext, Template
from django.test import RequestFactory
from pytest_django import Settings

from channels_app.feed import writing
from channels_app.feed.item import NewItem

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def shown(user: User | AnonymousUser, tag: str = "belfry_bell") -> str:
    request = RequestFactory().get("/")
    request.user = user
    return Template("{% load belfry %}{% " + tag + " %}").render(RequestContext(request, {}))


def a_user(**what: Any) -> User:
    return User.objects.create_user("operator", **what)


def test_a_member_of_staff_sees_the_bell_of_their_own_feed_with_its_count() -> None:
    writing.publish([NewItem(recipient="operator", event_type="demo.hello", title="Hello")], now=NOW)
    html = shown(a_user(is_staff=True))
    assert 'recipient="operator" unread="1" csrf="' in html
    assert 'api="/api/v1"' in html
    assert '<script src="/static/belfry/bell.js" defer></script>' in html


def test_the_stream_is_where_the_live_process_is(settings: Settings) -> None:
    settings.BELFRY_LIVE_URL = "https://live.example.org"
    assert 'stream="https://live.example.org/rt"' in shown(a_user(is_staff=True))


def test_nobody_else_sees_a_bell() -> None:
    assert shown(AnonymousUser()).strip() == ""
    assert shown(a_user()).strip() == ""


def test_who_has_a_token_shows_it_instead_of_a_session() -> None:
    html = shown(AnonymousUser(), 'belfry_bell recipient="0xABC" token_url="/feed-token" theme="dark" nonce="n0nce"')
    assert 'recipient="0xabc"' in html
    assert 'token-url="/feed-token" theme="dark"' in html
    assert 'nonce="n0nce"' in html
    assert "csrf" not in html


def test_a_token_alone_does_not_say_whose_feed_it_is() -> None:
    assert shown(AnonymousUser(), 'belfry_bell token="a.b.c"').strip() == ""


def test_what_stands_in_an_attribute_cannot_leave_it() -> None:
    html = shown(AnonymousUser(), """belfry_bell recipient='"><script>' token="a.b.c" """)
    assert "<script>" not in html
