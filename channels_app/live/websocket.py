"""WebSocket: the sub-protocols `belfry.v1` (JSON) and `belfry.v1.protobuf`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from channels_app.live import client_frames, metrics
from channels_app.live.answers import problem_of, retry_after, status_of
from channels_app.live.client_frames import BadFrame
from channels_app.live.codes import Code, Refused
from channels_app.live.connection import Connection
from channels_app.live.conversation import Conversation
from channels_app.live.credentials import Credentials
from channels_app.live.event import bye_word
from channels_app.live.frames import DIALECTS, JSON, PROTOBUF, SUBPROTOCOLS, Dialect, data_of
from channels_app.live.hub import Hub
from channels_app.live.identity import Identity
from channels_app.live.request import ABORT, PING, PONG, Receive, Request, Scope, Send, slim


class WebSocketWire:
    """Messages, each written by itself."""

    __slots__ = ("_is_text", "_ping", "_send", "abort")

    def __init__(self, send: Send, scope: Scope, *, is_text: bool) -> None:
        self._send, self._is_text = send, is_text
        self.abort: Callable[[], None] = scope[ABORT]
        self._ping: Callable[[int], None] = scope[PING]

    async def send(self, frame: bytes) -> None:
        if self._is_text:
            await self._send({"type": "websocket.send", "text": frame.decode()})
        else:
            await self._send({"type": "websocket.send", "bytes": frame})

    async def end(self, bye: bytes, code: Code) -> None:
        if bye:
            await self.send(bye)
        await self._send({"type": "websocket.close", "code": int(code), "reason": code.reason})

    def ping(self, number: int) -> None:
        self._ping(number)


class WebSocketSide:
    """Serves WebSockets of a hub."""

    def __init__(self, hub: Hub, credentials: Credentials, conversation: Conversation) -> None:
        self._hub, self._credentials, self._conversation = hub, credentials, conversation

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for a WebSocket, for as long as that lasts."""
        await receive()
        connection = await self._greeted(scope, receive, send)
        if connection is None:
            return
        metrics.CONNECTS.labels("taken").inc()
        slim(scope)
        try:
            self._hub.open(connection)
            await self._converse(connection, receive)
        finally:
            self._hub.detach(connection)

    async def _greeted(self, scope: Scope, receive: Receive, send: Send) -> Connection | None:
        """An accepted, attached connection; None where it was refused and ended."""
        request = Request(scope)
        subprotocol = _chosen(scope["subprotocols"])
        dialect = DIALECTS[SUBPROTOCOLS.get(subprotocol or "", JSON)]
        greeting = _Greeting(request, dialect, subprotocol, receive, send)
        try:
            if subprotocol is None and scope["subprotocols"]:
                raise Refused(Code.BAD_VERSION)
            self._hub.admit()
            identity, last = await self._identified(greeting)
            wire = WebSocketWire(send, scope, is_text=dialect.name == JSON)
            connection = Connection(identity, wire, dialect, self._hub.limits, since=datetime.now(UTC))
            connection.resume_after(last)
            self._hub.attach(connection)
        except Refused as refused:
            metrics.CONNECTS.labels(refused.code.reason).inc()
            await greeting.refuse(refused)
            return None
        try:
            await greeting.accept()
        except OSError:
            # Gone while it was looked up who they are.
            self._hub.detach(connection)
            raise
        return connection

    async def _identified(self, greeting: _Greeting) -> tuple[Identity, str]:
        """Who is there, and where they say that they stand. Raises `Refused`."""
        request = greeting.request
        if self._credentials.has_any(request, websocket=True) or greeting.dialect.name == PROTOBUF:
            identity = await self._credentials.identify(request, websocket=True)
            return identity, request.query.get("last", "") or request.query.get("last_event_id", "")
        if "cookie" in request.headers:
            # Somebody else's page, with our cookies.
            raise Refused(Code.FORBIDDEN)
        await greeting.accept()
        frame = await greeting.first_frame(self._hub.limits.auth_s)
        return await self._credentials.of_ticket(frame.ticket, frame.device), frame.last

    async def _converse(self, connection: Connection, receive: Receive) -> None:
        is_text = connection.dialect.name == JSON
        while (message := await receive())["type"] != "websocket.disconnect":
            text, data = message.get("text"), message.get("bytes")
            if connection.closing is not None:
                continue
            if message["type"] == PONG:
                self._conversation.hear_pong(connection, data or b"")
            elif text is not None and is_text:
                await self._conversation.hear_text(connection, text)
            elif data is not None and not is_text:
                self._conversation.hear_bytes(connection, data)
            else:
                self._hub.close(connection, Code.BAD_REQUEST)


class _Greeting:
    """The time before a WebSocket is accepted, or shows who it is."""

    def __init__(
        self, request: Request, dialect: Dialect, subprotocol: str | None, receive: Receive, send: Send
    ) -> None:
        self.request, self.dialect = request, dialect
        self._subprotocol, self._receive, self._send = subprotocol, receive, send
        self._is_accepted = False

    async def accept(self) -> None:
        if not self._is_accepted:
            self._is_accepted = True
            await self._send({"type": "websocket.accept", "subprotocol": self._subprotocol})

    async def first_frame(self, within_s: float) -> client_frames.ClientFrame:
        """The frame `auth`. Raises `Refused`."""
        try:
            async with asyncio.timeout(within_s):
                message = await self._receive()
            frame = client_frames.read(message.get("text") or "")
        except (TimeoutError, BadFrame):
            raise Refused(Code.FORBIDDEN) from None
        if frame.t != "auth":
            raise Refused(Code.FORBIDDEN)
        return frame

    async def refuse(self, refused: Refused) -> None:
        """By a close code where the client can read one; what can never do, and binary clients, by a status of HTTP."""
        code = refused.code
        if not self._is_accepted and (code.final or self.dialect.name == PROTOBUF):
            status = status_of(code) if code is not Code.KICKED else status_of(Code.FORBIDDEN)
            headers = [(b"content-type", b"application/problem+json"), *retry_after(refused)]
            await self._send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            body = data_of({**problem_of(refused), "status": status})
            await self._send({"type": "websocket.http.response.body", "body": body})
            return
        await self.accept()
        bye = self.dialect.write(
            bye_word(code, refused.retry_ms or 2_000), again=0, message_id=None, at=datetime.now(UTC)
        )
        await self._send({"type": "websocket.send", "text": bye.decode()})
        await self._send({"type": "websocket.close", "code": int(code), "reason": code.reason})


def _chosen(offered: Sequence[str]) -> str | None:
    """The first sub-protocol that is known here."""
    return next((name for name in offered if name in SUBPROTOCOLS), None)
