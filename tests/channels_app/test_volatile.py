"""The Redis that may be away: its absence costs next to nothing, and it is taken up again by itself."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import redis
from django.conf import settings
from structlog.testing import capture_logs

from channels_app.volatile import Away, Script, Volatile, connect, default_volatile

LOOK = Script("breaker_state", "breaker_look")


def call(volatile: Volatile) -> object:
    return volatile.run(LOOK, [], (False, []))


def test_a_frozen_redis_is_waited_for_once_and_then_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        volatile = Volatile(connect(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"))
        started = time.monotonic()
        with pytest.raises(Away):
            call(volatile)
        assert 0.2 < time.monotonic() - started < 0.8
        started = time.monotonic()
        for _ in range(1000):
            with pytest.raises(Away):
                call(volatile)
        assert time.monotonic() - started < 0.2
        volatile.client.close()


def test_it_is_asked_again_after_its_rest() -> None:
    volatile = Volatile(connect("redis://127.0.0.1:1/0"), rest_s=0.05)
    with pytest.raises(Away):
        call(volatile)
    volatile.client = connect(settings.BELFRY_REDIS_URL)
    with pytest.raises(Away):
        call(volatile)
    time.sleep(0.06)
    assert call(volatile) == []
    volatile.client.close()


def test_connections_that_redis_has_closed_are_replaced_without_a_word(volatile: Volatile) -> None:
    call(volatile)
    with redis.Redis.from_url(settings.BELFRY_REDIS_URL) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    assert call(volatile) == []


def test_a_script_that_is_refused_is_reported_once_and_needs_no_rest(volatile: Volatile) -> None:
    broken = Script("breaker_look")
    broken.text, broken.digest = "this is no Lua", "0" * 40
    with capture_logs() as logs:
        for _ in range(5):
            with pytest.raises(Away):
                volatile.run(broken, [], (False, []))
    assert [(log["event"], log["log_level"], log["script"]) for log in logs] == [
        ("redis_script_failed", "error", "breaker_look")
    ]
    assert call(volatile) == []


def test_what_a_script_fails_at_is_left_out_and_the_others_are_answered(volatile: Volatile) -> None:
    volatile.client.rpush("k:2", "of another type")
    keys = ["k:1", "k:2", "k:3"]
    with capture_logs() as logs:
        first, failed, third = volatile.run(LOOK, keys, (1000, [1000] * 3))
    assert (first[0], failed, third[0]) == ("closed", None, "closed")
    assert [(log["script"], log["key"], log["channels"]) for log in logs] == [("breaker_look", "k:2", 1)]
    assert "WRONGTYPE" in logs[0]["error"]
    with pytest.raises(Away):
        volatile.insist(LOOK, keys, (1000, [1000] * 3))


def test_a_script_that_redis_does_not_know_is_sent_to_it(volatile: Volatile) -> None:
    volatile.client.script_flush()
    assert call(volatile) == []
    assert volatile.client.script_exists(LOOK.digest) == [True]


def test_threads_may_share_one(volatile: Volatile) -> None:
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(call(volatile))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[]] * 20


def test_the_default_is_one_for_the_whole_process() -> None:
    assert default_volatile() is default_volatile()
    assert default_volatile().client.ping()
