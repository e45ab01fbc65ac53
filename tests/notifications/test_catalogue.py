"""The event types that Belfry knows: names in any spelling, usual priorities, default texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.catalogue import KNOWN, canonical, texts, usual_priority
from notifications.priority import parse

FIELD = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize(
    "spelling",
    [
        "stream_online",
        "StreamOnline",
        "stream.online",
        "STREAM-ONLINE",
        "stream online",
        "Stream_ONLINE",
        "streamonline",
    ],
)
def test_a_known_type_is_known_in_every_spelling(spelling: str) -> None:
    assert canonical(spelling) == "stream_online"


@pytest.mark.parametrize("name", ["order.paid", "OrderPaid", "stream_on", "x"])
def test_an_unknown_type_stays_as_it_is_written(name: str) -> None:
    assert canonical(name) == name


def test_there_are_twenty_seven_types_and_each_name_is_its_own_canonical_form() -> None:
    assert len(KNOWN) == 27
    assert all(canonical(name) == name == known.name for name, known in KNOWN.items())


@pytest.mark.parametrize("name", KNOWN)
def test_with_all_fields_the_texts_are_whole(name: str) -> None:
    known = KNOWN[name]
    data = {field: f"<{field}>" for field in FIELD.findall(known.title + known.body)}
    title, body = texts(name, data)
    assert title == FIELD.sub(r"<\1>", known.title)
    assert body == FIELD.sub(r"<\1>", known.body)


@pytest.mark.parametrize("name", KNOWN)
def test_without_fields_the_title_is_the_label_and_no_gap_is_shown(name: str) -> None:
    title, body = texts(name, {})
    assert title
    assert "{" not in title + body


@given(
    st.sampled_from(sorted(KNOWN)),
    st.dictionaries(
        st.sampled_from(sorted({field for k in KNOWN.values() for field in FIELD.findall(k.title + k.body)})),
        st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.lists(st.integers()), st.just(10**400)),
    ),
)
def test_whatever_the_fields_hold_there_is_a_title(name: str, data: dict[str, object]) -> None:
    title, _ = texts(name, data)
    assert title


def test_braces_in_the_data_are_only_text() -> None:
    assert texts("stream_online", {"streamer_name": "{title} {0} %s", "title": "x"})[0] == "{title} {0} %s is live"


def test_zero_and_false_are_values_and_not_gaps() -> None:
    title, body = texts("pipeline_queue_warning", {"queue_depth": 0, "threshold": 0})
    assert (title, body) == ("0 jobs wait", "The threshold is 0")


@pytest.mark.parametrize(
    ("name", "title"), [("order.paid", "Order paid"), ("disk-90-full", "Disk 90 full"), ("x", "X"), ("_", "_")]
)
def test_an_unknown_type_is_told_by_its_name(name: str, title: str) -> None:
    assert texts(name, {}) == (title, "")


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("stream_online", {}, "normal"),
        ("download_error", {}, "high"),
        ("download_error", {"recoverable": True}, "normal"),
        ("download_error", {"recoverable": "true"}, "high"),
        ("credential_refresh_failed", {"requires_relogin": True}, "critical"),
        ("credential_expiring", {"days_remaining": 3}, "high"),
        ("credential_expiring", {"days_remaining": 4}, "normal"),
        ("credential_expiring", {"days_remaining": True}, "normal"),
        ("credential_expiring", {"days_remaining": None}, "normal"),
        ("out_of_space", {}, "critical"),
        ("order.paid", {}, "normal"),
    ],
)
def test_the_usual_priority_follows_from_what_happened(name: str, data: dict[str, object], word: str) -> None:
    assert usual_priority(name, data) == parse(word)
