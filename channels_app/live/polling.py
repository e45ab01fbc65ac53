"""The long poll: what changed after a cursor, as soon as there is something, for clients that can hold no stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from channels_app.live.answers import Headers, answer, refuse
from channels_app.live.codes import Code, Refused
from channels_app.live.credentials import Credentials
from channels_app.live.event import NOWHERE, Caught, cursor_of, place_at
from channels_app.live.hub import Hub
from channels_app.live.origin import allowed_to_read
from channels_app.live.outbox import CATCH_UP_ITEMS
from channels_app.live.request import Receive, Request, Send
from channels_app.live.writing import Store, StoreAway

Look = Callable[[], Awaitable[Caught]]

#: The longest wait for something new, in seconds.
LONGEST_WAIT_S = 25.0


async def serve(
    hub: Hub, store: Store, credentials: Credentials, request: Request, receive: Receive, send: Send
) -> None:
    """Answer `GET /rt/changes?after=&wait=&limit=`, in the form of the API's own `changes`."""
    headers = allowed_to_read(request.origin, trusted=credentials.trusted)
    try:
        # Before a ticket is used up.
        wait_s, limit = _number(request, "wait", LONGEST_WAIT_S), int(_number(request, "limit", CATCH_UP_ITEMS))
        place = _place(request.query.get("after", ""))
        hub.admit()
        identity = await credentials.identify(request, websocket=False)
        look = partial(store.changes, identity.recipient, place, limit or CATCH_UP_ITEMS)
        # Whoever has no cursor is told one at once.
        waits = wait_s and place != NOWHERE
        caught = await (_changes(hub, identity.recipient, place, look, receive, wait_s) if waits else look())
    except Refused as refused:
        await refuse(send, refused, headers)
    except StoreAway:
        await refuse(send, Refused(Code.SERVER_ERROR), headers)
    else:
        await _answer(send, caught, headers)


async def _changes(hub: Hub, recipient: str, place: int, look: Look, receive: Receive, wait_s: float) -> Caught:
    # First listen, then look: what comes in between is not missed.
    with hub.expecting(recipient) as expected:
        caught = await look()
        if caught.place != place or caught.reset:
            return caught
        gone = asyncio.ensure_future(_gone(receive))
        await asyncio.wait((expected, gone), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            return caught
        gone.cancel()
    # A hint may be lost: after the wait, too, the feed is looked at.
    return await look()


async def _gone(receive: Receive) -> None:
    """Until whoever asked is there no more."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, caught: Caught, headers: Headers) -> None:
    body: dict[str, Any] = {
        "items": [msgspec.Raw(event.body) for event in caught.events],
        "cursor": cursor_of(caught.place),
        "state": caught.state,
        "reset": caught.reset,
        "more": caught.place < caught.head,
    }
    await answer(send, 200, body, headers)


def _number(request: Request, name: str, most: float) -> float:
    """Raises `Refused`."""
    try:
        number = float(request.query.get(name) or 0)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise Refused(Code.BAD_REQUEST, detail=f"{name}: Use a number from 0 to {most:g}.")
    return number


def _place(cursor: str) -> int:
    """Raises `Refused`."""
    try:
        return place_at(cursor) if cursor else NOWHERE
    except ValueError as error:
        raise Refused(Code.BAD_REQUEST, detail=f"after: {error}") from None
