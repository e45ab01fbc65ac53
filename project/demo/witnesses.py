"""Those who are asked what became of everything: Belfry's API on one side, the outside world on the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any
from uuid import UUID

from project.demo.client import Client
from project.demo.ledger import DeliveryFact, NotificationFact
from project.outside import World
from project.outside.journal import IDEMPOTENCY_ID, accepted_ids

#: How a line of the transport `server_log` begins.
LOG_MARK = "[Notification]"


def word_of_belfry(client: Client, *, since: datetime) -> list[NotificationFact]:
    """What the API says of everything that it accepted since then."""
    deliveries: dict[str, list[DeliveryFact]] = {}
    for item in takewhile(lambda item: datetime.fromisoformat(item["created_at"]) >= since, client.deliveries()):
        deliveries.setdefault(item["notification"], []).append(_delivery(item))
    return [
        NotificationFact(found["id"], found["state"], tuple(deliveries.get(found["id"], ())))
        for found in client.notifications(accepted_after=since.isoformat())
    ]


def _delivery(item: Mapping[str, Any]) -> DeliveryFact:
    return DeliveryFact(
        # Made from the two ids and not read from the answer: it is what the world must have seen.
        idempotency_id=f"msg_{UUID(item['notification']).hex}_{item['id']}",
        channel=item["channel"],
        kind=item["kind"],
        state=item["state"],
        attempts=item["attempts"],
    )


class Witness:
    """The outside world, and the log file that `server_log` writes into, from now on."""

    def __init__(self, world: World, log: Path) -> None:
        self._world = world
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0

    def seen(self) -> Counter[str]:
        """How often each idempotency id was accepted."""
        return accepted_ids(self._world.seen()) + self._logged()

    def _logged(self) -> Counter[str]:
        if not self._log.exists():
            return Counter()
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode("utf-8", "replace").splitlines()
        found = (IDEMPOTENCY_ID.search(line) for line in lines if line.startswith(LOG_MARK))
        return Counter(match.group() for match in found if match)
