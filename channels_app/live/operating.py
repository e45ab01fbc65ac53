"""What operators ask the live process: who is there, sending somebody away, how it is, what it has counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from channels_app.feed import hints
from channels_app.feed.recipient import BadRecipient, spelled
from channels_app.live.answers import answer, refuse, wrong_method
from channels_app.live.codes import Code, Refused
from channels_app.live.credentials import Credentials
from channels_app.live.hub import Hub
from channels_app.live.network import DOWN, PARTS
from channels_app.live.presence import Presence
from channels_app.live.request import Request, Send
from channels_app.live.threads import Threads
from channels_app.volatile import Away

#: Recipients of one question.
_MOST_ASKED = 1_000


class Operating:
    """Endpoints that need an operator's token, and `/rt/health`, which needs none."""

    def __init__(self, hub: Hub, credentials: Credentials, presence: Presence, threads: Threads) -> None:
        self._hub, self._credentials, self._presence, self._threads = hub, credentials, presence, threads

    async def health(self, request: Request, send: Send) -> None:
        """`GET /rt/health`: 503 while it takes no connections."""
        network = self._hub.network
        parts = {part: "away" if network.is_away(part) else "ok" for part in PARTS}
        status = "draining" if self._hub.draining else network.status
        is_of_use = status not in ("draining", DOWN)
        await answer(send, 200 if is_of_use else 503, {"status": status, **parts, "connections": self._hub.count})

    async def presence(self, request: Request, send: Send) -> None:
        """`GET /rt/presence?users=a,b`: the live connections of each who has any."""
        asked = [_spelled(name) for name in request.query.get("users", "").split(",") if name]
        is_well_formed = 0 < len(asked) <= _MOST_ASKED and all(asked)
        wanted = f"users: name 1 to {_MOST_ASKED} recipients, with commas between them."
        if await self._may(request, send, "GET", is_well_formed=is_well_formed, wanted=wanted):
            await self._answer_seats(asked, send)

    async def connections(self, request: Request, send: Send) -> None:
        """`DELETE /rt/connections?user=&device=`: send them away, wherever they are connected."""
        recipient, device = _spelled(request.query.get("user", "")), request.query.get("device", "")
        if not await self._may(
            request, send, "DELETE", is_well_formed=bool(recipient), wanted="user: name a recipient."
        ):
            return
        if await self._threads.run(hints.kick, recipient, device):
            await answer(send, 204)
        else:
            await refuse(send, Refused(Code.SERVER_ERROR))

    async def metrics(self, request: Request, send: Send) -> None:
        """`GET /rt/metrics`, for Prometheus."""
        if await self._may(request, send, "GET"):
            content = generate_latest()
            headers = [(b"content-type", CONTENT_TYPE_LATEST.encode()), (b"content-length", b"%d" % len(content))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    async def _may(
        self, request: Request, send: Send, method: str, *, is_well_formed: bool = True, wanted: str = ""
    ) -> bool:
        """Whether to go on; otherwise it has been answered. `wanted` says what would be well formed."""
        if request.method != method:
            await wrong_method(send, method)
            return False
        try:
            if not await self._credentials.is_operator(request):
                raise Refused(Code.FORBIDDEN, detail="Show an operator's API key for all streamers as bearer.")
            if not is_well_formed:
                raise Refused(Code.BAD_REQUEST, detail=wanted)
        except Refused as refused:
            await refuse(send, refused)
            return False
        return True

    async def _answer_seats(self, asked: list[str], send: Send) -> None:
        try:
            found = await self._threads.run(self._presence.seats, asked)
        except Away:
            await refuse(send, Refused(Code.SERVER_ERROR))
            return
        online: Mapping[str, Any] = {who: [asdict(seat) for seat in seats] for who, seats in found.items()}
        await answer(send, 200, {"online": online})


def _spelled(name: str) -> str:
    """A recipient's key as feeds have it; nothing for what is none."""
    try:
        return spelled(name)
    except BadRecipient:
        return ""
