"""The world's control room over HTTP, for those who watch it from another process.

| request | body or query | answer |
|---|---|---|
| `GET /__seen` | `place`, `after` (line number), `bodies` (1 or 0) | `{"lines": [...], "next": n}` |
| `GET /__counts` | `place` | `{"places": {...}, "duplicates": {...}}` |
| `POST /__open` | `{"kind": "webhook", "name", "secret", "behaviour"}` | `{"url"}` |
| `POST /__open` | `{"kind": "discord", "name", "limit": [5, 2.0]}` | `{"url"}` |
| `POST /__behave` | `{"place", "behaviour"}` or `{"reject": [addresses]}` | `{}` |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from project.outside.discord import Limit
from project.outside.http_server import Answer, Request

if TYPE_CHECKING:
    from project.outside.world import World


class Control:
    """Answers for the world it belongs to."""

    def __init__(self, world: World) -> None:
        self._world = world

    def seen(self, request: Request) -> Answer:
        """What reached a place."""
        query = dict(parse_qsl(request.query))
        until = len(self._world.journal)
        lines = self._world.journal.seen(query.get("place", ""), after=int(query.get("after", "0")))
        with_body = query.get("bodies", "1") == "1"
        return _json(200, {"lines": [line.as_json(with_body=with_body) for line in lines], "next": until})

    def counts(self, request: Request) -> Answer:
        """How many each place took, and what came twice."""
        places = {place: asdict(count) for place, count in self._world.counts().items()}
        place = dict(parse_qsl(request.query)).get("place", "")
        return _json(200, {"places": places, "duplicates": self._world.duplicates(place)})

    def open(self, request: Request) -> Answer:
        """Make a place."""
        try:
            wish = json.loads(request.body)
            if wish["kind"] == "discord":
                limit = Limit(*wish["limit"]) if "limit" in wish else None
                url = self._world.discord_url(wish["name"], limit=limit)
            else:
                behaviour = wish.get("behaviour", "sink")
                url = self._world.webhook_url(wish["secret"], name=wish["name"], behaviour=behaviour)
        except (ValueError, KeyError, TypeError) as error:
            return _json(400, {"error": repr(error)})
        return _json(200, {"url": url})

    def behave(self, request: Request) -> Answer:
        """Change how a place behaves."""
        try:
            wish = json.loads(request.body)
            if "reject" in wish:
                self._world.mail.reject(*wish["reject"])
            else:
                self._world.behave(wish["place"], wish["behaviour"])
        except (ValueError, KeyError, TypeError) as error:
            return _json(400, {"error": repr(error)})
        return _json(200, {})


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
