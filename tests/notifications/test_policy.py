"""The rules: which policy wins, which channels are meant, and what is decided with what reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.policy import (
    Candidate,
    Decision,
    Effective,
    Facts,
    Rules,
    Scope,
    Setting,
    Verb,
    decide,
    matches,
    resolve,
    select,
)
from notifications.priority import Priority

NOW = datetime(2026, 11, 21, 20, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

LIVE = Facts(event_type="stream_online", priority=Priority.NORMAL, streamer_key="aurora")
EVERYONE = Effective()
DISCORD = Candidate(id=1)
MAIL = Candidate(id=2)
AURORAS_OWN = Candidate(id=3, owner_key="aurora")


def decided(facts: Facts = LIVE, policy: Effective = EVERYONE, channel: Candidate = DISCORD) -> Decision:
    return decide(facts, policy, channel, NOW)


# --- What is decided.


def test_without_any_policy_everything_is_sent() -> None:
    assert decided().verb is Verb.SEND


def test_a_priority_below_the_least_is_suppressed_and_the_reason_names_both() -> None:
    policy = resolve([(Scope.GLOBAL, Rules(min_priority=Priority.HIGH))])
    decision = decided(policy=policy)
    assert (decision.verb, decision.code, decision.scope) == (Verb.SUPPRESS, "min_priority", Scope.GLOBAL)
    assert decision.text == "Priority 5 (normal) is below 8 (high), the least that the global policy lets through."


def test_a_priority_equal_to_the_least_is_sent() -> None:
    assert decided(policy=resolve([(Scope.GLOBAL, Rules(min_priority=Priority.NORMAL))])).verb is Verb.SEND


def test_an_event_type_that_no_pattern_fits_is_suppressed() -> None:
    policy = resolve([(Scope.STREAMER, Rules(event_types=("download_*", "fatal_error")))])
    decision = decided(policy=policy)
    assert (decision.verb, decision.code, decision.scope) == (Verb.SUPPRESS, "event_type", Scope.STREAMER)
    assert "download_*, fatal_error" in decision.text


def test_an_empty_list_of_event_types_suppresses_all() -> None:
    assert decided(policy=resolve([(Scope.GLOBAL, Rules(event_types=()))])).verb is Verb.SUPPRESS


def test_a_policy_that_is_switched_off_suppresses_all() -> None:
    decision = decided(policy=resolve([(Scope.PLATFORM, Rules(enabled=False))]))
    assert (decision.verb, decision.code, decision.scope) == (Verb.SUPPRESS, "policy_disabled", Scope.PLATFORM)


def test_a_channel_that_is_switched_off_is_not_told() -> None:
    assert decided(channel=replace(DISCORD, enabled=False)).code == "channel_disabled"


def test_what_is_scheduled_waits_until_its_time() -> None:
    decision = decided(replace(LIVE, scheduled_at=LATER))
    assert (decision.verb, decision.code, decision.until) == (Verb.DEFER, "scheduled_at", LATER)


@pytest.mark.parametrize("scheduled_at", [NOW, NOW - timedelta(days=1)])
def test_a_scheduled_time_that_has_come_delays_nothing(scheduled_at: datetime) -> None:
    assert decided(replace(LIVE, scheduled_at=scheduled_at)).verb is Verb.SEND


def test_what_has_expired_is_not_told_at_the_very_moment() -> None:
    assert decided(replace(LIVE, expires_at=NOW)).code == "expired"


def test_what_is_unwanted_is_not_kept_waiting_first() -> None:
    policy = resolve([(Scope.GLOBAL, Rules(min_priority=Priority.HIGH))])
    assert decided(replace(LIVE, scheduled_at=LATER), policy).verb is Verb.SUPPRESS


# --- Which policy wins.


def test_the_narrower_policy_wins_field_by_field() -> None:
    policy = resolve(
        [
            (Scope.GLOBAL, Rules(enabled=True, min_priority=8, event_types=("*",), channel_ids=frozenset({1}))),
            (Scope.PLATFORM, Rules(min_priority=5)),
            (Scope.STREAMER, Rules(channel_ids=frozenset({2}))),
        ]
    )
    assert policy == Effective(
        enabled=Setting(True, Scope.GLOBAL),
        min_priority=Setting(5, Scope.PLATFORM),
        event_types=Setting(("*",), Scope.GLOBAL),
        channel_ids=Setting(frozenset({2}), Scope.STREAMER),
    )


def test_a_narrower_policy_can_switch_on_what_a_wider_one_switched_off() -> None:
    policy = resolve([(Scope.GLOBAL, Rules(enabled=False)), (Scope.STREAMER, Rules(enabled=True))])
    assert decided(policy=policy).verb is Verb.SEND


def test_the_lowest_priority_is_a_value_and_not_the_absence_of_one() -> None:
    policy = resolve([(Scope.GLOBAL, Rules(min_priority=8)), (Scope.STREAMER, Rules(min_priority=0))])
    assert policy.min_priority == Setting(0, Scope.STREAMER)


# --- Which channels are meant.


def test_by_default_all_shared_channels_and_the_streamers_own_are_meant() -> None:
    assert select(EVERYONE, [DISCORD, MAIL, AURORAS_OWN], streamer_key="aurora") == [DISCORD, MAIL, AURORAS_OWN]


def test_a_streamers_own_channel_never_tells_of_another() -> None:
    policy = resolve([(Scope.GLOBAL, Rules(channel_ids=frozenset({1, 3})))])
    assert select(policy, [DISCORD, MAIL, AURORAS_OWN], streamer_key="borealis") == [DISCORD]


def test_a_policy_that_names_no_channel_means_none() -> None:
    policy = resolve([(Scope.STREAMER, Rules(channel_ids=frozenset()))])
    assert select(policy, [DISCORD, MAIL], streamer_key="aurora") == []


# --- Patterns.


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("stream_online", True), ("stream_*", True), ("*", True), ("stream_?nline", True), ("stream", False)],
)
def test_patterns_fit_whole_event_types(pattern: str, fits: bool) -> None:
    assert matches("stream_online", [pattern]) is fits


# --- What holds for all of them.

rules = st.builds(
    Rules,
    enabled=st.none() | st.booleans(),
    min_priority=st.none() | st.integers(0, 10),
    event_types=st.none() | st.lists(st.sampled_from(["*", "stream_*", "x"]), max_size=2).map(tuple),
    channel_ids=st.none() | st.frozensets(st.integers(1, 3)),
)
moments = st.none() | st.integers(-100, 100).map(lambda minutes: NOW + timedelta(minutes=minutes))
facts = st.builds(
    Facts,
    event_type=st.sampled_from(["stream_online", "x", "y"]),
    priority=st.integers(0, 10),
    scheduled_at=moments,
    expires_at=moments,
)


@given(facts=facts, layers=st.tuples(rules, rules, rules), on=st.booleans())
def test_every_decision_has_a_reason_and_only_a_wait_has_a_time(
    facts: Facts, layers: tuple[Rules, Rules, Rules], on: bool
) -> None:
    policy = resolve(zip((Scope.GLOBAL, Scope.PLATFORM, Scope.STREAMER), layers, strict=True))
    decision = decide(facts, policy, replace(DISCORD, enabled=on), NOW)
    assert decision.code
    assert decision.text
    assert (decision.until is not None) is (decision.verb is Verb.DEFER)
    assert decision.until is None or decision.until > NOW


@given(layers=st.tuples(rules, rules, rules))
def test_every_field_in_force_comes_from_the_narrowest_policy_that_sets_it(layers: tuple[Rules, Rules, Rules]) -> None:
    scopes = (Scope.GLOBAL, Scope.PLATFORM, Scope.STREAMER)
    policy = resolve(zip(scopes, layers, strict=True))
    for name in ("enabled", "min_priority", "event_types", "channel_ids"):
        said = [
            (scope, getattr(layer, name))
            for scope, layer in zip(scopes, layers, strict=True)
            if getattr(layer, name) is not None
        ]
        setting = getattr(policy, name)
        assert (setting.scope, setting.value) == (said[-1] if said else (Scope.DEFAULT, getattr(EVERYONE, name).value))
