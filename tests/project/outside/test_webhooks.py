"""The receiver of signed webhooks, judged by the reference implementation of Standard Webhooks."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import requests
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from project.outside import World
from project.outside.webhooks import SignatureError, verify

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
OTHER = "whsec_" + base64.b64encode(b"twenty-four other bytes!").decode()


def signed(body: str, *, at: datetime, secret: str = SECRET, name: str = "msg_1") -> dict[str, str]:
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, at, body),
    }


def test_what_the_reference_implementation_signs_is_taken(world: World) -> None:
    url = world.webhook_url(SECRET, name="good")
    answer = requests.post(url, data='{"a":"ü"}'.encode(), headers=signed('{"a":"ü"}', at=datetime.now(UTC)))
    [line] = world.seen("hooks/good")
    assert answer.status_code == 204
    assert (line.accepted, line.idempotency_id, line.body) == (True, "msg_1", '{"a":"ü"}'.encode())


@pytest.mark.parametrize(
    ("name", "body", "headers"),
    [
        ("other-body", "{} ", signed("{}", at=datetime.now(UTC))),
        ("other-key", "{}", signed("{}", at=datetime.now(UTC), secret=OTHER)),
        ("other-id", "{}", signed("{}", at=datetime.now(UTC)) | {"webhook-id": "msg_2"}),
        ("too-old", "{}", signed("{}", at=datetime.now(UTC) - timedelta(minutes=6))),
        ("too-new", "{}", signed("{}", at=datetime.now(UTC) + timedelta(minutes=6))),
        ("no-signature", "{}", {"webhook-id": "msg_1", "webhook-timestamp": "1"}),
        ("no-version", "{}", signed("{}", at=datetime.now(UTC)) | {"webhook-signature": "AAAA"}),
        ("no-number", "{}", signed("{}", at=datetime.now(UTC)) | {"webhook-timestamp": "now"}),
    ],
)
def test_what_is_not_proved_is_refused(world: World, name: str, body: str, headers: dict[str, str]) -> None:
    answer = requests.post(world.webhook_url(SECRET, name=name), data=body, headers=headers)
    assert answer.status_code == 401
    assert [line.accepted for line in world.seen(f"hooks/{name}")] == [False]


def test_one_of_several_signatures_is_enough(world: World) -> None:
    url = world.webhook_url(SECRET, name="rotating")
    now = datetime.now(UTC)
    both = " ".join(signed("{}", at=now, secret=secret)["webhook-signature"] for secret in (OTHER, SECRET))
    assert requests.post(url, data="{}", headers=signed("{}", at=now) | {"webhook-signature": both}).status_code == 204


@given(value=st.text(max_size=50), offset_s=st.integers(-400, 400), tampered=st.booleans())
def test_the_receiver_and_the_reference_implementation_agree(value: str, offset_s: int, tampered: bool) -> None:
    now = datetime.now(UTC)
    body = json.dumps(value, ensure_ascii=False)
    headers = signed(body, at=now + timedelta(seconds=offset_s))
    sent = (body + " " * tampered).encode()
    assume(abs(abs(offset_s) - 300) > 2)  # The two read the clock at different moments.
    try:
        Webhook(SECRET).verify(sent, headers)
    except WebhookVerificationError:
        with pytest.raises(SignatureError):
            verify(sent, headers, SECRET, now=now)
    else:
        verify(sent, headers, SECRET, now=now)


def test_nobody_listens_at_an_unknown_name(world: World) -> None:
    assert requests.post(f"{world.url}/hooks/nobody", data="{}").status_code == 404


def test_a_get_is_not_a_webhook(world: World) -> None:
    assert requests.get(world.sink_url("got")).status_code == 405
