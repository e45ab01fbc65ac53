"""The mail server, spoken to by the standard library's client."""

import email
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default

import pytest

from project.outside import World


@pytest.fixture
def client(world: World) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(world.smtp_host, world.smtp_port, timeout=5) as connection:
        yield connection
    world.behave("mail", "sink")
    world.mail.reject()


def mail(*, to: str, message_id: str = "<msg_" + "0" * 32 + "_7@belfry>") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "bell@belfry.invalid"
    message["To"] = to
    message["Subject"] = "Süße Grüße · 昼寝クジラ"
    message["Message-ID"] = message_id
    message.set_content("Live now: Süße Grüße")
    message.add_alternative("<p>Live now</p>", subtype="html")
    return message


def test_a_mail_arrives_whole_and_parses(world: World, client: smtplib.SMTP) -> None:
    client.send_message(mail(to="whole@example.invalid"))
    [line] = world.seen("mail/whole@example.invalid")
    read = email.message_from_bytes(line.body, policy=default)
    body = read.get_body(("plain",))
    assert read["Subject"] == "Süße Grüße · 昼寝クジラ"
    assert body is not None
    assert body.get_content().strip() == "Live now: Süße Grüße"
    assert (line.accepted, line.status) == (True, 250)


def test_its_message_id_tells_what_it_is(world: World, client: smtplib.SMTP) -> None:
    client.send_message(mail(to="named@example.invalid"))
    client.send_message(mail(to="named@example.invalid", message_id="<other@elsewhere>"))
    names = [line.idempotency_id for line in world.seen("mail/named@example.invalid")]
    assert names == ["msg_" + "0" * 32 + "_7", "other@elsewhere"]


def test_many_mails_go_over_one_connection(world: World, client: smtplib.SMTP) -> None:
    for number in range(20):
        client.send_message(mail(to="many@example.invalid", message_id=f"<{number}@x>"))
    assert len(world.seen("mail/many@example.invalid")) == 20
    assert world.duplicates("mail/many@example.invalid") == {}


def test_it_is_busy_for_a_while_and_comes_back(world: World, client: smtplib.SMTP) -> None:
    world.behave("mail", "status=451,for_requests=1")
    with pytest.raises(smtplib.SMTPDataError) as error:
        client.send_message(mail(to="busy@example.invalid"))
    client.send_message(mail(to="busy@example.invalid"))
    assert error.value.smtp_code == 451
    assert [line.status for line in world.seen("mail/busy@example.invalid")] == [451, 250]


def test_some_mailboxes_do_not_exist(world: World, client: smtplib.SMTP) -> None:
    world.mail.reject("nobody@example.invalid")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
        client.send_message(mail(to="Nobody@example.invalid"))
    client.send_message(mail(to="somebody@example.invalid"))
    assert error.value.recipients["Nobody@example.invalid"][0] == 550
    assert [line.accepted for line in world.seen("mail/somebody@example.invalid")] == [True]


def test_a_connection_may_break_after_the_mail_was_taken(world: World, client: smtplib.SMTP) -> None:
    world.behave("mail", "reset:for_requests=1")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.send_message(mail(to="broken@example.invalid"))
    assert [line.accepted for line in world.seen("mail/broken@example.invalid")] == [True]
