"""Feed tokens: what counts, what does not, and whether the sentence says why."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from channels_app import feed_tokens
from channels_app.feed_tokens import BadToken

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECRET = "bfs_" + "s" * 43
HEADER = {"kid": "fk_1"}


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"sub": "ada", "aud": "belfry-feed", "exp": int(NOW.timestamp()) + 3600, **changes}
    return {name: value for name, value in usual.items() if value is not None}


def signed(header: dict[str, Any] | None = None, secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256", headers={**HEADER, **(header or {})})


def by_hand(header: dict[str, Any], body: Any, secret: str = SECRET) -> str:
    """Without the library, as the guide shows it."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, body)]
    mark = hmac.new(secret.encode(), b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mark).rstrip(b"=")]).decode()


def refusal(text: str) -> str:
    with pytest.raises(BadToken) as refused:
        feed_tokens.read(text, SECRET, now=NOW)
    return str(refused.value)


def test_a_token_says_whose_feed_it_opens_until_when_and_by_which_key() -> None:
    token = feed_tokens.read(signed(), SECRET, now=NOW)
    assert (token.recipient, token.expires_at, token.kid) == ("ada", NOW + timedelta(hours=1), "fk_1")


def test_what_is_signed_here_is_read_here() -> None:
    text = feed_tokens.sign("ada", kid="fk_1", secret=SECRET, now=NOW)
    assert feed_tokens.kid_of(text) == "fk_1"
    assert feed_tokens.read(text, SECRET, now=NOW).recipient == "ada"


def test_what_is_signed_without_a_library_counts() -> None:
    text = by_hand({"alg": "HS256", "typ": "JWT", "kid": "fk_1"}, claims())
    assert feed_tokens.read(text, SECRET, now=NOW).recipient == "ada"


def test_the_recipient_is_spelled_as_everywhere() -> None:
    """S3-AP-04, S3-AP-05: who it is comes from what was signed, and odd spellings are one."""
    assert feed_tokens.read(signed(sub="  0xABcd12 "), SECRET, now=NOW).recipient == "0xabcd12"


def test_clocks_may_be_half_a_minute_apart() -> None:
    now_s = int(NOW.timestamp())
    assert feed_tokens.read(signed(exp=now_s - 29, nbf=now_s + 29), SECRET, now=NOW).recipient == "ada"
    assert "over" in refusal(signed(exp=now_s - 30))
    assert "not count yet" in refusal(signed(nbf=now_s + 31))


def test_it_counts_for_a_day_at_most() -> None:
    day = int(NOW.timestamp()) + 24 * 3600
    assert feed_tokens.read(signed(exp=day + 30), SECRET, now=NOW)
    assert "24 hours" in refusal(signed(exp=day + 31))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sub": None}, "`sub`"),
        ({"exp": None}, "`exp`"),
        ({"aud": None}, "`aud`"),
        ({"aud": "belfry"}, "`aud`"),
        ({"sub": 7}, "`sub`"),
        ({"sub": " "}, "`sub`"),
        ({"sub": "*"}, "everyone"),
        ({"sub": "a\0b"}, "Control"),
        ({"sub": "\ud800"}, "Control"),
        ({"exp": "soon"}, "`exp`"),
        ({"exp": True}, "`exp`"),
        ({"exp": float("nan")}, "`exp`"),
        ({"exp": float("inf")}, "24 hours"),
        ({"exp": 10**400}, "24 hours"),
        ({"nbf": "then"}, "`nbf`"),
    ],
)
def test_each_claim_at_fault_is_named(changes: dict[str, Any], said: str) -> None:
    header = {"alg": "HS256", "typ": "JWT", "kid": "fk_1"}
    assert said in refusal(by_hand(header, claims(**changes)))


@pytest.mark.parametrize("kid", [None, 7, "", ["fk_1"], "fk_\x00", "fk_\ud800"])
def test_without_the_name_of_a_key_it_is_nothing(kid: object) -> None:
    text = by_hand({"alg": "HS256", **({"kid": kid} if kid is not None else {})}, claims())
    with pytest.raises(BadToken):
        feed_tokens.kid_of(text)


def test_another_secret_does_not_fit() -> None:
    assert "signature" in refusal(signed(secret="bfs_" + "t" * 43))


def test_a_changed_token_does_not_fit() -> None:
    head, _, mark = signed().split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(sub="eve")).encode()).rstrip(b"=").decode()
    assert "signature" in refusal(f"{head}.{body}.{mark}")


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256", "hs256"])
def test_the_token_does_not_choose_how_it_is_checked(algorithm: str) -> None:
    text = by_hand({"alg": algorithm, "kid": "fk_1"}, claims())
    assert refusal(text)
    assert refusal(text.rpartition(".")[0] + ".")


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "....", "é.é.é", "bf_key", "W10.W10.W10", "[" * 9000])
def test_anything_else_is_refused(text: str) -> None:
    assert refusal(text)


def test_a_body_that_nests_without_end_is_refused() -> None:
    body = base64.urlsafe_b64encode(b'{"a":' * 50_000).rstrip(b"=").decode()
    assert refusal(f"{signed().partition('.')[0]}.{body}.x")
