"""Signatures, checked against the reference implementation of Standard Webhooks."""

from __future__ import annotations

import traceback
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from channels_app.signing import TOLERANCE_S, BadSecret, check_secret, new_secret, sign, verify

OLD, NEW = new_secret(), new_secret()
NOW = int(datetime.now(UTC).timestamp())


def headers(secrets: list[str], body: bytes, *, timestamp: int = NOW, message_id: str = "msg_1") -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, message_id, timestamp, body),
    }


def real_time() -> int:
    """For the reference implementation, which asks no caller what time it is."""
    return int(datetime.now(UTC).timestamp())


def test_the_example_of_the_specification_gives_its_signature() -> None:
    secret, message_id, timestamp = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    signature = sign([secret], message_id, timestamp, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.text(st.characters(codec="utf-8")))
def test_the_reference_implementation_accepts_what_we_sign(key: bytes, text: str) -> None:
    secret = f"whsec_{b64encode(key).decode()}"
    body = b'{"a":' + str(len(text)).encode() + b"}"
    Webhook(secret).verify(body, headers([secret], body, timestamp=real_time()))
    expected = Webhook(secret).sign("msg_1", datetime.fromtimestamp(NOW, UTC), text)
    assert sign([secret], "msg_1", NOW, text.encode()) == expected


def test_the_reference_implementation_refuses_another_body() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(b"[2]", headers([NEW], b"[1]"))


def test_during_rotation_both_secrets_verify() -> None:
    now = real_time()
    both = headers([NEW, OLD], b"[1]", timestamp=now)
    assert both["webhook-signature"].count("v1,") == 2
    for secret in (OLD, NEW):
        Webhook(secret).verify(b"[1]", both)
        assert verify([secret], both, b"[1]", now=now)


def test_a_receiver_with_two_secrets_accepts_either() -> None:
    assert verify([NEW, OLD], headers([OLD], b"[1]"), b"[1]", now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,€"},
        {"webhook-signature": "v2," + "A" * 44},
    ],
)
def test_a_changed_header_is_noticed(change: dict[str, str]) -> None:
    assert not verify([NEW], headers([NEW], b"[1]") | change, b"[1]", now=NOW)


def test_a_missing_header_is_noticed() -> None:
    for name in headers([NEW], b""):
        partial = {key: value for key, value in headers([NEW], b"").items() if key != name}
        assert not verify([NEW], partial, b"", now=NOW)


@pytest.mark.parametrize(("age_s", "accepted"), [(0, True), (TOLERANCE_S, True), (301, False), (-301, False)])
def test_an_old_or_future_signature_is_a_replay(age_s: int, accepted: bool) -> None:
    assert verify([NEW], headers([NEW], b"", timestamp=NOW - age_s), b"", now=NOW) is accepted


def test_new_secrets_differ_and_can_be_signed_with() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        check_secret(secret)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!canary!!", "whsec_" + "A" * 90])
def test_a_bad_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(BadSecret) as caught:
        sign([secret], "msg_1", NOW, b"")
    shown = "".join(traceback.format_exception(caught.value))
    assert "24 to 64" in shown
    if len(secret) > 6:
        assert secret not in shown
