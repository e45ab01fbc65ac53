"""The seam to mail servers, against servers that do exactly what a test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.mail import EmailMessage
from pytest_django import Settings

from channels_app import smtp
from channels_app.outcomes import Outcome, Verdict
from channels_app.smtp import MailServer
from tests.channels_app.far_end import Behaviour, Visit, far_end, silent

PASSWORD = "canary-of-the-login"

#: The time of a delivery where a test lets it run out.
WITHIN_S = 0.8


@pytest.fixture(autouse=True)
def _loopback_is_open(settings: Settings) -> None:
    settings.BELFRY_ALLOWED_NETWORKS = ["127.0.0.0/8"]


def mail(number: int = 0) -> EmailMessage:
    headers = {"Message-ID": f"<{number}@belfry.example>"}
    return EmailMessage("A title", "A body", "bell@example.org", ["crew@example.org"], headers=headers)


def deliver(
    port: int, *mails: EmailMessage, host: str = "127.0.0.1", within_s: float = 10.0, **more: Any
) -> list[Verdict]:
    usual = {"username": "", "password": "", "use_tls": False, "use_ssl": False}
    deadline = time.monotonic() + within_s
    with MailServer(host=host, port=port, deadline=deadline, **{**usual, **more}) as server:
        return [server.deliver(one) for one in mails or [mail()]]


# --- Encryption and login.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that vouches for itself, and a server's context with it."""
    folder = tmp_path_factory.mktemp("mail")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return pem, context


@pytest.fixture
def trusted(certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


class Box:
    """Keeps the ids of the mails that it is given."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.ids.append(envelope.content.partition(b"Message-ID: ")[2].split(b"\r\n")[0].decode())
        return "250 OK"


def _knows(_server: object, _session: object, _envelope: object, _mechanism: str, given: object) -> AuthResult:
    right = isinstance(given, LoginPassword) and given.password == PASSWORD.encode()
    return AuthResult(success=right, handled=False, message=None if right else "535 5.7.8 Not you")


@pytest.fixture
def strict(certificate: tuple[Path, ssl.SSLContext]) -> Iterator[tuple[Box, int]]:
    """A server that wants STARTTLS and a login."""
    box = Box()
    strictness: dict[str, Any] = {"require_starttls": True, "auth_required": True, "authenticator": _knows}
    controller = Controller(box, hostname="127.0.0.1", port=_free_port(), tls_context=certificate[1], **strictness)
    controller.start()
    yield box, controller.port
    controller.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


LOGIN: dict[str, Any] = {"host": "localhost", "username": "bell", "password": PASSWORD}


@pytest.mark.usefixtures("trusted")
def test_it_encrypts_and_logs_in(strict: tuple[Box, int]) -> None:
    box, port = strict
    verdicts = deliver(port, mail(1), mail(2), use_tls=True, **LOGIN)
    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK, Outcome.OK]
    assert box.ids == ["<1@belfry.example>", "<2@belfry.example>"]


@pytest.mark.usefixtures("trusted")
def test_it_encrypts_from_the_first_byte_where_that_is_asked(certificate: tuple[Path, ssl.SSLContext]) -> None:
    with far_end(server_that(lambda _: None), tls=certificate[1]) as server:
        assert deliver(server.port, host="localhost", use_ssl=True)[0].outcome is Outcome.OK


@pytest.mark.usefixtures("trusted")
def test_a_refused_login_is_the_fault_of_the_channel_and_buries_no_mail(strict: tuple[Box, int]) -> None:
    box, port = strict
    verdicts = deliver(port, mail(1), mail(2), use_tls=True, **{**LOGIN, "password": "wrong-canary"})
    assert [(verdict.outcome, verdict.code) for verdict in verdicts] == [(Outcome.TRANSIENT, 535)] * 2
    assert verdicts[0].detail.startswith("The mail server refused the login: 5.7.8")
    assert box.ids == []


def test_a_certificate_of_nobody_we_trust_is_not_talked_to(strict: tuple[Box, int]) -> None:
    box, port = strict
    [verdict] = deliver(port, use_tls=True, **LOGIN)
    assert verdict.outcome is Outcome.TRANSIENT
    assert "certificate" in verdict.detail
    assert box.ids == []


@pytest.mark.usefixtures("trusted")
def test_a_certificate_for_another_name_is_not_talked_to(strict: tuple[Box, int]) -> None:
    [verdict] = deliver(strict[1], use_tls=True, **{**LOGIN, "host": "127.0.0.1"})
    assert (verdict.outcome, "certificate" in verdict.detail) == (Outcome.TRANSIENT, True)


def test_without_encryption_nothing_is_sent_where_it_was_asked() -> None:
    with far_end(server_that(lambda _: None)) as server:
        [verdict] = deliver(server.port, use_tls=True, **LOGIN)
    assert verdict.outcome is Outcome.TRANSIENT
    assert "STARTTLS" in verdict.detail
    assert PASSWORD not in verdict.detail


# --- Connections that fail.


def server_that(answers: Callable[[bytes], bytes | None], greeting: bytes = b"220 here") -> Callable[[Visit], None]:
    """A small server that answers 250 (354 to DATA) where `answers` has nothing else to say; b"" hangs up."""

    def serve(visit: Visit) -> None:
        reader = visit.connection.makefile("rb")
        visit.answer(greeting + b"\r\n")
        in_mail = False
        for line in reader:
            if in_mail and line != b".\r\n":
                continue
            usual = b"250 so be it" if in_mail or not line.startswith(b"data") else b"354 go on"
            in_mail = not in_mail and line.startswith(b"data")
            said = answers(line.strip())
            if said == b"":
                return
            visit.answer((usual if said is None else said) + b"\r\n")
            if line.startswith(b"quit"):
                return

    return serve


def test_nobody_there_is_transient() -> None:
    [verdict] = deliver(1)
    assert verdict == Verdict(Outcome.TRANSIENT, 0, "The connection was refused.")


def test_a_name_that_leads_nowhere_is_transient() -> None:
    [verdict] = deliver(25, host="no-such-host.invalid")
    assert verdict == Verdict(Outcome.TRANSIENT, 0, "The host's name could not be resolved.")


def test_a_server_that_is_not_reached_is_asked_once_for_a_batch() -> None:
    with far_end(server_that(lambda _: None, greeting=b"554 not today")) as server:
        verdicts = deliver(server.port, mail(1), mail(2), mail(3))
        assert len(server.visits) == 1
    assert {(verdict.outcome, verdict.code) for verdict in verdicts} == {(Outcome.TRANSIENT, 554)}
    assert verdicts[0].detail == "The mail server takes no mail from here: not today"


# --- The deadline.

TOO_LATE = Verdict(Outcome.TRANSIENT, 0, "No answer came in time.")


@contextlib.contextmanager
def ends_in_time(within_s: float = WITHIN_S) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < within_s + 0.6


def drips(drop: bytes, first: bytes = b"") -> Behaviour:
    """Say something all the time, and never what would end it."""

    def behave(visit: Visit) -> None:
        visit.answer(first)
        while True:
            visit.answer(drop)
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize("behaviour", [silent, drips(b"2"), drips(b"220-and\r\n"), drips(b"2", first=b"220 here\r\n")])
def test_a_server_that_never_comes_to_an_end_is_left(behaviour: Behaviour) -> None:
    with far_end(behaviour) as server, ends_in_time():
        assert deliver(server.port, within_s=WITHIN_S) == [TOO_LATE]


def test_a_server_that_is_slow_with_each_reply_gets_no_more_time_than_one_that_is_silent() -> None:
    def slowly(line: bytes) -> None:
        time.sleep(0.3)

    with far_end(server_that(slowly)) as server, ends_in_time():
        assert deliver(server.port, mail(1), mail(2), within_s=WITHIN_S) == [TOO_LATE, TOO_LATE]
        assert len(server.visits) == 1


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("behaviour", [silent, drips(b"\x16")])
@pytest.mark.parametrize("security", ["use_ssl", "use_tls"])
def test_a_handshake_that_does_not_end_is_left(behaviour: Behaviour, security: str) -> None:
    def serve(visit: Visit) -> None:
        if security == "use_tls":
            visit.answer(b"220 here\r\n")
            visit.connection.recv(1000)
            visit.answer(b"250-here\r\n250 STARTTLS\r\n")
            visit.connection.recv(1000)
            time.sleep(WITHIN_S * 0.7)
            visit.answer(b"220 go on\r\n")
        behaviour(visit)

    with far_end(serve) as server, ends_in_time():
        [verdict] = deliver(server.port, host="localhost", within_s=WITHIN_S, **{security: True})
    assert verdict.outcome is Outcome.TRANSIENT


@pytest.mark.slow
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_server_that_hardly_reads_is_left(certificate: tuple[Path, ssl.SSLContext], *, encrypted: bool) -> None:
    def sips(visit: Visit) -> None:
        reader = visit.connection.makefile("rb", buffering=0)
        visit.answer(b"220 here\r\n")
        for answer in (b"250 a", b"250 b", b"250 c", b"354 go on"):
            reader.readline()
            visit.answer(answer + b"\r\n")
        while reader.read(4096):
            time.sleep(0.02)

    long = EmailMessage("t", "word " * 4_000_000, "bell@example.org", ["crew@example.org"])
    long.message()
    with far_end(sips, tls=certificate[1] if encrypted else None) as server, ends_in_time(3.0):
        [verdict] = deliver(server.port, long, host="localhost", within_s=3.0, use_ssl=encrypted)
    assert verdict == TOO_LATE


def test_no_answer_in_time_to_a_whole_mail_is_unknown() -> None:
    def stops(line: bytes) -> None:
        time.sleep(2 if line == b"." else 0)

    with far_end(server_that(stops)) as server, ends_in_time():
        [verdict] = deliver(server.port, within_s=WITHIN_S)
    assert verdict.outcome is Outcome.UNKNOWN


def test_a_server_that_takes_no_leave_does_not_keep_the_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "FAREWELL_S", 0.2)

    def stays(line: bytes) -> None:
        time.sleep(3 if line.startswith(b"quit") else 0)

    with far_end(server_that(stays)) as server, ends_in_time(0.2):
        [verdict] = deliver(server.port)
    assert verdict.outcome is Outcome.OK


def test_what_is_no_mail_server_is_transient() -> None:
    with far_end(lambda visit: visit.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        [verdict] = deliver(server.port)
    assert (verdict.outcome, verdict.code) == (Outcome.TRANSIENT, 0)


# --- Connections that end.


def test_a_batch_goes_over_one_connection() -> None:
    with far_end(server_that(lambda _: None)) as server:
        verdicts = deliver(server.port, *map(mail, range(5)))
        assert len(server.visits) == 1
    assert {verdict.outcome for verdict in verdicts} == {Outcome.OK}


@pytest.mark.parametrize("farewell", [b"421 enough for now", b""])
def test_a_server_that_takes_one_mail_a_connection_gets_as_many_as_it_needs(farewell: bytes) -> None:
    def serve(visit: Visit) -> None:
        mails = 0

        def answers(line: bytes) -> bytes | None:
            nonlocal mails
            mails += line.startswith(b"mail")
            return farewell if mails > 1 else None

        server_that(answers)(visit)

    with far_end(serve) as server:
        verdicts = deliver(server.port, *map(mail, range(3)))
        assert len(server.visits) == 3
    assert [verdict.outcome for verdict in verdicts] == [Outcome.OK] * 3


def test_no_answer_to_a_whole_mail_is_unknown_and_is_not_tried_again_at_once() -> None:
    with far_end(server_that(lambda line: b"" if line == b"." else None)) as server:
        [verdict] = deliver(server.port)
        assert len(server.visits) == 1
    assert verdict.outcome is Outcome.UNKNOWN


def test_an_end_before_the_mail_is_not_unknown() -> None:
    with far_end(server_that(lambda line: b"" if line.startswith(b"rcpt") else None)) as server:
        [verdict] = deliver(server.port)
    assert verdict == Verdict(Outcome.TRANSIENT, 0, "The connection was closed before an answer came.")


def test_the_mildest_reply_decides_when_nobody_was_taken() -> None:
    replies = {b"one": b"550 no", b"two": b"450 later"}

    def answers(line: bytes) -> bytes | None:
        return next((reply for name, reply in replies.items() if line.startswith(b"rcpt TO:<" + name)), None)

    both = EmailMessage("t", "b", "bell@example.org", ["one@example.org", "two@example.org"])
    with far_end(server_that(answers)) as server:
        [verdict] = deliver(server.port, both)
    assert (verdict.outcome, verdict.code) == (Outcome.TRANSIENT, 450)


def test_a_name_is_checked_by_the_address_that_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def rebinding(host: str, port: int, *args: Any, **more: Any) -> Any:
        asked.append(host)
        return resolve("10.0.0.1" if host == "rebinding.example" else host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    [verdict] = deliver(25, host="rebinding.example")
    assert verdict.outcome is Outcome.PERMANENT
    assert asked == ["rebinding.example"]
