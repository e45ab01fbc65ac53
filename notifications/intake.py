"""Accepting notifications: check, write in one transaction, answer after COMMIT, ring for routing.

The same idempotency key gets the same answer, also after it expired; another notification under it is a conflict.
Nothing is published in the caller's way and nothing depends on Redis or the broker: with both away,
acceptance is as durable and as quick, and only the delivery waits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import connection, transaction
from msgspec import Struct
from uuid_utils.compat import uuid7

from channels_app.feed.item import EVERYONE
from channels_app.feed.recipient import spelled
from notifications import catalogue, priority
from notifications.draft import MAX_DATA_BYTES, Draft, problems
from notifications.group_commit import GroupCommit
from notifications.models import ApiKey, acceptance
from notifications.models.acceptance import NewNotification
from notifications.models.streamer import Streamer
from notifications.wake import ROUTE, wake


class Refused(Exception):
    """Nothing was accepted. `problems` says why, as (path of the field, sentence)."""

    def __init__(self, found: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {text}" for path, text in found))
        self.problems = tuple(found)


class IdempotencyConflict(Exception):
    """Another notification was accepted under this idempotency key before. Nothing was accepted now."""

    def __init__(self, key: str, path: str) -> None:
        super().__init__(f"Another notification was accepted under the idempotency key {key!r} before.")
        self.key, self.path = key, path


class Accepted(Struct, frozen=True, gc=False):
    """The answer for one notification. `repeated`: it stands since an earlier request."""

    id: UUID
    event_type: str
    accepted_at: datetime
    repeated: bool = False


def accept(drafts: Sequence[Draft], *, producer: ApiKey | None, now: datetime, bulk: bool = False) -> list[Accepted]:
    """Accept all of `drafts` or none; durable when it returns. One answer each, in order.

    Raises `Refused` (paths begin with `notifications[3].` in bulk) and `IdempotencyConflict`.
    """
    paths = [f"notifications[{place}]." if bulk else "" for place in range(len(drafts))]
    streamer_ids = _streamer_ids(drafts)
    wrong = {
        place: here
        for place, draft in enumerate(drafts)
        if (here := [*problems(draft, now), *_scope_problems(draft, producer, streamer_ids)])
    }
    # What was accepted once is answered as it was then, also when it has expired or lost its streamer since.
    answers = _repeated({place: drafts[place] for place in wrong}, producer) if wrong else {}
    found = [
        (paths[place] + field, text) for place, here in wrong.items() if place not in answers for field, text in here
    ]
    new = [] if found else [place for place in range(len(drafts)) if place not in answers]
    rows = [_row(drafts[place], producer, streamer_ids) for place in new]
    found += [
        (f"{paths[place]}data", text) for place, row in zip(new, rows, strict=True) if (text := _data_problem(row.data))
    ]
    if found:
        raise Refused(found)
    answers |= zip(new, _store(rows, [paths[place] for place in new], now), strict=True)
    return [answers[place] for place in range(len(drafts))]


def _repeated(drafts: Mapping[int, Draft], producer: ApiKey | None) -> dict[int, Accepted]:
    """The answers to those of `drafts` that stand, word for word, under their idempotency keys."""
    producer_id = producer.pk if producer else None
    keys = {
        place: str(draft.idempotency_key)
        for place, draft in drafts.items()
        if draft.idempotency_key and "\0" not in draft.idempotency_key
    }
    standing = acceptance.standing([(producer_id, key) for key in set(keys.values())]) if keys else {}
    return {
        place: Accepted(old.id, catalogue.canonical(drafts[place].event_type), old.accepted_at, repeated=True)
        for place, key in keys.items()
        if (old := standing.get((producer_id, key))) and bytes(old.digest) == _digest(drafts[place])
    }


class _ForgottenMeanwhile(Exception):
    """What stood under an idempotency key was pruned between two looks at it: what repeats it is new."""


def _store(rows: Sequence[NewNotification], paths: Sequence[str], now: datetime) -> list[Accepted]:
    while rows:
        with suppress(_ForgottenMeanwhile):
            return _store_once(rows, paths, now)
    return []


def _store_once(rows: Sequence[NewNotification], paths: Sequence[str], now: datetime) -> list[Accepted]:
    if len(rows) == 1 and not connection.in_atomic_block:
        return [_store_with_others(rows[0], paths[0], now)]
    with transaction.atomic():
        answers = _store_together(rows, paths, now)
        transaction.on_commit(lambda: wake(ROUTE))
    return answers


def _store_with_others(row: NewNotification, path: str, now: datetime) -> Accepted:
    accepted_at = _group.store(row, now)
    if accepted_at is None:
        return _standing([row], [path])[0]
    wake(ROUTE)
    return Accepted(row.id, row.event_type, accepted_at)


#: NUL as JSON writes it. A backslash that is itself escaped begins no escape.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def _data_problem(data: str) -> str:
    if len(data.encode()) > MAX_DATA_BYTES:
        return f"It is larger than {MAX_DATA_BYTES} bytes of JSON."
    return "The character NUL cannot be stored." if "\\u0000" in data and _NUL.search(data) else ""


def _store_together(rows: Sequence[NewNotification], paths: Sequence[str], now: datetime) -> list[Accepted]:
    taken = acceptance.store(rows, now=now)
    answers = {row.id: Accepted(row.id, row.event_type, now) for row in rows}
    if taken:
        repeated = [(row, path) for row, path in zip(rows, paths, strict=True) if row.id in taken]
        old = _standing([row for row, _ in repeated], [path for _, path in repeated])
        answers |= {row.id: answer for (row, _), answer in zip(repeated, old, strict=True)}
    return list(answers.values())


def _standing(rows: Sequence[NewNotification], paths: Sequence[str]) -> list[Accepted]:
    """What was answered before under the idempotency keys of `rows`.

    Raises `IdempotencyConflict` and `_ForgottenMeanwhile`.
    """
    standing = acceptance.standing([(row.producer_id, row.idempotency_key or "") for row in rows])
    answers = []
    for row, path in zip(rows, paths, strict=True):
        old = standing.get((row.producer_id, row.idempotency_key or ""))
        if old is None:
            raise _ForgottenMeanwhile
        if bytes(old.digest) != row.digest:
            raise IdempotencyConflict(row.idempotency_key or "", f"{path}idempotency_key")
        answers.append(Accepted(old.id, row.event_type, old.accepted_at, repeated=True))
    return answers


def _row(draft: Draft, producer: ApiKey | None, streamer_ids: dict[str, int]) -> NewNotification:
    event_type = catalogue.canonical(draft.event_type)
    key = draft.idempotency_key or None
    urgency = catalogue.usual_priority(event_type, draft.data) if draft.priority is None else draft.priority
    return NewNotification(
        id=uuid7(),
        event_type=event_type,
        priority=priority.parse(urgency),
        title=draft.title,
        body=draft.body,
        data=_encode(draft.data).decode(),
        streamer_id=_streamer_id(draft, producer, streamer_ids),
        recipients=_spelled(draft.recipients) if draft.recipients else [],
        scheduled_at=draft.scheduled_at,
        expires_at=draft.expires_at,
        producer_id=producer.pk if producer else None,
        idempotency_key=str(key) if key else None,
        digest=_digest(draft) if key else None,
    )


def _spelled(recipients: Sequence[str]) -> list[str]:
    """Each once, as everywhere."""
    return list(dict.fromkeys(who if who == EVERYONE else spelled(who) for who in recipients))


def _digest(draft: Draft) -> bytes:
    return hashlib.sha256(_encode_sorted(draft)).digest()


def _streamer_ids(drafts: Sequence[Draft]) -> dict[str, int]:
    keys = {draft.streamer for draft in drafts if draft.streamer and "\0" not in draft.streamer}
    return dict(Streamer.objects.filter(key__in=keys).values_list("key", "id")) if keys else {}


def _scope_problems(draft: Draft, producer: ApiKey | None, ids: dict[str, int]) -> list[tuple[str, str]]:
    found = _audience_problems(draft, producer) if draft.recipients else []
    if not draft.streamer:
        return found
    if producer is not None and producer.streamer_id not in (None, ids.get(draft.streamer)):
        return [*found, ("streamer", "This API key speaks for another streamer.")]
    if draft.streamer not in ids:
        text = f"No streamer has the key {draft.streamer!r}. Create it first: POST /api/v1/streamers."
        return [*found, ("streamer", text)]
    return found


def _audience_problems(draft: Draft, producer: ApiKey | None) -> list[tuple[str, str]]:
    """Who speaks for one streamer reaches those who follow it, and whom it names; not everybody at once."""
    if EVERYONE not in draft.recipients or producer is None or producer.streamer_id is None:
        return []
    return [("recipients", "This API key speaks for one streamer; it cannot tell everyone.")]


def _streamer_id(draft: Draft, producer: ApiKey | None, ids: dict[str, int]) -> int | None:
    if draft.streamer:
        return ids[draft.streamer]
    return producer.streamer_id if producer else None


_group = GroupCommit()

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
