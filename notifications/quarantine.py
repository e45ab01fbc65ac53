"""Channels out of service: with evidence, told to their owner, probed, and brought back by themselves.

A destination that says it has ended (`gone`), or one that has failed for five days, or only asked us
to slow down for so long, is not tried with every notification any more. What is meant for it waits,
and nothing is deleted or dropped. One delivery at a time finds out, with growing pauses, whether it
works again; the first that arrives brings the channel back, and what waited follows.

When many channels of one kind fail together the provider is down, and no single channel is blamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction

from channels_app.breaker import Change, State, default_breakers
from channels_app.models import Channel
from channels_app.outcomes import Outcome, Verdict
from notifications import intake
from notifications.draft import Draft
from notifications.held import Tried
from notifications.models import Streamer, transitions
from notifications.priority import Priority
from notifications.rulebook import ChannelInUse, Rulebook
from notifications.throttling import Throttling

#: Reason code of what waits for a quarantined channel.
CODE = "quarantined"

#: A channel that has not worked for so long is taken out of service: five days, as others do.
LONG_FAILURE = timedelta(hours=120)

#: From one probe to the next: a minute, doubling, at most six hours.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 6 * 3600.0

#: Other channels of the kind that must fail too, and their share, before it is the provider's failure.
PROVIDER_CHANNELS, PROVIDER_SHARE = 3, 0.5

#: What waited comes back spread over this time.
RELEASE_SPREAD_S = 10.0

#: What this worker has seen of channels that only ask us to slow down.
_throttling = Throttling()

_log = structlog.get_logger(__name__)


def learn(tried: Iterable[Tried], changes: Mapping[int, Change], book: Rulebook, now: datetime) -> None:
    """Draw the consequences of what was seen: impose, probe on, or restore. Touches the database only then."""
    alive, ended, put_off = _seen(tried)
    for channel in alive.values():
        _throttling.forget(channel.id)
        if channel.row.quarantined_at is not None:
            restore(channel.row, by="a probe that arrived", now=now)
    for channel, verdict in ended.values():
        if channel.row.quarantined_at is None:
            impose(channel, f"The far end says that it has ended: {verdict.code} {verdict.detail}", now)
    _note_working(alive, changes, book)
    for channel_id, change in changes.items():
        if change.after is State.OPEN:
            _failed_on(book.channels.get(channel_id), book, now, worked=channel_id in alive)
    for channel_id in put_off.keys() - alive.keys():
        _put_off_on(book.channels.get(channel_id), put_off[channel_id], book, now)


def _seen(
    tried: Iterable[Tried],
) -> tuple[dict[int, ChannelInUse], dict[int, tuple[ChannelInUse, Verdict]], dict[int, Verdict]]:
    """By channel: who gave a sign of life, who says that he has ended, and who asked us to slow down."""
    alive: dict[int, ChannelInUse] = {}
    ended: dict[int, tuple[ChannelInUse, Verdict]] = {}
    put_off: dict[int, Verdict] = {}
    for one in tried:
        channel, verdict = one.held.channel, one.verdict
        if is_sign_of_life(verdict):
            alive[channel.id] = channel
        elif verdict.outcome is Outcome.GONE:
            ended[channel.id] = channel, verdict
        elif verdict.outcome is Outcome.RATE_LIMITED:
            put_off[channel.id] = verdict
    return alive, ended, put_off


def impose(channel: ChannelInUse, evidence: str, now: datetime) -> None:
    """Take a channel out of service and tell its owner elsewhere. Doing it twice changes nothing.

    Both or neither: who is killed in between leaves it to the next who sees the same.
    """
    probe_at = now + timedelta(seconds=FIRST_PAUSE_S)
    with transaction.atomic():
        owner = _owner(channel.row)
        if not Channel.objects.quarantine(channel.id, reason=evidence, now=now, probe_at=probe_at):
            return
        text = f"{evidence} What is meant for it waits; it is tried again from time to time and comes back by itself."
        _tell(channel.row, owner, event_type="channel_quarantined", what="is out of service", text=text, now=now)
    _log.warning("channel_quarantined", channel=channel.row.key, evidence=evidence)


def restore(row: Channel, *, by: str, now: datetime) -> bool:
    """Bring a channel back, with what waited for it, and tell its owner: all of it or nothing.

    False when it was in service.
    """
    with transaction.atomic():
        owner = _owner(row)
        if not Channel.objects.restore(row.pk):
            return False
        waited = transitions.release(row.pk, code=CODE, now=now, spread_s=RELEASE_SPREAD_S)
        text = f"Brought back by {by}; {waited} deliveries follow."
        _tell(row, owner, event_type="channel_restored", what="is back in service", text=text, now=now)
    _log.info("channel_restored", channel=row.key, by=by, waited=waited)
    return True


def is_sign_of_life(verdict: Verdict) -> bool:
    """Whether somebody out there answered for himself: took it, or refused this one message in words of his own.

    Without a number of the far end's nobody was asked: it could not be built, or its address is blocked.
    """
    return verdict.outcome is Outcome.OK or (verdict.outcome is Outcome.PERMANENT and verdict.code > 0)


def take_probe(channel: ChannelInUse, now: datetime) -> bool:
    """Whether this caller may send one delivery to a quarantined channel, to find out."""
    row = channel.row
    if row.probe_at is None or row.probe_at > now:
        return False
    next_at = now + timedelta(seconds=pause_s(row.probes + 1))
    taken = Channel.objects.take_probe(channel.id, now=now, next_at=next_at)
    # Probes leave the rules as they are: nobody reads all of them anew for when the next one is.
    row.refresh_from_db(fields=["probe_at", "probes"])
    return taken


def wait(channel: ChannelInUse, now: datetime) -> tuple[datetime, str]:
    """Until when what is meant for a quarantined channel waits, and why."""
    next_probe = channel.row.probe_at or now
    until = max(next_probe, now + timedelta(seconds=RELEASE_SPREAD_S))
    return until, f"The channel is out of service. {channel.row.quarantine_reason}"


def pause_s(probes: int) -> float:
    """How long to wait after so many probes."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(probes, 20))


def let_go(delivery_ids: Sequence[int], now: datetime) -> None:
    """Of these, just put to wait: those whose channel came back in that moment follow with the others.

    Whoever restores releases what he sees waiting, and whoever puts to wait looks here afterwards: one of
    the two comes second, and sees what the other did.
    """
    if delivery_ids:
        transitions.release_restored(delivery_ids, code=CODE, now=now, spread_s=RELEASE_SPREAD_S)


def _note_working(alive: Iterable[int], changes: Mapping[int, Change], book: Rulebook) -> None:
    """Forget since when channels fail. Breakers do not say it all: Redis may have forgotten one that was open."""
    known_to_fail = {pk for pk in alive if pk in book.channels and book.channels[pk].row.failing_since_at is not None}
    closed = {pk for pk, change in changes.items() if change.after is State.CLOSED}
    for channel_id in known_to_fail | closed:
        Channel.objects.note_working(channel_id)


def _failed_on(channel: ChannelInUse | None, book: Rulebook, now: datetime, *, worked: bool) -> None:
    if channel is None or channel.row.quarantined_at is not None:
        return
    since = None if worked else channel.row.failing_since_at
    if since is None:
        Channel.objects.note_failing(channel.id, now)
    elif now - since >= LONG_FAILURE and not _provider_is_down(channel, book, now):
        impose(channel, f"It has not worked since {since:%Y-%m-%d %H:%M} UTC.", now)


def _put_off_on(channel: ChannelInUse | None, verdict: Verdict, book: Rulebook, now: datetime) -> None:
    """It took nothing and asked us to slow down: usual for a while, and a failure when it goes on."""
    if channel is None or channel.row.quarantined_at is not None:
        return
    _throttling.note(channel.id, now)
    seen_since, since = _throttling.since(channel.id, now), channel.row.failing_since_at
    if seen_since is None:
        return
    if since is None:
        Channel.objects.note_failing(channel.id, seen_since)
    elif now - since >= LONG_FAILURE and not _provider_is_down(channel, book, now):
        said = f"{verdict.code or ''} {verdict.detail}".strip()
        evidence = f"It has taken nothing since {since:%Y-%m-%d %H:%M} UTC and asks us to slow down: {said}"
        impose(channel, evidence, now)


def _provider_is_down(channel: ChannelInUse, book: Rulebook, now: datetime) -> bool:
    others = [
        other
        for other in book.channels.values()
        if other.row.kind == channel.row.kind and other.id != channel.id and other.row.quarantined_at is None
    ]
    looks = default_breakers().look_many([(other.id, other.breaker_settings) for other in others])
    failing = sum(
        looks[other.id].state in (State.OPEN, State.HALF_OPEN) or _throttling.since(other.id, now) is not None
        for other in others
    )
    return failing >= PROVIDER_CHANNELS and failing >= PROVIDER_SHARE * len(others)


def _owner(row: Channel) -> Streamer | None:
    """Whose channel it is; he stays until the transaction ends.

    Asked before the channel is touched: who deletes him takes him first, too, and then what he shares with channels.
    """
    if not row.owner_key:
        return None
    return Streamer.objects.select_for_update(no_key=True).filter(key=row.owner_key).first()


def _tell(row: Channel, owner: Streamer | None, *, event_type: str, what: str, text: str, now: datetime) -> None:
    """Through Belfry itself: policies decide who hears of it, the channel in question waits like all others.

    What is refused is logged: that nobody could be told must not stop what he would have been told of.
    """
    draft = Draft(
        event_type=event_type,
        priority=int(Priority.HIGH),
        title=f"{row.name} {what}",
        body=text,
        data={"channel": row.key, "kind": row.kind},
        streamer=owner.key if owner else None,
    )
    try:
        with transaction.atomic():
            intake.accept([draft], producer=None, now=now)
    except (intake.Refused, IntegrityError) as refusal:
        _log.warning("owner_not_told", channel=row.key, event_type=event_type, error=type(refusal).__name__)
