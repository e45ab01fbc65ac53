"""Policies and channels as routing and dispatch use them: in memory, and true.

Read once and kept until `RulesVersion` says that something changed; the check is one small query,
made once a batch. Secrets are opened at the first use of a channel and live as long as the book.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

from django.conf import settings

from channels_app import registry
from channels_app.base import Config
from channels_app.breaker import BreakerSettings
from channels_app.models import Channel
from channels_app.ratelimit import Limit
from channels_app.registry import AnyTransport
from notifications import lanes
from notifications.models import Policy, RulesVersion
from notifications.policy import Candidate, Effective, Rules, Scope, resolve


class ChannelInUse:
    """A channel with what it takes to send: its row, its transport, its opened settings."""

    def __init__(self, row: Channel, before: ChannelInUse | None = None) -> None:
        """`before` is the same channel of older rules: what was opened there is not opened again."""
        self.row = row
        self.id: int = row.pk
        if before is not None and _sealed(before.row) == _sealed(row) and "config" in before.__dict__:
            self.config = before.config

    @cached_property
    def transport(self) -> AnyTransport:
        """Raises `registry.UnknownKind` when the transport was uninstalled."""
        return registry.get(self.row.kind)

    @cached_property
    def lane_group(self) -> str:
        """Which lanes carry it. Where the transport was uninstalled it waits with the others in those of HTTP."""
        try:
            return self.transport.lane
        except registry.UnknownKind:
            return lanes.HTTP

    @cached_property
    def retries_unknown(self) -> bool:
        """Whether a try whose end nobody knows is made again; so it is where the transport was uninstalled."""
        try:
            return self.transport.retries_unknown
        except registry.UnknownKind:
            return True

    @cached_property
    def config(self) -> Config:
        """Raises `secrets.SecretUnreadable` when its key is not on the key ring."""
        return self.row.typed_config()

    @cached_property
    def timeout_s(self) -> float:
        """How long one try may take."""
        return float(self.row.timeout_s or settings.BELFRY_HTTP_TIMEOUT_S)

    @cached_property
    def transient_codes(self) -> frozenset[int]:
        """Answers that refuse for good elsewhere, and are tried again here."""
        return frozenset(self.row.transient_codes)

    @cached_property
    def breaker_settings(self) -> BreakerSettings:
        """When its breaker opens and for how long: the row's own values, else the usual ones."""
        row, usual = self.row, BreakerSettings()
        cooldown_s = row.breaker_cooldown_s or usual.cooldown_s
        return BreakerSettings(
            consecutive_failures=row.breaker_consecutive_failures or usual.consecutive_failures,
            failure_rate=row.breaker_failure_rate or usual.failure_rate,
            min_calls=row.breaker_min_calls or usual.min_calls,
            window_s=row.breaker_window_s or usual.window_s,
            cooldown_s=cooldown_s,
            longest_cooldown_s=max(cooldown_s, usual.longest_cooldown_s),
            probe_s=max(usual.probe_s, 2 * self.timeout_s),
        )

    @cached_property
    def limit(self) -> Limit | None:
        """How fast it may be sent to, where it says so."""
        rate_per_s = self.row.rate_per_s
        if not rate_per_s:
            return None
        return Limit(rate_per_s, float(self.row.rate_burst or max(1.0, rate_per_s)))

    @cached_property
    def candidate(self) -> Candidate:
        return Candidate(id=self.id, enabled=self.row.enabled, owner_key=self.row.owner_key)


def _sealed(row: Channel) -> tuple[object, ...]:
    """All that its settings are made of."""
    return row.kind, row.config, row.secrets


@dataclass
class Rulebook:
    """One consistent state of the rules."""

    version: int | None
    channels: dict[int, ChannelInUse]
    global_rules: Rules | None
    platform_rules: dict[str, Rules]
    streamer_rules: dict[str, Rules]
    _effective: dict[tuple[str, str], Effective] = field(default_factory=dict)

    @cached_property
    def at_most_once(self) -> list[int]:
        """Channels to which nothing is sent again while nobody knows whether it arrived."""
        return [pk for pk, channel in self.channels.items() if not channel.retries_unknown]

    def effective(self, *, streamer_key: str, platform: str) -> Effective:
        """The policy in force for a streamer ("" for notifications about nobody)."""
        key = (streamer_key, platform)
        found = self._effective.get(key)
        if found is None:
            found = self._effective[key] = resolve(self._layers(streamer_key, platform))
        return found

    def _layers(self, streamer_key: str, platform: str) -> list[tuple[Scope, Rules]]:
        layers = (
            (Scope.GLOBAL, self.global_rules),
            (Scope.PLATFORM, self.platform_rules.get(platform) if platform else None),
            (Scope.STREAMER, self.streamer_rules.get(streamer_key) if streamer_key else None),
        )
        return [(scope, rules) for scope, rules in layers if rules is not None]


def current() -> Rulebook:
    """The rules as they stand now. One query when nothing changed."""
    return at(RulesVersion.current())


def kept() -> Rulebook:
    """The rules as they were last read: for those who just worked by them."""
    return _kept.book or current()


def at(version: int | None) -> Rulebook:
    """The rules of a version that was just read. No query when nothing changed."""
    book = _kept.book
    if _is_true(book, version):
        return book
    with _lock:
        book = _kept.book
        if not _is_true(book, version):  # No other thread has read them meanwhile.
            book = _kept.book = _read(book)
        return book


def _is_true(book: Rulebook | None, version: int | None) -> TypeGuard[Rulebook]:
    return book is not None and version is not None and book.version == version


def _read(before: Rulebook | None) -> Rulebook:
    # The version is read before the rows: a change in between is seen again at the next check.
    version, known = RulesVersion.current(), before.channels if before else {}
    policies = list(Policy.objects.select_related("streamer").prefetch_related("channels"))
    return Rulebook(
        version=version,
        channels={row.pk: ChannelInUse(row, known.get(row.pk)) for row in Channel.objects.current()},
        global_rules=next((policy.rules() for policy in policies if policy.scope == Scope.GLOBAL), None),
        platform_rules={policy.platform: policy.rules() for policy in policies if policy.scope == Scope.PLATFORM},
        streamer_rules={policy.streamer.key: policy.rules() for policy in policies if policy.streamer is not None},
    )


@dataclass(slots=True)
class _Kept:
    """The one book of this process."""

    book: Rulebook | None = None


_kept = _Kept()
_lock = threading.Lock()
