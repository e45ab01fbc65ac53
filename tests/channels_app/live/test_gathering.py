from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from channels_app.live.gathering import Gathering


def test_what_is_asked_meanwhile_is_asked_together() -> None:
    asked: list[list[int]] = []

    async def answer(some: Sequence[int]) -> list[int]:
        asked.append(list(some))
        await asyncio.sleep(0.01)
        return [2 * each for each in some]

    async def ask_all() -> list[int]:
        gathering = Gathering(answer, most=40, at_a_time=1)
        return await asyncio.gather(*[gathering.ask(number) for number in range(100)])

    assert asyncio.run(ask_all()) == [2 * number for number in range(100)]
    assert len(asked) <= 4
    assert max(map(len, asked)) == 40


def test_what_goes_wrong_is_raised_where_it_was_asked_and_the_next_is_answered() -> None:
    async def answer(some: Sequence[int]) -> list[int]:
        if 13 in some:
            raise LookupError
        return list(some)

    async def ask() -> int:
        gathering = Gathering(answer)
        with pytest.raises(LookupError):
            await gathering.ask(13)
        return await gathering.ask(1)

    assert asyncio.run(ask()) == 1


def test_who_does_not_wait_any_more_is_in_nobodys_way() -> None:
    async def answer(some: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return list(some)

    async def ask() -> int:
        gathering = Gathering(answer, at_a_time=1)
        first, second = asyncio.create_task(gathering.ask(1)), asyncio.create_task(gathering.ask(2))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(ask()) == 2


def test_a_slow_answer_holds_nobody_else_up() -> None:
    answered: list[int] = []

    async def answer(some: Sequence[int]) -> list[int]:
        await asyncio.sleep(5.0 if 13 in some else 0)
        return list(some)

    async def ask() -> None:
        gathering = Gathering(answer, at_a_time=2)
        slow = asyncio.create_task(gathering.ask(13))
        # Until it is under way.
        await asyncio.sleep(0.01)
        answered.append(await gathering.ask(1))
        assert not slow.done()
        slow.cancel()

    asyncio.run(ask())
    assert answered == [1]


def test_many_are_answered_beside_one_another() -> None:
    under_way, most = 0, 0

    async def answer(some: Sequence[int]) -> list[int]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return list(some)

    async def ask_all() -> list[int]:
        gathering = Gathering(answer, most=10, at_a_time=3)
        return await asyncio.gather(*[gathering.ask(number) for number in range(300)])

    assert asyncio.run(ask_all()) == list(range(300))
    assert most == 3
