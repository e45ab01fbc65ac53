"""What a producer sends: the fields of a notification before it is accepted, checked by type and bound.

Decoded by msgspec, so that checking a thousand of them costs about a millisecond; `problems` then
says in words what types cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from channels_app.feed.item import EVERYONE, MAX_RECIPIENT
from channels_app.feed.recipient import BadRecipient, spelled
from notifications import priority

MAX_TITLE_CHARS = 500
MAX_BODY_CHARS = 20_000
MAX_DATA_BYTES = 64 * 1024
MAX_RECIPIENTS = 1000
#: Rows in one request.
MAX_BULK = 1000

#: What the name of a type looks like. `$` alone would let a line feed stand at the end.
EVENT_TYPE = r"^[A-Za-z0-9][A-Za-z0-9 _.:\-]{0,99}$(?!\n)"

Text = Annotated[str, Meta(max_length=MAX_BODY_CHARS)]
Recipient = Annotated[str, Meta(min_length=1, max_length=MAX_RECIPIENT)]
Moment = Annotated[datetime, Meta(tz=True)]


class Draft(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One notification as a producer sends it."""

    event_type: Annotated[str, Meta(pattern=EVENT_TYPE)]
    priority: int | str | None = None
    title: Annotated[str, Meta(max_length=MAX_TITLE_CHARS)] = ""
    body: Text = ""
    data: dict[str, Any] = {}
    streamer: Annotated[str, Meta(max_length=100)] | None = None
    recipients: Annotated[list[Recipient], Meta(max_length=MAX_RECIPIENTS)] = []
    scheduled_at: Moment | None = None
    expires_at: Moment | None = None
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType | None = UNSET


class Bulk(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Up to a thousand at once; accepted all or none."""

    notifications: Annotated[list[Draft], Meta(min_length=1, max_length=MAX_BULK)]


def problems(draft: Draft, now: datetime) -> Iterator[tuple[str, str]]:
    """What is wrong with a well-typed draft, as (field, sentence)."""
    if draft.priority is not None:
        try:
            priority.parse(draft.priority)
        except priority.NotAPriority as error:
            yield "priority", str(error)
    yield from _problems_of_times(draft.scheduled_at, draft.expires_at, now)
    for name in ("title", "body", "event_type", "streamer", "idempotency_key"):
        if "\0" in (getattr(draft, name) or ""):
            yield name, "The character NUL cannot be stored."
    if draft.recipients:
        yield from _problems_of_recipients(draft.recipients)


def _problems_of_recipients(recipients: list[str]) -> Iterator[tuple[str, str]]:
    if recipients == [EVERYONE]:
        return
    for place, recipient in enumerate(recipients):
        try:
            spelled(recipient)
        except BadRecipient as error:
            yield f"recipients[{place}]", str(error)


def _problems_of_times(
    scheduled_at: datetime | None, expires_at: datetime | None, now: datetime
) -> Iterator[tuple[str, str]]:
    for name, moment in (("scheduled_at", scheduled_at), ("expires_at", expires_at)):
        if moment is not None and not 1 < moment.year < 9999:
            # In UTC it could lie in a year that PostgreSQL knows and Python does not: nobody could read the row.
            yield name, "Its year is not one from 2 to 9998."
    if expires_at is not None and expires_at <= now:
        yield "expires_at", "It lies in the past."
    if expires_at is not None and scheduled_at is not None and expires_at <= scheduled_at:
        yield "expires_at", "It lies before scheduled_at, so that it could never be told."
