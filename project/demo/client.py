"""A producer's side of the API, as any recorder would write it: `requests`, a key, and patience."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import requests

#: A producer that gets no answer asks again with the same idempotency key, so long.
PATIENCE_S = 30.0
_PAUSE_S = 0.25
_TIMEOUT_S = 15.0
#: Rows of a page; the most that the API gives.
_PAGE = 200


class Refused(Exception):
    """The API answered that it will not; the text holds what it said."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:2000]}")
        self.status = answer.status_code


class Client:
    """One connection to one Belfry. Methods raise `Refused` or, after all patience, `requests.RequestException`."""

    def __init__(self, url: str, key: str) -> None:
        self._api = f"{url}/api/v1"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    # What is configured.

    def ensure(self, collection: str, wish: Mapping[str, Any]) -> None:
        """Make the thing with this `key`, or change the one that is there."""
        try:
            self._ask("GET", f"{collection}/{wish['key']}")
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            self._ask("POST", collection, json=wish)
        else:
            self._ask("PATCH", f"{collection}/{wish['key']}", json=wish)

    def ensure_policy(self, wish: Mapping[str, Any]) -> None:
        """Make the policy of this scope. One that is there already is the operator's, and stays."""
        scope = {name: wish[name] for name in ("scope", "platform", "streamer") if name in wish}
        if not any(self._pages("policies", scope)):
            self._ask("POST", "policies", json=wish)

    # What is told.

    def tell(self, notification: Mapping[str, Any]) -> str:
        """Tell one thing; its id."""
        body = dict(notification)
        headers = {"Idempotency-Key": body.pop("idempotency_key")}
        return cast("str", self._ask("POST", "notifications", json=body, headers=headers)["id"])

    def tell_all(self, notifications: Sequence[Mapping[str, Any]]) -> list[str]:
        """Tell many things in one request; their ids, in order."""
        answer = self._ask("POST", "notifications/bulk", json={"notifications": list(notifications)})
        return [item["id"] for item in answer["notifications"]]

    def withdraw(self, notification_id: str) -> None:
        """Take one thing back."""
        self._ask("POST", f"notifications/{notification_id}/withdraw")

    # What became of it.

    def notifications(self, **query: str) -> Iterator[dict[str, Any]]:
        """All notifications that fit, newest first."""
        return self._pages("notifications", query)

    def deliveries(self) -> Iterator[dict[str, Any]]:
        """All deliveries, newest first."""
        return self._pages("deliveries", {})

    def dead_letters(self) -> Iterator[dict[str, Any]]:
        """All dead letters."""
        return self._pages("dead-letters", {})

    def replay(self, dead_letter_id: int | str) -> None:
        """Send a dead letter on its way again."""
        self._ask("POST", f"dead-letters/{dead_letter_id}/replay")

    def _pages(self, collection: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        page = self._ask("GET", collection, params={"limit": str(_PAGE), **query})
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self._ask("GET", page["next"])

    def _ask(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        """Ask until there is an answer that is not the server's own trouble."""
        url = path if path.startswith("http") else f"{self._api}/{path}"
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._session.request(method, url, timeout=_TIMEOUT_S, **how)
                if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or time.monotonic() > deadline:
                    break
            except requests.ConnectionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE_S)
        if not answer.ok:
            raise Refused(answer)
        return cast("dict[str, Any]", answer.json()) if answer.content else {}
