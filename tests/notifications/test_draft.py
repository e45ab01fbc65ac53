"""What a producer may send, field by field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from notifications.draft import MAX_BODY_CHARS, MAX_BULK, MAX_RECIPIENTS, MAX_TITLE_CHARS, Bulk, Draft, problems

NOW = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


def decoded(**fields: Any) -> Draft:
    """A draft as it comes over the wire."""
    return msgspec.json.decode(msgspec.json.encode({"event_type": "x", **fields}), type=Draft)


def fields_at_fault(**fields: Any) -> list[str]:
    return [field for field, _ in problems(decoded(**fields), NOW)]


def test_an_event_type_is_all_that_is_needed() -> None:
    assert fields_at_fault() == []


@pytest.mark.parametrize("name", ["x", "stream_online", "order.paid", "a-b:c d", "A" * 100])
def test_event_types_are_words(name: str) -> None:
    assert decoded(event_type=name).event_type == name


@pytest.mark.parametrize("name", ["", " x", "_x", "x\n", "x\0", "x/y", "é", "x" * 101, "x\ny", None, 5])
def test_other_event_types_are_refused(name: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"event_type"):
        decoded(event_type=name)


@pytest.mark.parametrize(
    ("name", "longest"),
    [("title", MAX_TITLE_CHARS), ("body", MAX_BODY_CHARS), ("streamer", 100), ("idempotency_key", 200)],
)
def test_texts_are_bounded_in_characters(name: str, longest: int) -> None:
    assert getattr(decoded(**{name: "é" * longest}), name) == "é" * longest
    with pytest.raises(msgspec.ValidationError, match=name):
        decoded(**{name: "é" * (longest + 1)})


@pytest.mark.parametrize("name", ["scheduled_at", "expires_at"])
def test_times_without_an_offset_are_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        decoded(**{name: "2026-11-21T20:15:00"})


@pytest.mark.parametrize(
    "moment",
    [
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=12))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))),
    ],
)
def test_times_that_no_clock_in_utc_can_show_are_named(moment: datetime) -> None:
    assert "scheduled_at" in fields_at_fault(scheduled_at=moment)


def test_what_has_expired_or_would_before_its_time_is_named() -> None:
    assert fields_at_fault(expires_at=EARLIER) == ["expires_at"]
    assert fields_at_fault(expires_at=NOW) == ["expires_at"]
    assert fields_at_fault(expires_at=LATER, scheduled_at=LATER) == ["expires_at"]
    assert fields_at_fault(expires_at=LATER) == []


def test_a_scheduled_time_in_the_past_means_now() -> None:
    assert fields_at_fault(scheduled_at=EARLIER) == []


@pytest.mark.parametrize("value", ["urgent", 11, -1, "9" * 5000])
def test_a_priority_that_is_none_is_named(value: object) -> None:
    assert fields_at_fault(priority=value) == ["priority"]


@pytest.mark.parametrize("value", [True, 5.5, []])
def test_a_priority_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="priority"):
        decoded(priority=value)


@pytest.mark.parametrize("name", ["title", "body", "idempotency_key", "streamer"])
def test_nul_is_named_wherever_it_stands(name: str) -> None:
    assert fields_at_fault(**{name: "a\0b"}) == [name]


@pytest.mark.parametrize("recipient", ["a\0b", "a\x1fb"])
def test_control_characters_in_a_recipient_are_named(recipient: str) -> None:
    assert fields_at_fault(recipients=["fine", recipient, recipient]) == ["recipients[1]", "recipients[2]"]


def test_everyone_is_named_alone() -> None:
    assert fields_at_fault(recipients=["*"]) == []
    assert fields_at_fault(recipients=["ada", "*"]) == ["recipients[1]"]
    assert fields_at_fault(recipients=["*", "*"]) == ["recipients[0]", "recipients[1]"]


@pytest.mark.parametrize("recipients", [[""], ["x"] * (MAX_RECIPIENTS + 1), ["x" * 201], "x", [5]])
def test_recipients_are_a_bounded_list_of_keys(recipients: object) -> None:
    with pytest.raises(msgspec.ValidationError, match="recipients"):
        decoded(recipients=recipients)


def test_a_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="chanel"):
        decoded(chanel="typo")


def test_half_a_pair_of_surrogates_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(b'{"event_type": "x", "title": "\\ud800 "}', type=Draft)


def test_a_bulk_holds_one_to_a_thousand() -> None:
    def bulk(count: int) -> Bulk:
        return msgspec.convert({"notifications": [{"event_type": "x"}] * count}, Bulk)

    assert len(bulk(MAX_BULK).notifications) == MAX_BULK == 1000
    for count in (0, MAX_BULK + 1):
        with pytest.raises(msgspec.ValidationError, match="notifications"):
            bulk(count)


def test_every_problem_is_told_at_once() -> None:
    assert fields_at_fault(priority="urgent", expires_at=EARLIER, title="\0", body="\0") == [
        "priority",
        "expires_at",
        "title",
        "body",
    ]
