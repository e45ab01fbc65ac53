from __future__ import annotations

import pytest

from channels_app.live.wheel import SLOTS, Wheel


class Thing:
    turn = 0


@pytest.fixture
def wheel() -> Wheel[Thing]:
    return Wheel(1_000.0)


def test_a_thing_comes_in_its_second_and_once(wheel: Wheel[Thing]) -> None:
    thing = Thing()
    wheel.put(thing, 1_002.3)
    assert list(wheel.due(1_002.9)) == []
    assert list(wheel.due(1_003.0)) == [thing]
    assert list(wheel.due(1_200.0)) == []


def test_what_is_put_again_comes_at_its_new_time_alone(wheel: Wheel[Thing]) -> None:
    thing = Thing()
    wheel.put(thing, 1_002.0)
    wheel.put(thing, 1_010.0)
    assert list(wheel.due(1_009.0)) == []
    assert list(wheel.due(1_011.0)) == [thing]


def test_sooner_never_means_later(wheel: Wheel[Thing]) -> None:
    thing = Thing()
    wheel.put(thing, 1_005.0)
    wheel.sooner(thing, 1_020.0)
    assert list(wheel.due(1_006.0)) == [thing]
    wheel.put(thing, 1_020.0)
    wheel.sooner(thing, 1_008.0)
    assert list(wheel.due(1_009.0)) == [thing]


def test_what_was_removed_does_not_come(wheel: Wheel[Thing]) -> None:
    thing = Thing()
    wheel.put(thing, 1_002.0)
    wheel.remove(thing)
    assert list(wheel.due(1_100.0)) == []


def test_what_lies_far_ahead_is_visited_in_between(wheel: Wheel[Thing]) -> None:
    thing = Thing()
    wheel.put(thing, 99_999.0)
    assert list(wheel.due(1_000.0 + SLOTS)) == [thing]


def test_what_is_late_comes_at_the_next_turn(wheel: Wheel[Thing]) -> None:
    thing = Thing()
    wheel.put(thing, 3.0)
    assert list(wheel.due(1_001.0)) == [thing]
