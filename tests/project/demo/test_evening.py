"""The recorded evening is what it is said to be, and is told as it is meant to."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta

from notifications.catalogue import KNOWN
from project.demo.player import Clock, Withdrawal, request_of, steps
from project.demo.recording import Line, read, tellings
from project.demo.stage import STREAMERS

CLOCK = Clock(datetime(2026, 3, 14, 12, tzinfo=UTC), speed=1000.0)
LINES = read()


def test_it_holds_every_event_type_and_enough_of_them() -> None:
    assert {line.event_type for line in LINES} == set(KNOWN)
    assert len(LINES) >= 240


def test_its_streamers_are_on_the_stage_and_on_several_platforms() -> None:
    keys = {str(streamer["key"]) for streamer in STREAMERS}
    assert {line.streamer for line in LINES if line.streamer} == keys
    assert len(keys) >= 6
    assert len({streamer["platform"] for streamer in STREAMERS}) >= 3


def test_every_line_has_what_its_default_texts_name() -> None:
    names = {
        "stream_online": {"streamer_id", "streamer_name", "title"},
        "download_completed": {"session_id", "file_size_bytes", "duration_secs"},
        "segment_completed": {"session_id", "segment_path", "segment_index", "size_bytes", "duration_secs"},
        "pipeline_failed": {"job_id", "job_type", "error_message"},
        "out_of_space": {"path", "available_bytes", "threshold_bytes"},
        "credential_refresh_failed": {"scope", "platform", "error", "requires_relogin", "failure_count"},
    }
    for line in LINES:
        assert names.get(line.event_type, set()) | {"timestamp"} <= set(line.data), line.key


def test_it_is_in_order_and_lasts_about_five_hours() -> None:
    times = [line.at for line in LINES]
    assert times == sorted(times)
    assert 4.5 * 3600 < times[-1] < 5.5 * 3600


def test_one_line_comes_twice_and_is_the_same_both_times() -> None:
    [(key, times)] = [item for item in Counter(line.key for line in LINES).items() if item[1] > 1]
    first, second = (line for line in LINES if line.key == key)
    assert times == 2
    assert request_of(first, CLOCK, run="r") == request_of(second, CLOCK, run="r")


def test_some_are_for_later_one_expires_at_once_and_one_is_taken_back() -> None:
    later = [line for line in LINES if line.scheduled_after is not None]
    assert len(later) >= 4
    assert any((line.expires_after or math.inf) - (line.scheduled_after or 0) <= 1 for line in later)
    [taken_back] = [line for line in LINES if line.withdraw_after is not None]
    assert (taken_back.scheduled_after or 0) > (taken_back.withdraw_after or 0)


def test_a_repeated_line_is_told_alone_and_nothing_is_left_out() -> None:
    told = list(tellings(LINES))
    assert sorted(line.key for telling in told for line in telling.lines) == sorted(line.key for line in LINES)
    assert all(len({line.key for line in telling.lines}) == len(telling.lines) for telling in told)
    assert any(len(telling.lines) > 1 for telling in told)


def test_what_is_taken_back_was_told_before() -> None:
    done: set[str] = set()
    for step in steps(LINES):
        if isinstance(step, Withdrawal):
            assert step.key in done
        else:
            done |= {line.key for line in step.lines}


def test_times_of_the_evening_are_told_in_the_time_of_the_play() -> None:
    line = Line(at=100.0, key="k", event_type="stream_online", data={}, scheduled_after=400.0, expires_after=900.0)
    body = request_of(line, CLOCK, run="run")
    assert body["scheduled_at"] == (CLOCK.began_at + timedelta(seconds=0.5)).isoformat()
    assert body["expires_at"] == (CLOCK.began_at + timedelta(seconds=1)).isoformat()
    assert body["idempotency_key"] == "run-k"
    assert "priority" not in body
