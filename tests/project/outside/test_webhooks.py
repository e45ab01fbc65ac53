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
    ("name", "changes"),
    [
        ("other-id", {"webhook-id": "msg_2"}),
        ("other-key", {"webhook-signature": Webhook(OTHER).sign("msg_1", datetime.now(UTC), "{}")}),
        ("no-signature", {"webhook-signature": None}),
        ("no-version", {"webhook-signature": "AAAA"}),
        ("no-number", {"webhook-timestamp": "now"}),
    ],
)
def test_what_is_not_proved_is_refused(world: World, name: str, changes: dict[str, str | None]) -> None:
    headers = {**signed("{}", at=datetime.now(UTC)), **changes}
    answer = requests.post(world.webhook_url(SECRET, name=name), data="{}", headers=headers)
    assert answer.status_code == 401
    assert [line.accepted for line in world.seen(f"hooks/{name}")] == [False]


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 204), (4, 204), (6, 401)])
def test_clocks_may_differ_by_five_minutes(world: World, minutes: int, status: int) -> None:
    headers = signed("{}", at=datetime.now(UTC) + timedelta(minutes=minutes))
    url = world.webhook_url(SECRET, name=f"clock{minutes}")
    assert requests.post(url, data="{}", headers=headers).status_code == status


def test_another_body_than_was_signed_is_refused(world: World) -> None:
    url = world.webhook_url(SECRET, name="other-body")
    assert requests.post(url, data="{} ", headers=signed("{}", at=datetime.now(UTC))).status_code == 401


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
