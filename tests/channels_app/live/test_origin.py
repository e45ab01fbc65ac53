from __future__ import annotations

import pytest

from channels_app.live.origin import allowed_to_read, may_use_cookies

OURS = frozenset({"https://belfry.example"})


@pytest.mark.parametrize(
    ("origin", "site", "sse", "websocket"),
    [
        ("https://belfry.example", None, True, True),
        ("https://evil.example", None, False, False),
        ("https://evil.example", "same-origin", False, False),
        ("null", None, False, False),
        ("https://belfry.example.evil.example", None, False, False),
        (None, "same-origin", True, False),
        (None, "none", True, False),
        (None, None, True, False),
        (None, "cross-site", False, False),
        (None, "same-site", False, False),
    ],
)
def test_only_our_own_pages_use_cookies(origin: str | None, site: str | None, sse: bool, websocket: bool) -> None:
    assert may_use_cookies(origin, fetch_site=site, trusted=OURS, websocket=False) is sse
    assert may_use_cookies(origin, fetch_site=site, trusted=OURS, websocket=True) is websocket


def test_strangers_may_read_but_never_with_cookies() -> None:
    assert dict(allowed_to_read("https://evil.example", trusted=OURS)) == {
        b"access-control-allow-origin": b"*",
        b"access-control-expose-headers": b"Retry-After",
    }
    ours = dict(allowed_to_read("https://belfry.example", trusted=OURS))
    assert ours[b"access-control-allow-credentials"] == b"true"
    assert ours[b"access-control-allow-origin"] == b"https://belfry.example"
    assert allowed_to_read(None, trusted=OURS) == []
