"""The seam to mail servers: Django's SMTP backend, which checks addresses and says what became of a mail.

    a mail could not be offered       the connection's fault, not the mail's: transient
    the server answered 4xx / 5xx     transient / permanent
    no answer after the whole mail    unknown: it may have been taken
    some recipients were refused      ok, and the detail says who was not reached

So a login that the server refuses is transient, although its reply is a 5xx: the channel's breaker
holds the mails until somebody corrects the settings, and none of them dies of it. As with HTTP, an
address that the operator has not opened is permanent.

Everything ends by one deadline, a time of `time.monotonic`. A limit for each reply would not do: a
mail takes about five of them, and a server that sends a byte now and then never runs into one.
"""

from __future__ import annotations

import contextlib
import io
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from channels_app.addresses import default_networks
from channels_app.no_answer import Reason
from channels_app.outcomes import Outcome, Verdict

#: For the polite end of a connection, while the verdicts of its mails wait.
FAREWELL_S = 1.0

OK = 250
_END_OF_MAIL = b"\r\n.\r\n"
#: Sent at once, by TLS as one record: so the time that is left is looked at before each.
_CHUNK_BYTES = 16384


class AddressBlocked(OSError):
    """None of the server's addresses is public, or of a network that the operator has opened."""


class Session(smtplib.SMTP):
    """A connection that opens only where it may, ends by its deadline, and knows how far the present mail came."""

    deadline: float
    #: Whether a whole mail was sent that the server has not answered.
    is_in_doubt = False
    #: The recipients that the server refused while it took the mail for others: address → (code, text).
    refused: dict[str, tuple[int, bytes]] = {}

    def __init__(self, *args: Any, deadline: float, **more: Any) -> None:
        self.deadline = deadline
        super().__init__(*args, **more)

    @property
    def is_open(self) -> bool:
        return self.sock is not None

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()

    def in_time(self) -> socket.socket:
        """The socket, which waits no longer than there is time. Raises `TimeoutError` when there is none."""
        if self.sock is None:
            raise ConnectionError("The connection is closed")
        self.sock.settimeout(_positive(self.left_s))
        return self.sock

    def send(self, s: Any) -> None:
        self.is_in_doubt = False
        data = s.encode(self.command_encoding) if isinstance(s, str) else s
        for start in range(0, len(data), _CHUNK_BYTES):
            self._send_in_time(data[start : start + _CHUNK_BYTES])
        self.is_in_doubt = isinstance(s, bytes) and s.endswith(_END_OF_MAIL)

    def _send_in_time(self, chunk: bytes) -> None:
        try:
            self.in_time()
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected("There is no time left") from error
        super().send(chunk)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = io.BufferedReader(_Replies(self))
        reply = super().getreply()
        if self.sock is not None:  # What follows may be a handshake, which has no seam of its own.
            self.sock.settimeout(max(self.left_s, 0.001))
        return reply

    def sendmail(self, *args: Any, **more: Any) -> dict[str, tuple[int, bytes]]:
        self.refused = {}
        self.refused = super().sendmail(*args, **more)
        return self.refused

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # smtplib's own seam. The check is made on the addresses that are then connected to, and the
        # name is not resolved again; TLS still compares the certificate with the name.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = dict.fromkeys(str(address[0]) for *_, address in found)
        networks = default_networks()
        allowed = [address for address in addresses if networks.permits(address)]
        if not allowed:
            raise AddressBlocked
        connected = _connect(allowed, port, self.deadline)
        connected.settimeout(max(self.left_s, 0.001))
        return connected


class TlsSession(smtplib.SMTP_SSL, Session):
    """The same with TLS from the first byte; smtplib's class wraps what `Session` connects."""

    def __init__(self, *args: Any, deadline: float, **more: Any) -> None:
        self.deadline = deadline  # smtplib's class passes by `Session` on its way to its own base.
        super().__init__(*args, **more)


class _Replies(io.RawIOBase):
    """What the server says, read as long as there is time: however few bytes come at once."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._session.in_time().recv_into(buffer)


class MailServer(EmailBackend):
    """One server, one connection at a time, opened when the first mail needs it. Closes as a context manager.

    What is not done by `deadline` (of `time.monotonic`) is broken off.
    """

    connection: Session | None

    def __init__(self, *, deadline: float, **more: Any) -> None:
        super().__init__(**more)
        self._deadline = deadline
        self._unreachable: Verdict | None = None

    @property
    def connection_class(self) -> Callable[..., Session]:  # type: ignore[override]  # Django only calls it.
        return partial(TlsSession if self.use_ssl else Session, deadline=self._deadline)

    def deliver(self, mail: EmailMessage) -> Verdict:
        """Hand over one mail. Raises only what building it raises: `ValueError`."""
        was_open = self.connection is not None and self.connection.is_open
        verdict = self._try(mail)
        session = self.connection
        if was_open and session is not None and not session.is_open and not session.is_in_doubt:
            # The server ended a connection that had served its time; that says nothing of this mail.
            return self._try(mail)
        return verdict

    def _try(self, mail: EmailMessage) -> Verdict:
        if self._unreachable:
            return self._unreachable
        try:
            session = self._opened()
        except OSError as error:  # smtplib's own are among them.
            self._unreachable = _unreachable(error)
            return self._unreachable
        try:
            self.send_messages([mail])
        except OSError as error:
            return _refused(error, is_in_doubt=session.is_in_doubt)
        return Verdict(Outcome.OK, OK, _not_reached(session.refused))

    def _opened(self) -> Session:
        if self.connection is not None and not self.connection.is_open:
            self.close()
        self.open()
        if self.connection is None:
            raise ConnectionError("Django's backend opens a connection or says why not")
        return self.connection

    def close(self) -> None:
        """End the connection politely where that is possible; never raises."""
        if self.connection is not None:
            self.connection.deadline = min(self._deadline, time.monotonic() + FAREWELL_S)
        with contextlib.suppress(OSError):
            super().close()

    def __enter__(self) -> Self:
        # Django's own opens here, where a failure would be nobody's verdict.
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """A connection to the first of `addresses` that takes one."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return _connect_to(address, port, deadline)
    return _connect_to(addresses[-1], port, deadline)


def _connect_to(address: str, port: int, deadline: float) -> socket.socket:
    left_s = _positive(deadline - time.monotonic())
    return socket.create_connection((address, port), min(left_s, settings.BELFRY_HTTP_CONNECT_TIMEOUT_S))


def _positive(left_s: float) -> float:
    """`left_s`, where anything is left. Raises `TimeoutError`."""
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _unreachable(error: OSError) -> Verdict:
    """No mail could be offered."""
    if isinstance(error, AddressBlocked):
        return Verdict(Outcome.PERMANENT, 0, Reason.BLOCKED.explain(0, ""))
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _faulty("The mail server refused the login", error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPResponseException):
        return _faulty("The mail server takes no mail from here", error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Verdict(Outcome.TRANSIENT, 0, f"The mail server cannot do what the settings ask: {error}")
    return _no_answer(error)


def _no_answer(error: OSError) -> Verdict:
    # smtplib says of every failure within a connection that it was disconnected; the cause is behind it.
    cause = error.__context__ if isinstance(error.__context__, TimeoutError) else error
    reasons = (reason for kind, reason in _REASONS.items() if isinstance(cause, kind))
    return Verdict(Outcome.TRANSIENT, 0, next(reasons, Reason.UNREACHABLE).explain(0, str(error)))


_REASONS: dict[type[OSError], Reason] = {
    socket.gaierror: Reason.DNS,
    ConnectionRefusedError: Reason.REFUSED,
    TimeoutError: Reason.TIMEOUT,
    ssl.SSLError: Reason.TLS,
    smtplib.SMTPServerDisconnected: Reason.RESET,
    ConnectionResetError: Reason.RESET,
}


def _refused(error: OSError, *, is_in_doubt: bool) -> Verdict:
    """A mail was offered and not taken, or nobody knows."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        replies = sorted(error.recipients.values())
        code = replies[0][0]  # The mildest: as long as one may be reached later, it is worth another try.
        return Verdict(_outcome(code), code, f"No recipient was taken: {_replies(error.recipients)}")
    if isinstance(error, smtplib.SMTPResponseException):
        return Verdict(_outcome(error.smtp_code), max(error.smtp_code, 0), _text(error.smtp_error))
    if is_in_doubt:
        return Verdict(Outcome.UNKNOWN, 0, "The connection ended after the whole mail was sent; it may have arrived.")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Verdict(Outcome.PERMANENT, 0, f"The mail server cannot take it: {error}")
    return _no_answer(error)


def _outcome(code: int) -> Outcome:
    return Outcome.PERMANENT if 500 <= code < 600 else Outcome.TRANSIENT


def _faulty(sentence: str, code: int, reply: bytes | str) -> Verdict:
    return Verdict(Outcome.TRANSIENT, max(code, 0), f"{sentence}: {_text(reply)}")


def _not_reached(refused: dict[str, tuple[int, bytes]]) -> str:
    return f"Not all recipients were taken: {_replies(refused)}" if refused else ""


def _replies(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address} ({code} {_text(reply)})" for address, (code, reply) in refused.items())


def _text(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return " ".join(text.split())
