"""Questions that come at the same time are asked together: thousands who come back at once cost a few statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """Answers by `answer`, which takes many questions and gives as many answers, or raises for all of them.

    The first question is asked at once. What comes while `at_a_time` answers are awaited goes together, up to `most`.
    """

    def __init__(
        self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, most: int = 500, at_a_time: int = 2
    ) -> None:
        self._answer, self._most, self._at_a_time = answer, most, at_a_time
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q) -> A:
        """The answer. Raises what `answer` raised."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answered))
        if len(self._tasks) < self._at_a_time:
            task = loop.create_task(self._serve())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answered

    async def _serve(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
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
