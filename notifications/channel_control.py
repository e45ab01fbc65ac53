"""A channel by hand: its breaker tripped and reset, a pause begun and ended, brought back into service.

What waited for the thing that ends goes on its way at once, spread over a few seconds. Breakers and
pauses are in Redis: where that does not answer, what is asked here raises `volatile.Away`, and
nothing was changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import transaction

from channels_app.base import Config
from channels_app.breaker import Look, State, default_breakers
from channels_app.models import Channel
from channels_app.outcomes import MAX_RETRY_AFTER_S
from channels_app.ratelimit import Limit, default_limits
from channels_app.registry import UnknownKind
from channels_app.secrets import NoSecretKeys, SecretUnreadable
from channels_app.volatile import Away
from notifications import gates, quarantine
from notifications.models import transitions
from notifications.rulebook import ChannelInUse

#: What was held back comes on its way within this time.
SPREAD_S = 5.0

#: A pause by hand is no longer than one that a far end may ask for. To stop a channel for good, switch it off.
LONGEST_PAUSE_S = MAX_RETRY_AFTER_S

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a channel stands at its gates. `paused_until` is None where nothing pauses it."""

    breaker: Look
    paused_until: datetime | None

    @property
    def is_known(self) -> bool:
        """False while Redis is away: everything passes then."""
        return self.breaker.state is not State.UNKNOWN


def look(channel: Channel, now: datetime) -> Standing:
    """How it stands. Never raises: see `Standing.is_known`."""
    breaker = default_breakers().look_many([(channel.pk, ChannelInUse(channel).breaker_settings)])[channel.pk]
    paused_for_s = default_limits().paused_for([channel.pk]).get(channel.pk)
    return Standing(breaker, now + timedelta(seconds=paused_for_s) if paused_for_s else None)


def trip(channel: Channel, *, by: str) -> None:
    """Open its breaker until somebody resets it: nothing is sent, everything waits. Raises `Away`."""
    default_breakers().trip(channel.pk)
    _log.warning("breaker_tripped", channel=channel.key, by=by)


def reset(channel: Channel, *, by: str, now: datetime) -> int:
    """Close its breaker and forget its failures. Returns how many deliveries follow. Raises `Away`."""
    default_breakers().reset(channel.pk)
    released = _release(channel, gates.BREAKER, now)
    _log.info("breaker_reset", channel=channel.key, by=by, released=released)
    return released


def pause(channel: Channel, seconds: float, *, by: str) -> None:
    """Send nothing for so long, at most `LONGEST_PAUSE_S`; a longer pause stays. Raises `Away`."""
    default_limits().hold(channel.pk, seconds)
    _log.warning("channel_paused", channel=channel.key, seconds=seconds, by=by)


def resume(channel: Channel, *, by: str, now: datetime) -> int:
    """End a pause, whoever began it. Returns how many deliveries follow. Raises `Away`."""
    default_limits().resume(channel.pk)
    released = _release(channel, gates.PAUSE, now)
    _log.info("channel_resumed", channel=channel.key, by=by, released=released)
    return released


def restore(channel: Channel, *, by: str, now: datetime) -> bool:
    """End its quarantine, and believe that it works: the breaker is reset too. False when it was in service."""
    if not quarantine.restore(channel, by=by, now=now):
        return False
    try:
        reset(channel, by=by, now=now)
    except Away:
        _log.info("breaker_not_reset", channel=channel.key)  # Without Redis everything passes.
    return True


def change_settings(channel: Channel, save: Callable[[], object], *, by: str, now: datetime) -> bool:
    """Save a channel by `save`; where that gives it new settings, its quarantine ends. True when it did.

    Where it gives it another rate limit, what was told its turn follows that, once it is committed.
    `channel` is the row as it stands in the database, and `by` the person who changes it.
    """
    before = Channel.objects.get(pk=channel.pk)
    old, old_limit = _settings_of(before), ChannelInUse(before).limit
    save()
    after = Channel.objects.get(pk=channel.pk)
    if old_limit is not None and old_limit != ChannelInUse(after).limit:
        transaction.on_commit(partial(_move_turns, after, old_limit, by, now))
    if after.quarantined_at is None or (old is not None and old == _settings_of(after)):
        return False
    return restore(after, by=f"a change of its settings by {by}", now=now)


def _settings_of(channel: Channel) -> Config | None:
    """What it is sent with; None where nobody can read that."""
    try:
        return channel.typed_config()
    except (NoSecretKeys, SecretUnreadable, UnknownKind, ValueError):
        return None


def _move_turns(channel: Channel, old: Limit, by: str, now: datetime) -> None:
    """Bring what was told its turn by the old limit under the new one: in the same order, at the new pace.

    Released, all of it would be claimed and told new turns. Its bucket counts turns and not time, so it stays true.
    """
    new = ChannelInUse(channel).limit
    if new is None:
        default_limits().forget(channel.pk)
        _log.info("limit_lifted", channel=channel.key, by=by, released=_release(channel, gates.LIMIT, now))
    elif new.rate_per_s != old.rate_per_s:
        moved = transitions.stretch(channel.pk, code=gates.LIMIT, by=old.rate_per_s / new.rate_per_s, now=now)
        _log.info("limit_changed", channel=channel.key, by=by, rate_per_s=new.rate_per_s, moved=moved)


def _release(channel: Channel, code: str, now: datetime) -> int:
    return transitions.release(channel.pk, code=code, now=now, spread_s=SPREAD_S)
