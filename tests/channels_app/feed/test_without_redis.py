"""Redis frozen, gone or full: feeds go on, nobody waits for more than its patience, and what is dropped is counted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings

from channels_app.feed import announcing, hints, marking, reading, unread
from channels_app.feed.unread import REST_S, TIMEOUT_S, UnreadCache, feed_volatile
from channels_app.volatile import Volatile, connect
from tests.channels_app.feed.mute import Mute, a_mute_redis
from tests.channels_app.feed.scene import NOW, assert_right, somebody, write

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mute() -> Iterator[Mute]:
    with a_mute_redis() as running, override_settings(BELFRY_REDIS_URL=running.url):
        yield running


def dropped() -> float:
    return float(hints.DROPPED._value.get())


def test_a_frozen_redis_is_waited_for_once_and_for_a_tenth_of_a_second(mute: Mute) -> None:
    """S3-FD-04, S3-FD-13, S3-OU-03: shorter, since answers come from Postgres as well"""
    assert (TIMEOUT_S, REST_S) == (0.1, 5.0)
    who = somebody()
    began = time.monotonic()
    assert reading.state(who, now=NOW).unread == 0
    waited_s = time.monotonic() - began
    assert waited_s >= TIMEOUT_S
    for number in range(1, 21):
        write(who)
        assert reading.state(who, now=NOW).unread == number
    marking.read(who, everything=True, now=NOW)
    assert reading.state(who, now=NOW).unread == 0
    assert mute.connections == 1
    assert feed_volatile().client.connection_pool.connection_kwargs["socket_timeout"] == TIMEOUT_S
    assert_right(who)


def test_what_live_processes_are_not_told_is_counted_and_nothing_else_happens(mute: Mute) -> None:
    """S3-FD-04: publishing never fails because of Redis"""
    before = dropped()
    who = somebody()
    write(who, who, who)
    assert dropped() == before + 3
    assert not hints.kick(who)
    assert dropped() == before + 4
    hints.broadcast(1)
    hints.reset([(who, 2)])
    assert dropped() == before + 6
    assert_right(who)


def test_a_redis_that_is_gone_says_so_at_once() -> None:
    with override_settings(BELFRY_REDIS_URL="redis://127.0.0.1:1/0"):
        who = somebody()
        write(who)
        assert reading.state(who, now=NOW).unread == 1


def test_each_answer_without_redis_is_counted(absent: Volatile) -> None:
    asked = unread.ASKED.labels("away")
    before = asked._value.get()
    cache = UnreadCache(absent)
    assert [cache.get("ann"), cache.get("ann")] == [None, None]
    assert asked._value.get() == before + 2


def test_what_could_not_be_stored_lets_nothing_older_count_afterwards(cache: UnreadCache) -> None:
    """S3-GP-02: an outage during a mark leaves no wrong dot behind"""
    who = somebody()
    write(who)
    assert reading.state(who, now=NOW).unread == 1
    volatile = Volatile(connect(settings.BELFRY_REDIS_URL))
    writer = UnreadCache(volatile, repay_after_s=0.05)
    volatile._rests_until = math.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(announcing, "default_unread", lambda: writer)
        marking.read(who, everything=True, now=NOW)
    assert held(cache, who) == 1
    volatile._rests_until = 0.0
    give_up_at = time.monotonic() + 20
    while held(cache, who) is not None:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    assert reading.state(who, now=NOW).unread == 0


def held(cache: UnreadCache, who: str) -> int | None:
    found = cache.get(who)
    return None if found is None else found.unread
