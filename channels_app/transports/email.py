"""E-mail: a multipart mail over SMTP, plain text and HTML, one connection for a batch.

Source of the headers: RFC 5322 (Message-ID, Date), RFC 3834 (Auto-Submitted); X-Priority and
Importance are what mail programs show as urgency. What a server's replies mean stands in
`channels_app/smtp.py`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parseaddr
from typing import Annotated, Literal

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from channels_app.base import BlockingTransport, Config, Message, setting
from channels_app.facts import facts_of
from channels_app.outcomes import Outcome, Verdict
from channels_app.plain_text import cleaned, one_line, shortened
from channels_app.redaction import without_secrets
from channels_app.smtp import MailServer

SUBJECT_CHARS = 200
#: A header without spaces cannot be folded, and a line of SMTP has at most 998 characters.
EVENT_TYPE_CHARS = 100
MAX_FACTS = 12

#: No further mail of a batch is begun after this share of its time, so that the last one has some left …
BEGUN_WITHIN = 0.8
#: … nor after so many seconds, however patient the channel is: deliveries are not ours for long without a sign of life.
PATIENCE_S = 12.0

#: Word of priority → X-Priority, Importance, and the colour of the rule above the title.
_URGENCY = {
    "low": ("5", "low", "#808080"),
    "normal": ("3", "normal", "#3498db"),
    "high": ("2", "high", "#f39c12"),
    "critical": ("1", "high", "#e74c3c"),
}

_SLOW = Verdict(Outcome.RATE_LIMITED, 0, "The mail server is slow. This mail was not begun in time.", retry_after_s=1.0)


class EmailConfig(Config, kw_only=True):
    host: Annotated[
        str, setting("The mail server.", pattern=r"^[^\s/@\[\]]+$", max_length=253, example="mail.example.org")
    ]
    port: Annotated[int, setting("Usually 587 for starttls, 465 for tls.", ge=1, le=65535, example=587)] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        setting("When encryption begins: by STARTTLS, at once, or never.", example="starttls"),
    ] = "starttls"
    username: Annotated[str, setting("Empty: no login.", max_length=320, example="bell@example.org")] = ""
    password: Annotated[str, setting("For the login.", secret=True, max_length=1000, example="example-password")] = ""
    from_address: Annotated[
        str,
        setting("Who it is from: an address, or a name and <address>.", max_length=320, example="bell@example.org"),
    ]
    to: Annotated[
        list[str],
        setting("Who gets it. Empty: only recipients with an address.", max_length=50, example=["crew@example.org"]),
    ]
    reply_to: Annotated[str, setting("Where answers go. Empty: nowhere else.", max_length=320)] = ""
    subject_prefix: Annotated[str, setting("Stands before every title.", max_length=80)] = "[Belfry]"

    def __post_init__(self) -> None:
        named = [("from_address", self.from_address), ("reply_to", self.reply_to), *(("to", one) for one in self.to)]
        for name, address in named:
            if (address or name != "reply_to") and not is_address(address):
                raise ValueError(f"That is not an address that mail could go to, in `{name}`")
        if bool(self.username) != bool(self.password):
            raise ValueError("A login needs both, or leave out `username` and `password`")
        if self.username and self.security == "none":
            raise ValueError("A password is not sent without encryption; choose another `security`")


def is_address(text: str) -> bool:
    """Whether `text` is an e-mail address, alone or in <> after a name."""
    address = parseaddr(text)[1]
    if one_line(text) != text or not (text == address or text.endswith(f"<{address}>")):
        return False
    try:
        validate_email(address)
    except ValidationError:
        return False
    return True


class Email(BlockingTransport[EmailConfig]):
    kind = "email"
    label = "E-mail"
    Config = EmailConfig
    addresses_recipients = True

    def send(
        self, messages: Sequence[Message], config: EmailConfig, *, now: datetime, deadline: float
    ) -> list[Verdict]:
        started = time.monotonic()
        begin_until = started + min(PATIENCE_S, (deadline - started) * BEGUN_WITHIN)
        verdicts: list[Verdict] = []
        with _server(config, deadline) as server:
            for message in messages:
                is_late = time.monotonic() > begin_until
                verdicts.append(_SLOW if is_late else _tell(message, config, server))
        return [without_secrets(verdict, config) for verdict in verdicts]


def _server(config: EmailConfig, deadline: float) -> MailServer:
    return MailServer(
        deadline=deadline,
        host=config.host,
        port=config.port,
        username=config.username,
        password=config.password,
        use_tls=config.security == "starttls",
        use_ssl=config.security == "tls",
    )


def _tell(message: Message, config: EmailConfig, server: MailServer) -> Verdict:
    recipients = [message.address] if message.address else config.to
    if not recipients or not all(map(is_address, recipients)):
        return Verdict(Outcome.PERMANENT, 0, "There is no address that this mail could go to.")
    try:
        return server.deliver(mail_of(message, config, recipients))
    except (ValueError, RecursionError) as error:  # A header, a text or data that no mail can hold.
        return Verdict(Outcome.PERMANENT, 0, f"The mail cannot be written ({type(error).__name__}).")


def mail_of(message: Message, config: EmailConfig, recipients: Sequence[str]) -> EmailMessage:
    """The mail that tells `message`: the same, with the same Message-ID, however often it is tried."""
    x_priority, importance, colour = _URGENCY.get(message.priority_label, _URGENCY["normal"])
    event_type = shortened(one_line(message.event_type), EVENT_TYPE_CHARS)
    title = one_line(message.title) or event_type
    told = {
        "title": title,
        "body": cleaned(message.body).strip(),
        "facts": facts_of(message, at_most=MAX_FACTS),
        "at": message.accepted_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "event_type": event_type,
        "priority": one_line(message.priority_label),
        "idempotency_id": message.idempotency_id,
        "colour": colour,
    }
    mail = EmailMultiAlternatives(
        subject=shortened(one_line(f"{config.subject_prefix} {title}"), SUBJECT_CHARS),
        body=render_to_string("channels_app/email.txt", told),
        from_email=config.from_address,
        to=list(recipients),
        reply_to=[config.reply_to] if config.reply_to else None,
        headers={
            "Message-ID": f"<{message.idempotency_id}@belfry.{_domain(config.from_address)}>",
            "Date": format_datetime(message.accepted_at),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "X-Priority": x_priority,
            "Importance": importance,
            "X-Belfry-Event-Type": event_type,
        },
    )
    mail.attach_alternative(render_to_string("channels_app/email.html", told), "text/html")
    return mail


def _domain(address: str) -> str:
    """The domain of a checked address, in the letters that a Message-ID may have."""
    return parseaddr(address)[1].rpartition("@")[2].encode("idna").decode()
