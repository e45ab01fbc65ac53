"""The schedule of retries, by its properties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import Field
from hypothesis import given
from hypothesis import strategies as st

from channels_app.models import Channel
from channels_app.outcomes import MAX_RETRY_AFTER_S
from notifications.durable_retry import declared_schedule
from notifications.retry import PRESETS, Bound, Schedule, after_pause, next_attempt_at, step_s
from notifications.tasks import deliver

NOW = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)

#: What an operator may type: the columns are floats, and any number that is not negative passes their checks.
SECONDS = st.floats(0.0, 1e300)
DRAWS = st.floats(0.0, 1.0, exclude_max=True)
SCHEDULES = st.builds(
    Schedule,
    max_attempts=st.integers(1, 32_767),
    base_s=SECONDS,
    cap_s=SECONDS,
    jitter=st.booleans(),
    window_s=SECONDS,
)
WAITS_ASKED_FOR = st.floats(0.0, MAX_RETRY_AFTER_S)
AGES = st.timedeltas(timedelta(), timedelta(days=3650))


def asked(schedule: Schedule, *, attempts: int = 1, age: timedelta = timedelta(), **more: float) -> datetime | Bound:
    first = NOW - age
    return next_attempt_at(schedule, attempts=attempts, first_attempt_at=first, now=NOW, **{"draw": 0.5, **more})


@given(SCHEDULES, st.integers(1, 10**6), AGES, DRAWS, WAITS_ASKED_FOR)
def test_there_is_always_an_answer_never_too_soon_and_never_beyond_the_window(
    schedule: Schedule, attempts: int, age: timedelta, draw: float, at_least_s: float
) -> None:
    at = asked(schedule, attempts=attempts, age=age, draw=draw, at_least_s=at_least_s)
    if isinstance(at, Bound):
        return
    assert attempts < schedule.max_attempts
    assert at >= NOW + timedelta(seconds=at_least_s)
    assert (at - (NOW - age)).total_seconds() <= schedule.window_s + 1e-3


@given(SCHEDULES, st.integers(1, 10**6))
def test_the_step_grows_up_to_the_cap_and_never_shrinks(schedule: Schedule, attempts: int) -> None:
    step, following = step_s(schedule, attempts), step_s(schedule, attempts + 1)
    assert 0 <= step <= following <= schedule.cap_s


@given(st.integers(10, 10**6), DRAWS)
def test_after_the_last_attempt_it_is_over(attempts: int, draw: float) -> None:
    assert asked(Schedule(max_attempts=10), attempts=attempts, draw=draw) is Bound.ATTEMPTS


@given(st.integers(1, 9), DRAWS)
def test_jitter_draws_between_nothing_and_the_step(attempts: int, draw: float) -> None:
    at = asked(Schedule(), attempts=attempts, draw=draw)
    assert isinstance(at, datetime)
    assert 0 <= (at - NOW).total_seconds() <= step_s(Schedule(), attempts)


def test_without_jitter_the_steps_double_up_to_the_cap() -> None:
    schedule = Schedule(base_s=10, cap_s=100, jitter=False)
    waits = [asked(schedule, attempts=n) for n in range(1, 7)]
    assert [(at - NOW).total_seconds() for at in waits if isinstance(at, datetime)] == [10, 20, 40, 80, 100, 100]


def test_what_the_far_end_asks_for_is_obeyed_beyond_the_cap() -> None:
    assert asked(Schedule(cap_s=1, base_s=1), at_least_s=3600) == NOW + timedelta(hours=1)


def test_what_the_far_end_asks_for_does_not_stretch_the_window() -> None:
    assert asked(Schedule(window_s=1800), at_least_s=3600) is Bound.PAUSE


def test_a_step_beyond_the_window_is_over_by_the_window_whatever_was_asked_for() -> None:
    schedule = Schedule(window_s=1800, base_s=600, jitter=False)
    assert asked(schedule, age=timedelta(seconds=1199)) == NOW + timedelta(seconds=600)
    assert asked(schedule, age=timedelta(seconds=1201), at_least_s=3600) is Bound.WINDOW


@given(SCHEDULES, AGES, st.floats(0.0, 1.1 * MAX_RETRY_AFTER_S))
def test_a_pause_ends_in_the_window_or_never(schedule: Schedule, age: timedelta, pause_s: float) -> None:
    at = after_pause(schedule, first_attempt_at=NOW - age, now=NOW, pause_s=pause_s)
    if isinstance(at, datetime):
        assert at == NOW + timedelta(seconds=pause_s)
        assert age.total_seconds() + pause_s <= schedule.window_s + 1e-3
    else:
        assert (at is Bound.WINDOW) == (age.total_seconds() >= schedule.window_s)


def test_a_million_attempts_are_no_overflow() -> None:
    at = asked(Schedule(max_attempts=10**7, window_s=1e9), attempts=10**6)
    assert at == NOW + timedelta(hours=3)


@pytest.mark.parametrize(
    ("name", "attempts", "base_s", "cap_s"),
    [("rust-srec", 3, 5.0, 60.0), ("mailbox", 4, 0.1, 5.0), ("patient", 30, 5.0, 21_600.0)],
)
def test_presets_are_those_that_operators_know(name: str, attempts: int, base_s: float, cap_s: float) -> None:
    preset = PRESETS[name]
    assert (preset.max_attempts, preset.base_s, preset.cap_s) == (attempts, base_s, cap_s)
    assert preset.window_s == 3 * 86400


def test_the_task_declares_the_default_schedule() -> None:
    assert declared_schedule(deliver) == Schedule()


def test_the_channels_help_texts_tell_the_declared_schedule() -> None:
    declared = declared_schedule(deliver)
    told = {
        "max_attempts": f"Empty: {declared.max_attempts}.",
        "retry_base_s": f"Empty: {declared.base_s:.0f} s.",
        "retry_cap_s": f"Empty: {declared.cap_s / 3600:.0f} hours.",
        "retry_jitter": f"Empty: {'yes' if declared.jitter else 'no'}.",
        "retry_window_s": f"Empty: {declared.window_s / 86400:.0f} days.",
    }
    for name, text in told.items():
        field = Channel._meta.get_field(name)
        assert isinstance(field, Field)
        assert field.help_text.endswith(text)
