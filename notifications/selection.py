"""Which dead letters are meant, as a value: for API, admin, command, and for a job that goes on tomorrow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from channels_app.models import Channel
from channels_app.outcomes import Outcome
from notifications.models.dead_letter import DeadLetterQuerySet

#: Letters that can be named one by one.
MOST_NAMED = 10_000

#: PostgreSQL keeps every character but this one.
NO_NUL = r"^[^\x00]*$"

_Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=NO_NUL)]
_Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
_Moment = Annotated[datetime, Meta(tz=True)]


class Selection(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Those that fit every field that is given. Channel and streamer by their keys; `since` ≤ buried < `until`.

    Moments become UTC. Raises `ValueError` for one whose offset leads out of the calendar.
    """

    ids: Annotated[list[_Id], Meta(min_length=1, max_length=MOST_NAMED)] | None = None
    channel: _Text | None = None
    fingerprint: _Text | None = None
    outcome: Outcome | None = None
    streamer: _Text | None = None
    event_type: _Text | None = None
    since: _Moment | None = None
    until: _Moment | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            moment: datetime | None = getattr(self, name)
            if moment is not None:
                setattr(self, name, _in_utc(moment, name))

    @property
    def is_empty(self) -> bool:
        """Whether it names nothing, and so means everything: that is hardly ever meant."""
        return not self._given()

    def of(self, rows: DeadLetterQuerySet) -> DeadLetterQuerySet:
        """Those of `rows` that are meant, decided on or not."""
        return rows.filter(**{_LOOKUPS[name]: value for name, value in self._given().items()})

    def stored(self) -> dict[str, Any]:
        """As JSON has it; `restored` reads it."""
        return dict(msgspec.to_builtins(Narrowed(**self._given())))

    def words(self) -> Iterator[tuple[str, str]]:
        """For people: what is asked for, by name."""
        for name, value in self._given().items():
            yield name.replace("_", " ").removesuffix(" id"), _shown(name, value)

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.words()) or "all"

    def _given(self) -> dict[str, Any]:
        values = {name: getattr(self, name, None) for name in _LOOKUPS}
        return {name: value for name, value in values.items() if value is not None}


class Narrowed(Selection, kw_only=True, omit_defaults=True):
    """With the channel by its row: one that was deleted may have a successor under the same key."""

    channel_id: _Id | None = None


def restored(stored: Any) -> Narrowed:
    """What `Selection.stored` wrote. Raises `msgspec.ValidationError`."""
    return msgspec.convert(stored, Narrowed)


_LOOKUPS = {
    "ids": "pk__in",
    "channel": "channel__key",
    "channel_id": "channel",
    "fingerprint": "fingerprint",
    "outcome": "outcome",
    "streamer": "delivery__notification__streamer__key",
    "event_type": "delivery__notification__event_type",
    "since": "buried_at__gte",
    "until": "buried_at__lt",
}


def _shown(name: str, value: Any) -> str:
    if name == "ids":
        return ", ".join(map(str, value)) if len(value) <= 5 else f"{len(value):,} of them"
    if name == "channel_id":
        return str(Channel.objects.filter(pk=value).first() or value)
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value)


def _in_utc(moment: datetime, name: str) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"The field `{name}` lies outside of the calendar") from None
