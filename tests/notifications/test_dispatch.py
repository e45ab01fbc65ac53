"""The steps of an attempt: what a verdict leads to, what is held back, what is buried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from channels_app.base import Message
from channels_app.models import Channel
from channels_app.outcomes import MAX_RETRY_AFTER_S, Outcome, Verdict
from notifications import clock, dispatch, rulebook
from notifications.held import Held, Tried
from notifications.models import Delivery
from notifications.models.transitions import Result
from notifications.retry import Schedule
from notifications.rulebook import ChannelInUse
from notifications.states import State, letter_for
from notifications.tasks import deliver
from project.outside import World
from tests.notifications.crier import AtMostOnce, Crier
from tests.notifications.scene import (
    HOUR,
    SECOND,
    a_delivery,
    channel_at,
    drain,
    states,
    sweep,
)

NOW = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)
MESSAGE = Message(
    idempotency_id="msg_0_1",
    notification_id="0",
    event_type="x",
    priority=5,
    priority_label="normal",
    title="T",
    body="",
    data={},
    accepted_at=NOW,
)
DECLARED = Schedule()
SLOW = "The channel still asked us to slow down."


def tried(
    verdict: Verdict, *, attempts: int = 0, age: timedelta = timedelta(), once: bool = False, **fields: Any
) -> Tried:
    """A try of a delivery with `attempts` before it, on a channel with these fields."""
    row = SimpleNamespace(id=1, token=3, attempts=attempts, first_attempt_at=NOW - age)
    channel = ChannelInUse(Channel(pk=1, key="c", kind="webhook", **fields))
    channel.__dict__["transport"] = AtMostOnce() if once else Crier()
    return Tried(Held(row, channel, MESSAGE), verdict, NOW, 12)


def concluded(verdict: Verdict, declared: Schedule = DECLARED, draw: float = 0.5, **about: Any) -> Result:
    return dispatch.conclude(tried(verdict, **about), declared, NOW, draw)


AMOUNTS = st.none() | st.floats(0, 1e300)
OVERRIDES = st.fixed_dictionaries(
    {
        "max_attempts": st.none() | st.integers(1, 32_767),
        "retry_base_s": AMOUNTS,
        "retry_cap_s": AMOUNTS,
        "retry_jitter": st.none() | st.booleans(),
        "retry_window_s": AMOUNTS,
    }
)
VERDICTS = st.builds(
    Verdict, st.sampled_from(Outcome), st.integers(0, 999), st.text(max_size=600), st.none() | st.floats()
)


@given(
    verdict=VERDICTS,
    attempts=st.integers(0, 40_000),
    age=st.timedeltas(timedelta(), timedelta(days=400)),
    draw=st.floats(0, 1, exclude_max=True),
    once=st.booleans(),
    overrides=OVERRIDES,
)
def test_every_verdict_leads_to_a_letter_and_a_time(
    verdict: Verdict, attempts: int, age: timedelta, draw: float, once: bool, overrides: dict[str, Any]
) -> None:
    result = concluded(verdict, draw=draw, attempts=attempts, age=age, once=once, **overrides)
    assert letter_for(State.SENDING, result.state) in "fghi"
    assert result.state in _possible(verdict.outcome, once=once)
    assert (result.outcome, result.code, result.detail) == (verdict.outcome, verdict.code, verdict.detail)
    assert (result.delivery_id, result.token, result.duration_ms) == (1, 3, 12)
    assert NOW <= result.due_at <= NOW + timedelta(days=367)
    assert (result.state is State.DEAD) == bool(result.fingerprint)
    assert len(result.fingerprint) <= 64
    assert bool(result.reason_code) == (result.state is not State.DELIVERED)
    most = overrides["max_attempts"] or Schedule().max_attempts
    assert result.state is not State.RETRYING or attempts + 1 < most


def _possible(outcome: Outcome, *, once: bool) -> set[State]:
    """The table of outcomes, once more."""
    return {
        Outcome.OK: {State.DELIVERED},
        Outcome.TRANSIENT: {State.RETRYING, State.DEAD},
        Outcome.RATE_LIMITED: {State.SCHEDULED, State.DEAD},
        Outcome.PERMANENT: {State.DEAD},
        Outcome.GONE: {State.DEAD},
        Outcome.UNKNOWN: {State.DEAD} if once else {State.RETRYING, State.DEAD},
    }[outcome]


def test_a_probe_of_what_is_sent_at_most_once_is_no_second_chance() -> None:
    result = concluded(Verdict(Outcome.UNKNOWN, 0, "Late."), once=True, quarantined_at=NOW)
    assert (result.state, result.reason_code) == (State.DEAD, "unknown")


def test_what_the_far_end_asks_for_is_waited_for() -> None:
    for outcome in (Outcome.TRANSIENT, Outcome.RATE_LIMITED):
        assert concluded(Verdict(outcome, 503, "", 600.0)).due_at >= NOW + timedelta(seconds=600)


def test_nobody_waits_longer_than_ten_hours_and_a_little() -> None:
    result = concluded(Verdict(Outcome.RATE_LIMITED, 429, "", float("inf")))
    assert (
        NOW + timedelta(seconds=MAX_RETRY_AFTER_S) <= result.due_at <= NOW + 1.2 * timedelta(seconds=MAX_RETRY_AFTER_S)
    )


def test_a_pause_without_a_time_is_a_short_one() -> None:
    result = concluded(Verdict(Outcome.RATE_LIMITED, 429))
    assert NOW < result.due_at < NOW + timedelta(seconds=30)


def test_the_channels_schedule_goes_before_the_declared_one() -> None:
    about: dict[str, Any] = {"retry_base_s": 3.0, "retry_jitter": False, "max_attempts": 2}
    first = concluded(Verdict(Outcome.TRANSIENT, 503), **about)
    last = concluded(Verdict(Outcome.TRANSIENT, 503), attempts=1, **about)
    assert (first.state, first.due_at) == (State.RETRYING, NOW + timedelta(seconds=3))
    assert (last.state, last.reason_code) == (State.DEAD, "exhausted")
    assert "Attempt 2" in last.reason


@pytest.mark.parametrize(
    ("about", "verdict", "said"),
    [
        ({"max_attempts": 1}, Verdict(Outcome.TRANSIENT, 503, "No."), "Attempt 1 failed. That was the last one. No."),
        (
            {"age": timedelta(hours=72)},
            Verdict(Outcome.TRANSIENT, 503, "No."),
            "Attempt 1 failed. The next try would come after the 72 h in which it may be tried. No.",
        ),
        (
            {"retry_window_s": 90.0, "retry_base_s": 1.0},
            Verdict(Outcome.TRANSIENT, 503, "No.", 100.0),
            "Attempt 1 failed. The far end asks for a pause that outlasts the 90 s in which it may be tried. No.",
        ),
        (
            {"age": timedelta(hours=72)},
            Verdict(Outcome.RATE_LIMITED, 429),
            "The channel still asked us to slow down. The next try would come after the 72 h in which it may be tried.",
        ),
        (
            {"retry_window_s": 5400.0},
            Verdict(Outcome.RATE_LIMITED, 429, "Later.", 7200.0),
            f"{SLOW} The far end asks for a pause that outlasts the 1.5 h in which it may be tried. Later.",
        ),
    ],
)
def test_the_reason_says_which_bound_ended_it(about: dict[str, Any], verdict: Verdict, said: str) -> None:
    result = concluded(verdict, **about)
    assert (result.state, result.reason_code, result.reason) == (State.DEAD, "exhausted", said)


def test_equal_failures_have_one_fingerprint_and_others_another() -> None:
    def print_of(*words: Any) -> str:
        return dispatch.fingerprint(Verdict(*words))

    same = {print_of(Outcome.PERMANENT, 404, f"No order {n}, trace {n:032x}") for n in (1, 22, 333)}
    assert len(same) == 1
    others = {
        print_of(Outcome.PERMANENT, 404, "No customer 1"),
        print_of(Outcome.PERMANENT, 400, "No order 1, trace 2"),
        print_of(Outcome.GONE, 404, "No order 1, trace 2"),
    }
    assert len(others | same) == 4


@pytest.mark.django_db(transaction=True)
class TestWhatIsHeldBack:
    def test_a_channel_whose_secret_cannot_be_opened_waits_and_recovers(self, world: World) -> None:
        channel = channel_at(world.sink_url("locked"))
        delivery = a_delivery(channel)
        with override_settings(BELFRY_CHANNEL_KEYS={"other": "x" * 43 + "="}):
            assert deliver.apply(args=(delivery.pk,)).successful()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code, delivery.attempts) == ("scheduled", "channel_unusable", 0)
        assert delivery.due_at > clock.now()
        assert not world.seen("sink/locked")
        sweep(ahead=HOUR)
        Delivery.objects.update(due_at=clock.now())
        deliver.apply(args=(delivery.pk,))
        assert states() == {"delivered": 1}

    def test_no_key_at_all_is_a_wait_too(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.sink_url("keyless")))
        with override_settings(BELFRY_CHANNEL_KEYS={}):
            assert deliver.apply(args=(delivery.pk,)).successful()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code) == ("scheduled", "channel_unusable")

    def test_a_kind_that_was_uninstalled_waits(self, world: World) -> None:
        channel = channel_at(world.sink_url("uninstalled"))
        delivery = a_delivery(channel)
        Channel.objects.update(kind="nonesuch")
        assert deliver.apply(args=(delivery.pk,)).successful()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code) == ("scheduled", "channel_unusable")
        assert "nonesuch" in delivery.reason

    def test_a_config_that_no_longer_fits_waits_and_names_the_field(self, world: World) -> None:
        channel = channel_at(world.sink_url("unfit"))
        delivery = a_delivery(channel)
        Channel.objects.update(config={"methode": "POST"})
        deliver.apply(args=(delivery.pk,))
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code) == ("scheduled", "channel_unusable")
        assert "methode" in delivery.reason

    def test_what_expires_between_claim_and_send_is_never_sent(self, world: World) -> None:
        delivery = a_delivery(channel_at(world.sink_url("late")), expires_at=clock.now() + SECOND)
        row = Delivery.objects.get(pk=delivery.pk)
        assert dispatch.guard([row], rulebook.current(), clock.now() + 2 * SECOND).ready == []

    def test_a_deleted_channels_delivery_is_ended_and_not_asked_for_ever(self, world: World) -> None:
        """Routing decided while the channel was being deleted: nobody has cancelled this one."""
        channel = channel_at(world.sink_url("deleted"))
        channel.retire(clock.now())
        delivery = a_delivery(channel)
        for _ in range(3):
            deliver.apply(args=(delivery.pk,))
            sweep()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code) == ("cancelled", "channel_deleted")


@pytest.mark.django_db(transaction=True)
class TestAChannelThatWasSwitchedOffMeanwhile:
    def test_is_not_told_any_more_and_what_waited_ends(self, world: World) -> None:
        channel = channel_at(world.sink_url("off"))
        delivery = a_delivery(channel)
        Channel.objects.filter(pk=channel.pk).update(enabled=False)
        drain()
        sweep()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.reason_code) == ("cancelled", "channel_disabled")
        assert not world.seen("sink/off")

    def test_goes_on_when_it_is_switched_on_again_in_time(self, world: World) -> None:
        channel = channel_at(world.sink_url("on-again"))
        a_delivery(channel)
        Channel.objects.filter(pk=channel.pk).update(enabled=False)
        drain()
        Channel.objects.filter(pk=channel.pk).update(enabled=True)
        sweep()
        drain()
        assert states(channel) == {"delivered": 1}


@pytest.mark.django_db(transaction=True)
class TestAQuarantinedChannelThatCannotBeOpened:
    def test_waits_and_stops_nobody_else(self, world: World) -> None:
        lost, other = (
            channel_at(world.sink_url("lost-key"), key="lost"),
            channel_at(world.sink_url("beside"), key="beside"),
        )
        now = clock.now()
        Channel.objects.quarantine(lost.pk, reason="It said 410.", now=now, probe_at=now - HOUR)
        Channel.objects.filter(pk=lost.pk).update(secrets="v1:nobody-has-it:abc")
        waiting = a_delivery(lost)
        a_delivery(other)
        drain()
        waiting.refresh_from_db()
        assert (waiting.state, waiting.reason_code) == ("scheduled", "channel_unusable")
        assert states(other) == {"delivered": 1}
