"""What of a notification's data people get to see."""

from __future__ import annotations

from typing import Any

import pytest

from channels_app.facts import MAX_VALUE_CHARS, duration, facts_of, size
from tests.contracts.samples import HOSTILE, UNREADABLE, message


def shown(at_most: int = 10, **data: Any) -> dict[str, str]:
    nobody = {"streamer_name": "", "platform": ""}
    return dict(facts_of(message(title="Title", body="Body text", data=data, **nobody), at_most=at_most))


def test_names_and_values_are_readable() -> None:
    told = shown(file_size_bytes=1932735283, duration_secs=7871, recoverable=True, queue_depth=250, ratio=0.5)
    assert told == {
        "File size": "1.8 GiB",
        "Duration": "2 h 11 min",
        "Recoverable": "yes",
        "Queue depth": "250",
        "Ratio": "0.5",
    }


def test_what_is_empty_nested_or_no_number_is_left_out() -> None:
    assert shown(a="", b=None, c={}, d=[1], e=float("nan"), f=float("inf"), g=10**400, h=" \n") == {}


def test_what_the_texts_say_is_not_said_again() -> None:
    assert shown(reason="Body text", path="/srv") == {"Path": "/srv"}


def test_the_streamer_comes_first_and_ids_come_last() -> None:
    data = {"job_id": "j-1", "scope": "all", "streamer_id": "s", "timestamp": "now"}
    told = facts_of(message(title="T", body="", data=data, streamer_name="Owl", platform="twitch"), at_most=10)
    assert [fact.name for fact in told] == ["Streamer", "Platform", "Scope", "Job id"]


def test_there_are_at_most_as_many_as_were_asked_for() -> None:
    assert list(shown(2, a="1", b="2", c="3")) == ["A", "B"]


def test_a_long_value_is_cut_and_stays_on_one_line() -> None:
    told = shown(text="x\ny " * 100)
    assert len(told["Text"]) <= MAX_VALUE_CHARS
    assert "\n" not in told["Text"]


@pytest.mark.parametrize("name", HOSTILE)
def test_facts_are_never_empty(name: str) -> None:
    for fact in facts_of(HOSTILE[name], at_most=50):
        assert fact.name.strip()
        assert fact.value.strip()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (-2048, "-2.0 KiB"), (2**62, "4096.0 PiB")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (12.5, "12.5 s"), (60, "1 min"), (3605, "1 h"), (-3700, "-1 h 1 min"), (266400, "3 d 2 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_data_that_cannot_be_read_are_left_out() -> None:
    assert [fact.name for fact in facts_of(UNREADABLE, at_most=10)] == ["Platform"]
