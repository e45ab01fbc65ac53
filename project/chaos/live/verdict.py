"""The verdict on a case: what each client has, laid beside the rows of the database. Pure.

Every change of every feed is in one of these:

delivered   each client of the feed was told of it, and has what it left behind
superseded  some client was never told of it, because a later change of the same item had made it pointless
waiting     it is told to everybody, and not written into this feed yet
lost        some client lacks it or has something else, or the database lacks what it had confirmed
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from project.chaos.live.replica import Item, Replica

DELIVERED, SUPERSEDED, LOST = "delivered", "superseded", "lost"
_WORST_FIRST = (LOST, SUPERSEDED, DELIVERED)


@dataclass(frozen=True, slots=True)
class Row:
    """An item in the database. `shows`: the fields that clients see, None of one that was deleted."""

    id: str
    changed_seq: int
    shows: Item | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed in the database, after everything. `unmerged`: what is told to everybody and not written into it."""

    recipient: str
    last_seq: int
    unread: int
    rows: Sequence[Row]
    unmerged: int = 0


@dataclass(frozen=True, slots=True)
class Lack:
    """A change that a client should have, and why it has not."""

    client: str
    recipient: str
    number: int
    why: str


@dataclass(slots=True)
class Verdict:
    """Counts are of changes; `repeated` and `announced` of how often one was told again."""

    accepted: int = 0
    delivered: int = 0
    superseded: int = 0
    waiting: int = 0
    lost: int = 0
    repeated: int = 0
    announced: int = 0
    lacks: list[Lack] = field(default_factory=list)
    #: What else is wrong with clients, and of how many that is so.
    oddities: Counter[str] = field(default_factory=Counter)

    @property
    def trouble(self) -> str:
        """The oddities, in a line."""
        return ", ".join(f"{clients} clients {what}" for what, clients in sorted(self.oddities.items()))


def verdict_on(feeds: Iterable[Feed], replicas: Iterable[Replica], confirmed: Mapping[str, int]) -> Verdict:
    """`confirmed`: for each recipient the highest number that its writer was told to be committed."""
    clients: dict[str, list[Replica]] = {}
    for replica in replicas:
        clients.setdefault(replica.recipient, []).append(replica)
    verdict = Verdict()
    found = set()
    for feed in feeds:
        found.add(feed.recipient)
        _judge(verdict, feed, clients.get(feed.recipient, []), confirmed.get(feed.recipient, 0))
    for recipient in confirmed.keys() - found:
        _miss(verdict, recipient, confirmed[recipient])
    return verdict


def _judge(verdict: Verdict, feed: Feed, replicas: Sequence[Replica], confirmed: int) -> None:
    newest = {row.changed_seq: row for row in feed.rows}
    told = [(replica, frozenset(replica.applied)) for replica in replicas]
    counts = Counter(_worst(verdict, number, newest.get(number), told) for number in range(1, feed.last_seq + 1))
    verdict.accepted += feed.last_seq + feed.unmerged
    verdict.delivered += counts[DELIVERED]
    verdict.superseded += counts[SUPERSEDED]
    verdict.lost += counts[LOST]
    verdict.waiting += feed.unmerged
    if confirmed > feed.last_seq:
        _miss(verdict, feed.recipient, confirmed - feed.last_seq)
    for replica in replicas:
        verdict.repeated += replica.repeated
        verdict.announced += replica.announced
        verdict.oddities.update(_oddities(feed, replica))


def _miss(verdict: Verdict, recipient: str, number: int) -> None:
    """The database has forgotten what it had confirmed."""
    verdict.accepted += number
    verdict.lost += number
    verdict.lacks.append(Lack("the database", recipient, number, "has fewer changes than it had confirmed"))


def _worst(verdict: Verdict, number: int, row: Row | None, told: Iterable[tuple[Replica, frozenset[int]]]) -> str:
    """What became of a change, of all clients with the one that fared worst. `row`: where it is an item's latest."""
    fates = {DELIVERED}
    for replica, numbers in told:
        if row is None:
            fates.add(DELIVERED if number in numbers else SUPERSEDED)
            continue
        why = _what_is_wrong(replica, numbers, row)
        if why:
            fates.add(LOST)
            verdict.lacks.append(Lack(replica.name, replica.recipient, number, why))
    return next(fate for fate in _WORST_FIRST if fate in fates)


def _what_is_wrong(replica: Replica, numbers: frozenset[int], row: Row) -> str:
    """What is wrong with a client's copy of an item; "" when nothing is."""
    if row.changed_seq not in numbers:
        return "was never told of it"
    item = replica.items.get(row.id)
    if row.shows is None:
        return "keeps an item that is gone" if item is not None else ""
    if item is None:
        return "does not have the item"
    differing = [name for name, value in row.shows.items() if name not in item or item[name] != value]
    return f"has another {', '.join(differing)}" if differing else ""


def _oddities(feed: Feed, replica: Replica) -> Iterable[str]:
    if replica.late:
        yield "were told something too late"
    if replica.resets:
        yield "had to begin anew"
    if replica.unread != feed.unread:
        yield "show another number of unread items"
    if replica.items.keys() - {row.id for row in feed.rows}:
        yield "have items that are in no row"
    if any(later <= earlier for earlier, later in zip(replica.applied, replica.applied[1:], strict=False)):
        yield "took changes in another order"
