"""The dot on the bell is right, in whatever order things happen: played against the real Redis and Postgres.

Each process commits first and tells Redis afterwards; whatever happens in between must not matter. The
other way, a bit that is set when something is published and deleted when nothing is unread, is played
in the same manner, and does not end right.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels_app import statement
from channels_app.feed import announcing, marking, reading
from channels_app.feed.shown import standing_of
from channels_app.feed.unread import Standing, UnreadCache, feed_volatile
from channels_app.models import InboxItem
from tests.channels_app.feed.scene import NOW, somebody, unread_rows, write

pytestmark = pytest.mark.django_db(transaction=True)

#: What somebody does, step by step; others may come between any two.
Program = Iterator[None]
Order = Sequence[int]


class Process:
    """A process with its own idea of the generation. What it has to tell Redis it keeps until `tell`."""

    def __init__(self) -> None:
        self.cache = UnreadCache(feed_volatile())
        self.cache.get("nobody")
        self._untold: list[tuple[list[Standing], str]] = []

    @property
    def generation(self) -> str:
        return self.cache.generation

    def put(self, standings: Iterable[Standing], known: str) -> None:
        self._untold.append((list(standings), known))

    def do(self, commit: Callable[[], object]) -> None:
        """Commit something, up to the point where Redis would be told."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(announcing, "default_unread", lambda: self)
            commit()

    def tell(self) -> None:
        for standings, known in self._untold:
            self.cache.put(standings, known)


def publisher(who: str) -> Program:
    process = Process()
    process.do(lambda: write(who))
    yield
    process.tell()


def marker(who: str) -> Program:
    process = Process()
    process.do(lambda: marking.read(who, everything=True, now=NOW))
    yield
    process.tell()


def unmarker(who: str) -> Program:
    """Somebody who wants to read it again later."""
    process = Process()
    ids = list(InboxItem.objects.filter(recipient=who).values_list("pk", flat=True))
    process.do(lambda: marking.unread(who, ids, now=NOW))
    yield
    process.tell()


def reader(who: str) -> Program:
    """Looks into Redis, finds nothing, looks at the rows, and stores what it saw."""
    process = Process()
    if process.cache.get(who) is not None:
        return
    yield
    known = process.cache.generation
    rows = statement.run(reading.POSITIONS, {"recipients": [who]})
    yield
    process.cache.put([standing_of(row) for row in rows], known)


def flush(_: str) -> Program:
    with redis.Redis(connection_pool=feed_volatile().client.connection_pool) as client:
        client.flushdb()
    yield


def play(programs: Sequence[Program], order: Order) -> None:
    """One step of the program that `order` names, after the other; what is left over then, to its end."""
    for place in order:
        next(programs[place], None)
    for program in programs:
        for _ in program:
            pass


def orders(*steps: int) -> Iterator[Order]:
    """All ways to put programs of so many steps together."""

    def fill(free: tuple[int, ...], place: int) -> Iterator[dict[int, int]]:
        if place == len(steps):
            yield {}
            return
        for chosen in combinations(free, steps[place]):
            rest = tuple(slot for slot in free if slot not in chosen)
            for others in fill(rest, place + 1):
                yield {**others, **dict.fromkeys(chosen, place)}

    for found in fill(tuple(range(sum(steps))), 0):
        yield [found[slot] for slot in range(sum(steps))]


def assert_the_dot_is_right(who: str) -> None:
    held = UnreadCache(feed_volatile()).get(who)
    assert held is None or held.unread == unread_rows(who)
    assert reading.state(who, now=NOW).unread == unread_rows(who)


@pytest.mark.parametrize("there_before", [0, 1])
def test_every_order_of_a_publisher_and_two_devices_that_read_ends_right(there_before: int) -> None:
    """S3-GP-01, S3-FD-08, S3-FD-10"""
    played = 0
    for order in orders(2, 2, 2):
        who = somebody()
        for _ in range(there_before):
            write(who)
        play([publisher(who), marker(who), marker(who)], order)
        assert_the_dot_is_right(who)
        played += 1
    assert played == 90


PROGRAMS = {"publish": publisher, "read": marker, "unread": unmarker, "look": reader, "flush": flush}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    names=st.lists(st.sampled_from(sorted(PROGRAMS)), min_size=2, max_size=6),
    order=st.lists(st.integers(0, 5), max_size=18),
)
def test_whatever_else_comes_between_it_ends_right(names: list[str], order: list[int]) -> None:
    """S3-GP-02: readers that fill, and a Redis that forgets, come between too"""
    who = somebody()
    write(who)
    play([PROGRAMS[name](who) for name in names], [place % len(names) for place in order])
    assert_the_dot_is_right(who)


def test_the_dot_is_never_deleted_when_everything_is_read(bus: redis.Redis) -> None:
    """S3-FD-10, S3-FD-09"""
    who = somebody()
    write(who)
    marking.read(who, everything=True, now=NOW)
    assert bus.hget(f"feed:state:{who}", "n") == "0"


class ABit:
    """The other way: one bit for each recipient, set by who publishes, deleted by who reads everything."""

    def __init__(self, bus: redis.Redis, who: str) -> None:
        self._bus, self._who, self._key = bus, who, f"has_unread:{who}"

    def publish(self) -> Program:
        write(self._who)
        yield
        self._bus.set(self._key, 1)

    def mark_read(self, *, dies_after_the_deletion: bool = False) -> Program:
        InboxItem.objects.filter(recipient=self._who).update(read_at=NOW)
        yield
        nothing_left = not unread_rows(self._who)
        yield
        if nothing_left:
            self._bus.delete(self._key)
        yield
        if dies_after_the_deletion:
            return
        raced_in = nothing_left and bool(unread_rows(self._who))
        yield
        if raced_in:
            self._bus.set(self._key, 1)

    def is_right(self) -> bool:
        return bool(self._bus.exists(self._key)) == bool(unread_rows(self._who))


def ends_wrong(bus: redis.Redis, order: Order, devices: int) -> bool:
    bit = ABit(bus, somebody())
    play([bit.publish(), *(bit.mark_read() for _ in range(devices))], order)
    return not bit.is_right()


def test_with_a_bit_three_of_twenty_one_orders_end_with_a_dot_for_nothing(bus: redis.Redis) -> None:
    """S3-FD-02, S3-FD-10: why it is another way here"""
    played = [ends_wrong(bus, order, devices=1) for order in orders(2, 5)]
    assert (sum(played), len(played)) == (3, 21)


def test_with_a_bit_and_two_devices_it_is_worse(bus: redis.Redis) -> None:
    """S3-GP-01"""
    chance = random.Random(7)
    steps: list[Any] = [0] * 2 + [1] * 5 + [2] * 5
    wrong = sum(ends_wrong(bus, chance.sample(steps, len(steps)), devices=2) for _ in range(100))
    assert wrong >= 5


def test_with_a_bit_a_death_at_the_wrong_moment_hides_what_is_unread(bus: redis.Redis) -> None:
    """S3-GP-02"""
    bit = ABit(bus, somebody())
    play([bit.mark_read(dies_after_the_deletion=True), bit.publish()], [0, 0, 1, 1, 0])
    assert not bit.is_right()
