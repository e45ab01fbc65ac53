"""The ledger: what became of each accepted notification, by Belfry's word and by the world's.

Two witnesses who know nothing of each other are laid side by side: Belfry's API says which state
every delivery is in, and the outside world says which idempotency ids it accepted. Pure: facts in,
ledger out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: States of a delivery that something still moves out of.
OPEN_STATES = frozenset({"pending", "scheduled", "sending", "retrying"})
#: Where a notification with several deliveries is counted: in the first of these that one of them is in.
PRECEDENCE = ("waiting", "dead", "delivered", "cancelled", "suppressed")


@dataclass(frozen=True, slots=True)
class DeliveryFact:
    """One delivery, as the API tells of it."""

    idempotency_id: str
    channel: str
    kind: str
    state: str
    attempts: int = 0

    @property
    def account(self) -> str:
        """Where it is counted: its state, where all open ones are `waiting`."""
        return "waiting" if self.state in OPEN_STATES else self.state


@dataclass(frozen=True, slots=True)
class NotificationFact:
    """One notification, as the API tells of it. `state` speaks where there are no deliveries."""

    id: str
    state: str
    deliveries: tuple[DeliveryFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The account of a run. Counts are of notifications where the name does not say otherwise.

    Every accepted notification is in exactly one of delivered, suppressed, cancelled, dead, waiting
    and lost. `duplicates` counts what the world accepted beyond the first time, `unclaimed` what it
    accepted although Belfry does not call it delivered.
    """

    accepted: int
    delivered: int = 0
    suppressed: int = 0
    cancelled: int = 0
    dead: int = 0
    waiting: int = 0
    lost: int = 0
    #: Notifications of which some delivery took more than one attempt.
    retried: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    #: The same words counted for deliveries, and `seen_outside`, `unclaimed`.
    deliveries: Mapping[str, int] = field(default_factory=dict)
    #: Kind of channel → key of channel → the same words.
    channels: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    #: Ids of what is lost: of notifications without a state, of deliveries the world never saw.
    lost_ids: tuple[str, ...] = ()

    @property
    def balances(self) -> bool:
        """Whether every accepted notification is in exactly one account."""
        parts = (self.delivered, self.suppressed, self.cancelled, self.dead, self.waiting, self.lost)
        return self.accepted == sum(parts)

    def as_json(self) -> dict[str, Any]:
        """The ledger as `--json` prints it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def draw_up(
    accepted: Collection[str],
    known: Iterable[NotificationFact],
    seen: Mapping[str, int],
    *,
    seconds: float = 0.0,
) -> Ledger:
    """The ledger of a run.

    `accepted` are the ids that the API answered with, `known` what it says of them afterwards,
    `seen` how often the outside world accepted each idempotency id.
    """
    facts = {fact.id: fact for fact in known if fact.id in set(accepted)}
    deliveries = [delivery for fact in facts.values() for delivery in fact.deliveries]
    unseen = {d.idempotency_id for d in deliveries if d.state == "delivered" and not seen.get(d.idempotency_id)}
    accounts = {name: _account(facts.get(name), unseen) for name in set(accepted)}
    tally = Counter(accounts.values())
    stateless = {name for name, account in accounts.items() if account == "lost"} - {
        fact.id for fact in facts.values() if any(d.idempotency_id in unseen for d in fact.deliveries)
    }
    return Ledger(
        accepted=len(accounts),
        **{account: tally[account] for account in (*PRECEDENCE, "lost")},
        retried=sum(any(d.attempts > 1 for d in fact.deliveries) for fact in facts.values()),
        duplicates=sum(times - 1 for times in seen.values() if times > 1),
        seconds=round(seconds, 2),
        deliveries=_count(deliveries, seen),
        channels=_by_channel(deliveries, seen),
        lost_ids=tuple(sorted(stateless | unseen)),
    )


def _account(fact: NotificationFact | None, unseen: Collection[str]) -> str:
    if fact is None:
        return "lost"
    if any(delivery.idempotency_id in unseen for delivery in fact.deliveries):
        return "lost"
    accounts = {delivery.account for delivery in fact.deliveries} or {fact.state}
    return next((account for account in PRECEDENCE if account in accounts), "lost")


def _count(deliveries: Collection[DeliveryFact], seen: Mapping[str, int]) -> dict[str, int]:
    tally = Counter(delivery.account for delivery in deliveries)
    reached = [delivery for delivery in deliveries if seen.get(delivery.idempotency_id)]
    return {account: tally[account] for account in PRECEDENCE} | {
        "retried": sum(delivery.attempts > 1 for delivery in deliveries),
        "lost": sum(d.state == "delivered" and not seen.get(d.idempotency_id) for d in deliveries),
        "duplicates": sum(seen[delivery.idempotency_id] - 1 for delivery in reached),
        "seen_outside": len(reached),
        "unclaimed": sum(delivery.state != "delivered" for delivery in reached),
    }


def _by_channel(deliveries: Iterable[DeliveryFact], seen: Mapping[str, int]) -> dict[str, dict[str, dict[str, int]]]:
    groups: dict[str, dict[str, list[DeliveryFact]]] = {}
    for delivery in deliveries:
        groups.setdefault(delivery.kind, {}).setdefault(delivery.channel, []).append(delivery)
    return {
        kind: {channel: _count(group, seen) for channel, group in sorted(channels.items())}
        for kind, channels in sorted(groups.items())
    }
