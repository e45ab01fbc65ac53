"""The load: producers who tell things at a steady rate, one by one and in bulk, whatever happens.

A producer that gets no answer, or hears of trouble on Belfry's side, asks again with the same
idempotency key; what was answered with 2xx is accepted, and Belfry has promised to account for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from random import Random
from typing import Any

import requests

from project.chaos.stage import BY_MAIL, EVERYWHERE, TO_THE_BROKEN

#: So long a producer asks again.
PATIENCE_S = 90.0
_PAUSE_S = 0.2
_TIMEOUT_S = 10.0
#: Of a hundred notifications so many come in bulk, so many in each request.
_BULK_SHARE, _BULK_SIZE = 0.5, 20

Draft = dict[str, Any]


def drafts(name: str, random: Random) -> Iterator[Draft]:
    """Things to tell, without end: of all priorities, some for later, some soon stale."""
    number = 0
    while True:
        number += 1
        draft: Draft = {
            "event_type": "stream_online",
            "priority": random.choice(("normal", "normal", "high", "critical")),
            "title": f"{name} {number}",
            "data": {"streamer_name": "Chaos", "number": number},
            "streamer": random.choices((EVERYWHERE, BY_MAIL, TO_THE_BROKEN), (0.8, 0.1, 0.1))[0],
            "idempotency_key": f"{name}-{number}",
        }
        fate = random.random()
        if fate < 0.05:
            draft["priority"] = "low"  # Below what the policy lets through.
        elif fate < 0.10:
            draft["scheduled_at"] = _soon(0.5 + random.random())
        elif fate < 0.13:
            draft["expires_at"] = _soon(2.0)
        yield draft


def _soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@dataclass(slots=True)
class Told:
    """What producers were answered."""

    #: Ids that were answered with 2xx.
    accepted: set[str] = field(default_factory=set)
    #: Drafts that Belfry refused (4xx): they had expired by the time they came through.
    refused: int = 0
    #: Drafts that found no answer in all patience.
    unanswered: int = 0
    #: The slowest answer, tries and all, in seconds.
    slowest_s: float = 0.0


class Load:
    """Two producers on threads of their own, from `start` to `stop`. `rate` is notifications a second."""

    def __init__(self, url: str, key: str, *, name: str, rate: float, seed: str) -> None:
        self._api = f"{url}/api/v1"
        self._key = key
        self.told = Told()
        self._over = threading.Event()
        self._lock = threading.Lock()
        singles, bulks = (drafts(f"{name}-{kind}", Random(f"{seed} {kind}")) for kind in ("single", "bulk"))
        withdrawals = Random(f"{seed} withdrawals")
        self._threads = [
            threading.Thread(
                target=self._produce, args=(rate * (1 - _BULK_SHARE), self._one_by_one(singles, withdrawals))
            ),
            threading.Thread(target=self._produce, args=(rate * _BULK_SHARE / _BULK_SIZE, self._in_bulk(bulks))),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Tell nothing new from now on."""
        self._over.set()

    def wait(self) -> None:
        """Until the last answers are in."""
        for thread in self._threads:
            thread.join()

    def _produce(self, per_s: float, tell: Callable[[requests.Session], None]) -> None:
        """So many a second on average: after an outage it catches up, as a producer with a queue would."""
        began, done = time.monotonic(), 0
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {self._key}"
            while not self._over.is_set():
                if done > (time.monotonic() - began) * per_s:
                    self._over.wait(1 / per_s)
                    continue
                tell(session)
                done += 1

    def _one_by_one(self, source: Iterator[Draft], withdrawals: Random) -> Callable[[requests.Session], None]:
        def tell(session: requests.Session) -> None:
            draft = next(source)
            key = draft.pop("idempotency_key")
            answer = self._ask(session, "notifications", draft, {"Idempotency-Key": key})
            self._note(answer, 1)
            if answer is not None and answer.ok and withdrawals.random() < 0.03:
                self._ask(session, f"notifications/{answer.json()['id']}/withdraw", {}, {})

        return tell

    def _in_bulk(self, source: Iterator[Draft]) -> Callable[[requests.Session], None]:
        def tell(session: requests.Session) -> None:
            together = [next(source) for _ in range(_BULK_SIZE)]
            for draft in together:  # All or none: one that has gone stale would take the others with it.
                draft.pop("expires_at", None)
            self._note(self._ask(session, "notifications/bulk", {"notifications": together}, {}), len(together))

        return tell

    def _note(self, answer: requests.Response | None, size: int) -> None:
        with self._lock:
            if answer is None:
                self.told.unanswered += size
            elif answer.ok:
                body = answer.json()
                self.told.accepted.update(item["id"] for item in body.get("notifications", [body]))
            else:
                self.told.refused += size

    def _ask(
        self, session: requests.Session, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> requests.Response | None:
        """The answer that counts: 2xx or 4xx. None when there was none."""
        began = time.monotonic()
        try:
            while time.monotonic() - began < PATIENCE_S:
                try:
                    answer = session.post(f"{self._api}/{path}", json=body, headers=dict(headers), timeout=_TIMEOUT_S)
                    if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                        return answer
                except requests.RequestException:
                    pass  # Nobody there, or no answer in time: it may have been accepted all the same.
                time.sleep(_PAUSE_S)
            return None
        finally:
            self.told.slowest_s = max(self.told.slowest_s, time.monotonic() - began)
