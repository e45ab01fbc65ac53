"""What live processes are told after a COMMIT, entry by entry."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import transaction

from channels_app.feed import erase, hints, marking, writing
from channels_app.feed.hints import MAX_ITEM_BYTES, MOST_OF_ONE_FEED
from tests.channels_app.feed.scene import NOW, an_item, somebody, write

pytestmark = pytest.mark.django_db(transaction=True)


LOST = {"u": "*", "k": "lost"}


def told(bus: redis.Redis) -> list[dict[str, str]]:
    """All hints on the bus, those of one stream in order. How each stream begins is left out."""
    entries: list[dict[str, str]] = []
    for stream in hints.streams(settings.BELFRY_FEED_SHARDS):
        found: Any = bus.xrange(stream)
        assert [fields for _, fields in found[:1]] in ([], [LOST])
        entries += [fields for _, fields in found[1:]]
    return entries


def test_a_change_is_told_with_all_that_a_client_needs(bus: redis.Redis) -> None:
    began = time.time()
    who = somebody()
    write(who)
    marking.read(who, everything=True, now=NOW)
    new, read = told(bus)
    assert {name: new[name] for name in "uesknv"} == {"u": who, "e": "1", "s": "1", "k": "new", "n": "1", "v": "1"}
    assert began - 1 < float(new["t"]) < time.time() + 1
    assert json.loads(new["d"])["title"] == "It is on"
    assert (read["s"], read["k"], read["n"], json.loads(read["d"])["read"]) == ("2", "updated", "0", True)


def test_all_that_is_told_of_a_feed_goes_over_one_stream(bus: redis.Redis) -> None:
    people = [somebody() for _ in range(40)]
    write(*people, *people)
    used = [stream for stream in hints.streams(settings.BELFRY_FEED_SHARDS) if bus.exists(stream)]
    assert len(used) == settings.BELFRY_FEED_SHARDS
    for who in people:
        found: Any = bus.xrange(hints.stream(who, settings.BELFRY_FEED_SHARDS))
        assert [fields["s"] for _, fields in found if fields["u"] == who] == ["1", "2"]


def test_what_is_rolled_back_is_told_to_nobody(bus: redis.Redis) -> None:
    with transaction.atomic():
        write(somebody())
        transaction.set_rollback(True)
    assert told(bus) == []


def test_a_large_item_is_left_to_be_read(bus: redis.Redis) -> None:
    write(somebody(), body="x" * MAX_ITEM_BYTES)
    (entry,) = told(bus)
    assert "d" not in entry


def test_of_very_many_changes_of_a_feed_the_last_is_told(bus: redis.Redis) -> None:
    who = somebody()
    count = MOST_OF_ONE_FEED + 1
    writing.publish([an_item(who, title=str(number)) for number in range(count)], now=NOW)
    assert [entry["s"] for entry in told(bus)] == [str(count)]


def test_kicks_resets_and_broadcasts(bus: redis.Redis) -> None:
    """S2-WS-03, S2-BG-06: a kick reaches every process"""
    who = somebody()
    write(who)
    bus.flushdb()
    assert hints.kick(who, "phone")
    hints.broadcast(7)
    erase.erase(who)
    kick, broadcast, reset = sorted(told(bus), key=lambda entry: "kbr".index(entry.get("k", "b")[0]))
    assert kick == {"u": who, "k": "kick", "device": "phone"}
    assert (broadcast["u"], broadcast["b"]) == ("*", "7")
    assert reset == {"u": who, "k": "reset", "e": "2"}


def test_streams_do_not_grow_without_end(bus: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "STREAM_LENGTH", 10)
    who = somebody()
    for _ in range(20):
        writing.publish([an_item(who) for _ in range(MOST_OF_ONE_FEED)], now=NOW)
    length: Any = bus.xlen(hints.stream(who, settings.BELFRY_FEED_SHARDS))
    assert length < 1000
