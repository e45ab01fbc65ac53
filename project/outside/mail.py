"""A mail server that keeps what it is given, and refuses when it is told to.

Real SMTP by aiosmtpd. It follows the same behaviours as the other places; their status is the SMTP
reply here: `status=451,for_s=3` is busy for three seconds, `status=554` refuses every mail.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import default as default_policy
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from project.outside.behaviour import Behaviour, Conduct
from project.outside.chance import chance
from project.outside.http_server import Manner
from project.outside.journal import IDEMPOTENCY_ID, Journal, Received

OK = 250
NO_MAILBOX = 550
MAX_MAIL_BYTES = 32 * 1024 * 1024


class Mail:
    """The mail server; in the journal each mail is at `mail/<its first recipient>`."""

    def __init__(self, journal: Journal, *, seed: int) -> None:
        self._journal = journal
        self._seed = seed
        self._unknown: frozenset[str] = frozenset()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.BaseTransport] = set()
        self.behave(Behaviour())

    async def start(self, *, port: int = 0) -> int:
        """Listen on loopback on `port` (0: a free one) and return the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, "127.0.0.1", port)
        return cast("int", self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and cut what is still connected."""
        if self._server is None:
            return
        self._server.close()
        for transport in list(self._connections):
            cast("asyncio.Transport", transport).abort()
        await self._server.wait_closed()

    def behave(self, behaviour: Behaviour) -> None:
        """From now on the server behaves like this."""
        self._conduct = Conduct(behaviour, chance(self._seed, "mail"))

    def reject(self, *addresses: str) -> None:
        """From now on these mailboxes do not exist (550), and only these."""
        self._unknown = frozenset(address.lower() for address in addresses)

    # Called by aiosmtpd.

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.lower() in self._unknown:
            self._write(datetime.now(UTC), address, NO_MAILBOX, address.encode(), note="no such mailbox")
            return f"{NO_MAILBOX} 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return f"{OK} OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        now = datetime.now(UTC)
        answer = self._conduct.answer(now)
        status = OK if answer.status in (200, 204) else answer.status
        note = "" if answer.manner is Manner.WHOLE else answer.manner.value
        body = cast("bytes", envelope.original_content)
        self._write(now, envelope.rcpt_tos[0], status, body, note=note)
        await asyncio.sleep(answer.after_s)
        if answer.manner is Manner.HANG:
            await asyncio.Event().wait()
        if answer.manner is not Manner.WHOLE:
            cast("Any", server.transport).abort()
        return f"{status} {_enhanced(status)}"

    def _connect(self) -> SMTP:
        return _Connection(self, connections=self._connections)

    def _write(self, now: datetime, recipient: str, status: int, body: bytes, *, note: str) -> None:
        self._journal.write(
            Received(
                place=f"mail/{recipient}",
                idempotency_id=_idempotency_id(body),
                received_at=now,
                accepted=200 <= status < 300,
                status=status,
                body=body,
                note=note,
            )
        )


class _Connection(SMTP):
    """One connection of a sender; known to the server, so that it can be cut."""

    def __init__(self, handler: Mail, *, connections: set[asyncio.BaseTransport]) -> None:
        super().__init__(
            handler,
            hostname="mail.outside.invalid",
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._connections.discard(self.transport)
        super().connection_lost(error)


def _idempotency_id(body: bytes) -> str:
    """The id within the Message-ID; a Message-ID of another make stands for itself."""
    message_id = BytesHeaderParser(policy=default_policy).parsebytes(body).get("Message-ID", "")
    found = IDEMPOTENCY_ID.search(message_id)
    return found.group() if found else message_id.strip("<> ")


def _enhanced(status: int) -> str:
    if status < 300:
        return "2.0.0 Taken"
    return "4.3.2 Busy, come again later" if status < 500 else "5.7.1 Not wanted here"
