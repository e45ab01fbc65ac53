"""The account of a case: what became of everything it told, in the words of `--json`. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from project.demo.ledger import Ledger
from project.outside.journal import Received

#: Everything accepted before the end of a fault has moved on so soon after it.
RECOVERS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One case. Counts are of notifications; `duplicates` and `in_flight` are of deliveries.

    `in_flight` is how many deliveries could at most be between the far end's answer and our writing of
    it when the fault struck. `recovered_s` is the time from the end of the fault until everything accepted
    before it had moved on and something accepted after it had arrived.
    """

    case: str
    accepted: int = 0
    delivered: int = 0
    dead: int = 0
    suppressed: int = 0
    cancelled: int = 0
    waiting: int = 0
    lost: int = 0
    duplicates: int = 0
    in_flight: int = 0
    recovered_s: float = 0.0
    #: How long the whole case took.
    seconds: float = 0.0
    #: Why there is no account, or what else went wrong; "" when nothing did.
    trouble: str = ""
    #: The folder that was kept to be looked at, of a case that broke a promise.
    left: str = ""
    #: Which of several runs it was of, from 1 on, and the seed with which it can be played alone; 0: there is one.
    run: int = 0
    seed: int = 0

    @property
    def balances(self) -> bool:
        """Whether every accepted notification is in exactly one state."""
        return self.accepted == sum(
            (self.delivered, self.dead, self.suppressed, self.cancelled, self.waiting, self.lost)
        )

    @property
    def broken_promises(self) -> list[str]:
        """What was promised and is not so, in sentences."""
        findings = [
            (bool(self.trouble), self.trouble),
            (self.accepted == 0, "nothing was accepted"),
            (self.lost > 0, f"{self.lost} lost"),
            (self.waiting > 0, f"{self.waiting} still wait"),
            (not self.balances, "the account does not balance"),
            (self.duplicates > self.in_flight, f"{self.duplicates} came twice, {self.in_flight} were in flight"),
            (self.recovered_s > RECOVERS_WITHIN_S, f"recovered after {self.recovered_s:.1f} s only"),
        ]
        return [sentence for is_so, sentence in findings if is_so]

    def as_json(self) -> dict[str, Any]:
        """The account as `--json` prints it."""
        plain = asdict(self)
        left_out = {name for name in ("trouble", "left") if not plain[name]} | (set() if self.run else {"run", "seed"})
        return {name: value for name, value in plain.items() if name not in left_out}

    @classmethod
    def from_json(cls, line: str) -> Account:
        """The account that was written as a line of JSON."""
        return cls(**json.loads(line))


def seen_of(accepted: Collection[str], lines: Iterable[Received]) -> dict[str, int]:
    """How often the far ends took each delivery of these notifications, by idempotency id."""
    ours = {UUID(name).hex for name in accepted}
    taken = Counter((line.idempotency_id, line.place) for line in lines if line.accepted and line.idempotency_id)
    seen: Counter[str] = Counter()
    for (name, _place), times in taken.items():
        if name.split("_")[1:2] and name.split("_")[1] in ours:
            seen[name] += times
    return dict(seen)


def account_of(case: str, ledger: Ledger, *, in_flight: int, recovered_s: float, trouble: str = "") -> Account:
    """The account of a case, from its ledger."""
    names = ("accepted", "delivered", "dead", "suppressed", "cancelled", "waiting", "lost", "duplicates")
    return Account(
        case=case,
        **{name: getattr(ledger, name) for name in names},
        in_flight=in_flight,
        recovered_s=round(recovered_s, 2),
        seconds=ledger.seconds,
        trouble=trouble,
    )
