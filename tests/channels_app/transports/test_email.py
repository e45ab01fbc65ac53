"""E-mail, over real SMTP to a server that knows nothing of Belfry."""

from __future__ import annotations

import email
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest
from pytest_django import Settings

from channels_app import configuration
from channels_app.base import Message
from channels_app.configuration import InvalidConfig
from channels_app.outcomes import Outcome
from channels_app.transports.email import EmailConfig, is_address, mail_of
from project.outside import World
from project.outside.journal import Received
from tests.channels_app.transports.telling import tell
from tests.contracts.samples import HOSTILE, message

FROM = "Belfry <bell@belfry.invalid>"


def settings_for(world: World, *to: str, **more: Any) -> dict[str, Any]:
    server = {"host": world.smtp_host, "port": world.smtp_port, "security": "none"}
    return {**server, "from_address": FROM, "to": list(to), **more}


def numbered(count: int, **changes: Any) -> list[Message]:
    return [message(idempotency_id=f"msg_{'0' * 32}_{number}", **changes) for number in range(count)]


def parsed(seen: Received) -> EmailMessage:
    return email.message_from_bytes(seen.body, policy=default)


def part_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def mail_for(one: Message, **settings: Any) -> EmailMessage:
    """The mail as a program of the recipient reads it."""
    config = EmailConfig(host="h", from_address=FROM, to=["crew@example.org"], **settings)
    return email.message_from_bytes(mail_of(one, config, config.to).message().as_bytes(), policy=default)


# --- What is sent.


def test_a_mail_arrives_with_both_parts(world: World) -> None:
    [verdict] = tell("email", settings_for(world, "both@example.org"), message())
    [seen] = world.seen("mail/both@example.org")
    mail = parsed(seen)
    assert (verdict.outcome, verdict.code, verdict.detail) == (Outcome.OK, 250, "")
    assert seen.idempotency_id == message().idempotency_id
    assert mail.get_content_type() == "multipart/alternative"
    for kind in ("plain", "html"):
        text = part_of(mail, kind)
        assert all(word in text for word in ("Recorded The Velvet Walrus Hour", "It went well.", "1.8 GiB", "normal"))


def test_its_headers_say_what_it_is() -> None:
    mail = mail_for(message(priority_label="critical"), reply_to="crew@example.org")
    assert mail["Subject"] == "[Belfry] Recorded The Velvet Walrus Hour"
    assert mail["From"] == FROM
    assert mail["To"] == mail["Reply-To"] == "crew@example.org"
    assert mail["Message-ID"] == f"<{message().idempotency_id}@belfry.belfry.invalid>"
    assert mail["Date"].datetime == message().accepted_at.replace(microsecond=0)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (mail["X-Priority"], mail["Importance"]) == ("1", "high")


def test_a_second_try_is_the_same_mail() -> None:
    first, second = mail_for(message()), mail_for(message())
    boundary = first.get_boundary()
    assert boundary is not None
    again = second.as_bytes().replace((second.get_boundary() or "").encode(), boundary.encode())
    assert again == first.as_bytes()


def test_markup_in_texts_is_shown_and_not_obeyed() -> None:
    mail = mail_for(HOSTILE["html"])
    tags = Tags()
    tags.feed(part_of(mail, "html"))
    assert not {"script", "img"} & tags.seen
    assert "<script>alert('1')</script>" in part_of(mail, "plain")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_no_text_becomes_a_header() -> None:
    mail = mail_for(HOSTILE["header"])
    assert mail["Bcc"] is None
    assert mail["Subject"] == "[Belfry] x Bcc: everyone@example.org body"


def test_any_message_arrives(world: World) -> None:
    verdicts = tell("email", settings_for(world, "any@example.org"), *HOSTILE.values())
    outcomes = dict(zip(HOSTILE, [verdict.outcome for verdict in verdicts], strict=True))
    # This one has an address of its own, which is none.
    assert outcomes.pop("header") is Outcome.PERMANENT
    assert set(outcomes.values()) == {Outcome.OK}
    for seen in world.seen("mail/any@example.org"):
        assert parsed(seen)["Message-ID"]
        assert part_of(parsed(seen), "html")


# --- Where it goes.


def test_an_address_of_the_recipient_goes_before_those_of_the_channel(world: World) -> None:
    settings = settings_for(world, "shared@example.org")
    tell("email", settings, message(address="own@example.org"))
    assert len(world.seen("mail/own@example.org")) == 1
    assert world.seen("mail/shared@example.org") == []


def test_without_any_address_it_is_dead(world: World) -> None:
    [verdict] = tell("email", settings_for(world), message())
    assert (verdict.outcome, verdict.detail) == (
        Outcome.PERMANENT,
        "There is no address that this mail could go to.",
    )


def test_many_mails_go_over_one_connection(world: World) -> None:
    verdicts = tell("email", settings_for(world, "batch@example.org"), *numbered(20))
    assert {verdict.outcome for verdict in verdicts} == {Outcome.OK}
    assert len({seen.idempotency_id for seen in world.seen("mail/batch@example.org")}) == 20


def test_an_address_that_is_not_open_is_not_connected_to(world: World, settings: Settings) -> None:
    settings.BELFRY_ALLOWED_NETWORKS = []
    for host in ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"):
        [verdict] = tell("email", settings_for(world, "closed@example.org", host=host), message())
        assert verdict.outcome is Outcome.PERMANENT
        assert "BELFRY_ALLOWED_NETWORKS" in verdict.detail
    assert world.seen("mail/closed@example.org") == []


# --- What replies mean.


@pytest.mark.parametrize(
    ("behaviour", "outcome", "code"),
    [
        ("status=451", Outcome.TRANSIENT, 451),
        ("status=421", Outcome.TRANSIENT, 421),
        ("status=452", Outcome.TRANSIENT, 452),
        ("status=554", Outcome.PERMANENT, 554),
        ("reset", Outcome.UNKNOWN, 0),
    ],
)
def test_a_reply_decides(world: World, behaviour: str, outcome: Outcome, code: int) -> None:
    world.behave("mail", behaviour)
    try:
        [verdict] = tell("email", settings_for(world, "replies@example.org"), message())
    finally:
        world.behave("mail", "sink")
    assert (verdict.outcome, verdict.code) == (outcome, code)
    assert verdict.detail


@pytest.mark.parametrize(
    "behaviour", ["status=554,for_requests=1", "status=421,for_requests=1", "reset:for_requests=1"]
)
def test_one_bad_mail_does_not_spoil_the_batch(world: World, behaviour: str) -> None:
    name = f"spoilt-{abs(hash(behaviour))}@example.org"
    world.behave("mail", behaviour)
    verdicts = tell("email", settings_for(world, name), *numbered(4))
    world.behave("mail", "sink")
    assert [verdict.outcome is Outcome.OK for verdict in verdicts] == [False, True, True, True]


def test_a_mailbox_that_does_not_exist_is_permanent(world: World) -> None:
    world.mail.reject("nobody@example.org")
    verdicts = tell(
        "email", settings_for(world), *[message(address=to) for to in ("nobody@example.org", "body@example.org")]
    )
    world.mail.reject()
    assert [(verdict.outcome, verdict.code) for verdict in verdicts] == [(Outcome.PERMANENT, 550), (Outcome.OK, 250)]
    assert verdicts[0].detail == "No recipient was taken: nobody@example.org (550 5.1.1 No such mailbox)"


def test_who_was_not_reached_is_said_when_others_were(world: World) -> None:
    world.mail.reject("absent@example.org")
    [verdict] = tell("email", settings_for(world, "present@example.org", "absent@example.org"), message())
    world.mail.reject()
    assert verdict.outcome is Outcome.OK
    assert verdict.detail == "Not all recipients were taken: absent@example.org (550 5.1.1 No such mailbox)"
    assert len(world.seen("mail/present@example.org")) == 1


# --- Settings.


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("host", {"host": "http://mail.example.org"}),
        ("port", {"port": 0}),
        ("security", {"security": "ssl"}),
        ("from_address", {"from_address": "bell"}),
        ("from_address", {"from_address": "a@example.org, b@example.org"}),
        ("to", {"to": ["crew@example.org", "x\r\nBcc: y@example.org"]}),
        ("reply_to", {"reply_to": "nobody"}),
        ("password", {"username": "bell"}),
        ("security", {"username": "bell", "password": "p", "security": "none"}),
    ],
)
def test_a_setting_that_cannot_work_is_named(field: str, changes: dict[str, Any]) -> None:
    usual = {"host": "mail.example.org", "from_address": FROM, "to": ["crew@example.org"]}
    with pytest.raises(InvalidConfig) as refused:
        configuration.check("email", {**usual, **changes})
    assert refused.value.field == field


def test_what_an_address_is() -> None:
    for good in (
        "a@example.org",
        "<a@example.org>",
        "Ops <a@example.org>",
        '"Ops, us" <a@example.org>',
        "a@müller.example",
    ):
        assert is_address(good), good
    for bad in ("", "a", "a@", "@b", "a@b c", "a@example.org b", "a@example.org, b@example.org", "a\n<a@example.org>"):
        assert not is_address(bad), bad


@pytest.mark.parametrize(("limit", "value"), [("BEGUN_WITHIN", 0.02), ("PATIENCE_S", 0.2)])
def test_what_a_slow_server_does_not_get_in_time_waits_and_is_not_a_failure(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(f"channels_app.transports.email.{limit}", value)
    world.behave("mail", "delay_ms=250")
    to = f"slow-{limit.lower()}@example.org"
    verdicts = tell("email", settings_for(world, to), *numbered(3))
    world.behave("mail", "sink")
    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK, Outcome.RATE_LIMITED, Outcome.RATE_LIMITED]
    assert len(world.seen(f"mail/{to}")) == 1


def test_nothing_is_begun_when_the_time_is_over_already(world: World) -> None:
    """As after a freeze: somebody else may have it by now."""
    verdicts = tell("email", settings_for(world, "frozen@example.org"), *numbered(2), within_s=-1.0)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.RATE_LIMITED] * 2
    assert world.seen("mail/frozen@example.org") == []
