"""Recipients' keys have one spelling."""

from __future__ import annotations

import pytest

from channels_app.feed.recipient import BadRecipient, spelled


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ada", "ada"),
        ("  ada@example.org\n", "ada@example.org"),
        ("Ada", "Ada"),
        ("0xDEADbeef", "0xdeadbeef"),
        ("0Xdead", "0xdead"),
        ("0xNobody", "0xNobody"),
        ("a,b {c} 'd' e\u0301 日本", "a,b {c} 'd' e\u0301 日本"),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_key_has_one_spelling(text: str, key: str) -> None:
    """S3-AP-05: odd spellings of an address are one address."""
    assert spelled(text) == key
    assert spelled(key) == key


@pytest.mark.parametrize("text", ["", " ", "x" * 201, "*", " * ", "a\0b", "a\x1fb", "a\nb", "\ud800"])
def test_what_is_nobodys_key_is_refused(text: str) -> None:
    with pytest.raises(BadRecipient, match=r"\.$"):
        spelled(text)
