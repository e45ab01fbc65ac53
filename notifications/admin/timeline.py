"""Why did I (not) get it: the life of a delivery, step by step, as sentences with times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from channels_app.feed import reading
from channels_app.feed.item import Told as ToldInFeeds
from notifications.admin import badges
from notifications.models import Attempt, DeadLetter, Delivery, Notification
from notifications.states import State

#: Deliveries that one page tells of; the list of deliveries has the rest.
MOST_TOLD = 50

#: Feeds that one page counts over.
MOST_COUNTED = 10_000

#: `reason_code` of a decision at routing → the scope of the policy stands in the sentence itself.
_BY_POLICY = frozenset({"policy_disabled", "event_type", "min_priority"})


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, or will. `tone` is a class of `admin.css`; `word` one of the badges, or empty."""

    at: datetime
    title: str
    detail: str = ""
    word: str = ""
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A delivery with its steps, oldest first, and where it stands now."""

    delivery: Delivery
    steps: list[Step]
    standing: str

    @property
    def letter(self) -> int | None:
        """The dead letter that waits for a decision, if one does."""
        return next((letter.pk for letter in self.delivery.dead_letters.all() if letter.is_waiting), None)


def tell(notification_id: UUID) -> list[Told]:
    """The deliveries of a notification. Four queries, however many there are."""
    return _tell(Delivery.objects.filter(notification_id=notification_id).order_by("id")[:MOST_TOLD])


def tell_one(delivery: Delivery) -> Told:
    """A single delivery."""
    return _tell(Delivery.objects.filter(pk=delivery.pk))[0]


def _tell(deliveries: QuerySet[Delivery]) -> list[Told]:
    rows = deliveries.select_related("channel", "notification").prefetch_related("attempt_log", "dead_letters")
    return [Told(row, sorted(_steps(row), key=lambda step: (step.ahead, step.at)), standing(row)) for row in rows]


def of_feeds(notification: Notification) -> list[Step]:
    """How it came into feeds, and from there to people; nothing where it is meant for none."""
    if notification.feeds is None or notification.routed_at is None:
        return []
    count = f"{notification.feeds:,} feed" + ("" if notification.feeds == 1 else "s")
    begun = notification.routed_at
    if notification.scheduled_at is not None:
        begun = max(begun, notification.scheduled_at)
    steps = [Step(begun, f"Written into {count}")]
    if notification.first_ack_at is not None:
        who = f"The device {notification.first_ack_device} of {notification.first_ack_recipient} had it first."
        steps.append(Step(notification.first_ack_at, "Arrived on a device", who))
    if notification.withdrawn_at is not None:
        steps.append(Step(notification.withdrawn_at, "Withdrawn: taken out of all feeds"))
    return sorted(steps, key=lambda step: step.at)


def counted(notification: Notification) -> ToldInFeeds | None:
    """How far it got in the feeds; None where those are too many to be counted for a page."""
    return reading.told(notification.pk) if 0 < (notification.feeds or 0) <= MOST_COUNTED else None


def standing(delivery: Delivery) -> str:
    """Where it stands and why, in one sentence."""
    reason = delivery.reason
    if delivery.state == State.SUPPRESSED:
        whose = "A policy decided against it" if delivery.reason_code in _BY_POLICY else "It was not sent"
        return f"{whose}: {reason}"
    if delivery.state == State.DELIVERED:
        return "The channel took it."
    if delivery.state == State.SENDING:
        return "A worker is sending it now."
    if delivery.state == State.PENDING:
        return reason or "It is waiting for a worker."
    if delivery.state == State.DEAD:
        return f"Given up: {reason}" if reason else "Given up."
    return reason or f"It is {delivery.state}."


def _steps(delivery: Delivery) -> Iterator[Step]:
    yield _made(delivery)
    attempts = list(delivery.attempt_log.all())
    for number, attempt in enumerate(attempts, start=1):
        yield _tried(number, attempt)
    for letter in delivery.dead_letters.all():
        yield from _buried(letter)
    if delivery.state == State.CANCELLED and delivery.settled_at is not None:
        yield Step(delivery.settled_at, "Ended without being sent", delivery.reason, State.CANCELLED)
    if delivery.state in (State.SCHEDULED, State.RETRYING):
        # Why it waits is said above; why it is tried again, by the attempt before.
        title = "Next try" if delivery.attempts else "Waits until then"
        yield Step(delivery.due_at, title, "", delivery.state, ahead=True)
    if delivery.cancel_requested and delivery.state == State.SENDING:
        yield Step(delivery.due_at, "Withdrawn while a worker held it", "It ends when it comes back.", ahead=True)


def _made(delivery: Delivery) -> Step:
    if delivery.state == State.SUPPRESSED:
        return Step(delivery.created_at, "Suppressed", delivery.reason, State.SUPPRESSED)
    return Step(delivery.created_at, f"Meant for {delivery.channel}")


def _tried(number: int, attempt: Attempt) -> Step:
    said = " · ".join(part for part in (str(attempt.code or ""), badges.duration(attempt.duration_ms)) if part)
    return Step(attempt.started_at, f"Attempt {number}: {said}", attempt.detail, attempt.outcome)


def _buried(letter: DeadLetter) -> Iterator[Step]:
    tries = "1 attempt" if letter.attempts == 1 else f"{letter.attempts} attempts"
    yield Step(letter.buried_at, f"Given up after {tries}", letter.detail, State.DEAD)
    if letter.replayed_at is not None:
        yield Step(letter.replayed_at, f"Replayed by {letter.decided_by}", "All attempts begin again.", "replayed")
    if letter.discarded_at is not None:
        yield Step(letter.discarded_at, f"Discarded by {letter.decided_by}", letter.discard_reason, "discarded")
