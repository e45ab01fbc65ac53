"""Who hears of a notification: the rules, as pure functions.

Policies are set for three scopes, global, platform and streamer, and the narrower wins field by
field: a streamer's policy that names a minimum priority and nothing else changes that alone.
`resolve` lays the scopes over each other and remembers which one each value came from,
`select` says which channels are meant at all, and `decide` answers for one notification and one
channel: SEND, DEFER until a time, or SUPPRESS, always with a reason that a person can read.

The rules stand in `RULES` in the order in which they are asked; the first that answers decides.

Pure: facts in, decision out. No Django, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from notifications import priority

T = TypeVar("T")


class Scope(StrEnum):
    """For whom a policy is set. Later members are narrower and win."""

    DEFAULT = "default"
    GLOBAL = "global"
    PLATFORM = "platform"
    STREAMER = "streamer"


class Verb(StrEnum):
    """What is to happen with one notification on one channel."""

    SEND = "send"
    DEFER = "defer"
    SUPPRESS = "suppress"


@dataclass(frozen=True, slots=True)
class Decision:
    """`verb` with its reason: `code` for machines, `text` for people, `until` where it waits.

    `scope` names the policy that decided, or is None where no policy did.
    """

    verb: Verb
    code: str
    text: str
    until: datetime | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one policy sets. None: this policy says nothing of it, a wider one does."""

    enabled: bool | None = None
    min_priority: int | None = None
    #: Patterns with `*` and `?`; an event type is wanted when one of them matches.
    event_types: tuple[str, ...] | None = None
    #: Ids of the channels that are told; nobody else is.
    channel_ids: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value in force, and the scope it came from."""

    value: T
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The policy in force for one streamer: every field has a value and a source."""

    enabled: Setting[bool | None] = Setting(True, Scope.DEFAULT)
    min_priority: Setting[int | None] = Setting(priority.LOWEST, Scope.DEFAULT)
    event_types: Setting[tuple[str, ...] | None] = Setting(("*",), Scope.DEFAULT)
    #: None: every shared channel, and those that the streamer owns.
    channel_ids: Setting[frozenset[int] | None] = Setting(None, Scope.DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the rules need to know of a channel. `owner_key` is the owning streamer's, "" if shared."""

    id: int
    enabled: bool = True
    owner_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules need to know of a notification."""

    event_type: str
    priority: int
    streamer_key: str = ""
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One question: this notification, on this channel, under this policy, now."""

    facts: Facts
    policy: Effective
    channel: Candidate
    now: datetime


def resolve(layers: Iterable[tuple[Scope, Rules]]) -> Effective:
    """Lay policies over each other, widest first; each field is taken from the narrowest that sets it."""
    found: dict[str, Setting[object]] = {}
    for scope, rules in layers:
        for field in fields(Rules):
            value = getattr(rules, field.name)
            if value is not None:
                found[field.name] = Setting(value, scope)
    return Effective(**found)  # type: ignore[arg-type]


def select(policy: Effective, candidates: Iterable[Candidate], *, streamer_key: str) -> list[Candidate]:
    """The channels that a streamer's notifications are meant for. A streamer's own never tell of another."""
    wanted = policy.channel_ids.value
    return [
        channel
        for channel in candidates
        if channel.owner_key in ("", streamer_key) and (wanted is None or channel.id in wanted)
    ]


def decide(facts: Facts, policy: Effective, channel: Candidate, now: datetime) -> Decision:
    """What happens with this notification on this channel at `now`, and why."""
    case = Case(facts, policy, channel, now)
    for rule in RULES:
        decision = rule(case)
        if decision is not None:
            return decision
    return Decision(Verb.SEND, "wanted", "Nothing speaks against it.")


def _expired(case: Case) -> Decision | None:
    if case.facts.expires_at is None or case.facts.expires_at > case.now:
        return None
    return Decision(Verb.SUPPRESS, "expired", f"It expired at {case.facts.expires_at:%Y-%m-%d %H:%M:%S %Z}.")


def _channel_off(case: Case) -> Decision | None:
    if case.channel.enabled:
        return None
    return Decision(Verb.SUPPRESS, "channel_disabled", "The channel is switched off.")


def _policy_off(case: Case) -> Decision | None:
    if case.policy.enabled.value:
        return None
    scope = case.policy.enabled.scope
    return Decision(Verb.SUPPRESS, "policy_disabled", f"The {scope} policy is switched off.", scope=scope)


def _type_unwanted(case: Case) -> Decision | None:
    patterns, scope = case.policy.event_types.value or (), case.policy.event_types.scope
    if matches(case.facts.event_type, patterns):
        return None
    text = f"The {scope} policy wants {', '.join(patterns) or 'no event type'}, not {case.facts.event_type}."
    return Decision(Verb.SUPPRESS, "event_type", text, scope=scope)


def _priority_too_low(case: Case) -> Decision | None:
    least, scope = case.policy.min_priority.value or priority.LOWEST, case.policy.min_priority.scope
    if case.facts.priority >= least:
        return None
    text = (
        f"Priority {case.facts.priority} ({priority.label(case.facts.priority)}) is below {least} "
        f"({priority.label(least)}), the least that the {scope} policy lets through."
    )
    return Decision(Verb.SUPPRESS, "min_priority", text, scope=scope)


def _not_yet(case: Case) -> Decision | None:
    if case.facts.scheduled_at is None or case.facts.scheduled_at <= case.now:
        return None
    text = f"It is scheduled for {case.facts.scheduled_at:%Y-%m-%d %H:%M:%S %Z}."
    return Decision(Verb.DEFER, "scheduled_at", text, until=case.facts.scheduled_at)


Rule = Callable[[Case], Decision | None]

#: In the order in which they are asked. What ends a notification comes before what delays it.
RULES: tuple[Rule, ...] = (_expired, _channel_off, _policy_off, _type_unwanted, _priority_too_low, _not_yet)


def matches(event_type: str, patterns: Sequence[str]) -> bool:
    """Whether one of `patterns` (`*` any run of characters, `?` any one) fits the event type."""
    return any(fnmatchcase(event_type, pattern) for pattern in patterns)
