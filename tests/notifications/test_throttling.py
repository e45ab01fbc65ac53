"""Since when a channel has only asked us to slow down: remembered while it lasts, forgotten with the first answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from channels_app.outcomes import MAX_RETRY_AFTER_S
from notifications.throttling import FORGOTTEN_AFTER, NOTED_AFTER, Throttling

NOW = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)
MOMENT = timedelta(seconds=1)


def test_a_short_time_of_it_is_nothing() -> None:
    throttling = Throttling()
    throttling.note(1, NOW)
    throttling.note(1, NOW + NOTED_AFTER - MOMENT)
    assert throttling.since(1, NOW + NOTED_AFTER - MOMENT) is None
    assert throttling.since(1, NOW + NOTED_AFTER) == NOW
    assert throttling.since(2, NOW + NOTED_AFTER) is None


def test_a_sign_of_life_ends_it() -> None:
    throttling = Throttling()
    throttling.note(1, NOW - NOTED_AFTER)
    throttling.forget(1)
    throttling.forget(1)
    throttling.note(1, NOW)
    assert throttling.since(1, NOW) is None


def test_after_a_long_time_without_a_word_it_begins_anew() -> None:
    throttling = Throttling()
    throttling.note(1, NOW)
    later = NOW + FORGOTTEN_AFTER + MOMENT
    assert throttling.since(1, later) is None
    throttling.note(1, later)
    assert throttling.since(1, later + NOTED_AFTER) == later


def test_the_longest_pause_is_no_long_time_without_a_word() -> None:
    assert timedelta(seconds=1.1 * MAX_RETRY_AFTER_S) < FORGOTTEN_AFTER
