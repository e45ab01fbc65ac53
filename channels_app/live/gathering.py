"""Questions that come at the same time are asked together: thousands who come back at once cost a few statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

#: So many wait for the next answer before one more is asked for beside it; and after so long in any case.
_MANY, _SLOW_S = 25, 0.05


class Gathering(Generic[Q, A]):
    """Answers by `answer`, which takes many questions and gives as many answers, or raises for all of them.

    The first question is asked at once. What comes while its answer is awaited goes together, up to `most`: each call
    costs more than what one more asks in it. Where many wait, or the answer is slow, up to `at_a_time` are awaited.
    """

    def __init__(
        self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, most: int = 500, at_a_time: int = 2
    ) -> None:
        self._answer, self._most, self._at_a_time = answer, most, at_a_time
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks_later = False

    async def ask(self, question: Q) -> A:
        """The answer. Raises what `answer` raised."""
        answered: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answered))
        if self._are_too_many(len(self._tasks)):
            self._begin()
        else:
            self._look_later()
        return await answered

    def _are_too_many(self, tasks: int) -> bool:
        """Whether more wait than so many tasks take with their next answers."""
        return len(self._waiting) > tasks * _MANY

    def _begin(self) -> None:
        if len(self._tasks) < self._at_a_time:
            task = asyncio.get_running_loop().create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _look_later(self) -> None:
        if not self._looks_later:
            self._looks_later = True
            asyncio.get_running_loop().call_later(_SLOW_S, self._look)

    def _look(self) -> None:
        """Whoever waits still waits for a slow answer, perhaps, and need not."""
        self._looks_later = False
        if self._waiting:
            self._begin()

    async def _serve(self) -> None:
        goes_on = bool(self._waiting)
        while goes_on:
            some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            await self._answer_all(some)
            goes_on = self._are_too_many(len(self._tasks) - 1)
        if self._waiting:
            self._look_later()

    async def _answer_all(self, some: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in some])
        except Exception as error:  # noqa: BLE001 - raised again where it was asked
            for _, answered in some:
                if not answered.done():
                    answered.set_exception(error)
        else:
            for (_, answered), answer in zip(some, answers, strict=True):
                if not answered.done():
                    answered.set_result(answer)
