"""A tampered bus loses, repeats and reorders as much as it is asked to, and nothing else."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from project.chaos.live.tampering import UNTOUCHED, Entry, Tamperer, Tampering

HINTS: list[Entry] = [(b"feed:bus:0", {b"s": str(number).encode()}) for number in range(1000)]


def numbers(how: Tampering, hints: list[Entry] = HINTS) -> list[int]:
    tamperer = Tamperer("redis://a", "redis://b", ["feed:bus:0"], how, Random(7))
    passed = [entry for start in range(0, len(hints), 20) for entry in tamperer.tampered(hints[start : start + 20])]
    return [int(fields[b"s"]) for _, fields in [*passed, *tamperer.tampered([])]]


def test_untouched_everything_comes_once_in_order() -> None:
    assert not UNTOUCHED
    assert numbers(UNTOUCHED) == list(range(1000))


def test_some_are_lost() -> None:
    came = numbers(Tampering(lost=0.1))
    assert came == sorted(came)
    assert 850 < len(came) < 950


def test_some_come_twice() -> None:
    came = Counter(numbers(Tampering(repeated=0.3)))
    assert set(came) == set(range(1000))
    assert 200 < sum(times == 2 for times in came.values()) < 400


def test_some_are_overtaken_and_none_is_lost() -> None:
    came = numbers(Tampering(overtaken=0.3))
    assert sorted(came) == list(range(1000))
    assert sum(later < earlier for earlier, later in pairwise(came)) > 100


def test_it_knows_whether_it_has_done_all_that_it_was_to_do() -> None:
    tamperer = Tamperer("redis://a", "redis://b", [], Tampering(lost=0.5, repeated=0.5), Random(7))
    assert not tamperer.has_tampered
    tamperer.tampered(HINTS)
    assert tamperer.has_tampered


@pytest.mark.parametrize("count", [0, 1])
def test_what_is_held_back_comes_when_nothing_else_does(count: int) -> None:
    assert numbers(Tampering(overtaken=1.0), HINTS[:count]) == list(range(count))
