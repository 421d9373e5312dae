"""Work of requests that come together, done together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Batcher(Generic[Asked, Answer]):
    """Collects what is asked while a batch runs, and runs it as the next one.

    Alone, a request waits for nobody; under load the fixed cost of a call is shared.
    """

    def __init__(
        self, run: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], limit: int
    ) -> None:
        """Take `run`, which answers a list in order, and how much one call may hold."""
        self._run = run
        self._limit = limit
        self._waiting: list[tuple[Sequence[Asked], asyncio.Future[list[Answer]]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answer in order; whatever the run of its batch raises is raised here."""
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        while self._waiting:
            taken, size = [self._waiting.pop(0)], 0
            size += len(taken[0][0])
            while self._waiting and size + len(self._waiting[0][0]) <= self._limit:
                taken.append(self._waiting.pop(0))
                size += len(taken[-1][0])
            await self._answer(taken)

    async def _answer(
        self, taken: Sequence[tuple[Sequence[Asked], asyncio.Future[list[Answer]]]]
    ) -> None:
        try:
            answers = await self._run([each for asked, _ in taken for each in asked])
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            for _, future in taken:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for asked, future in taken:
            if not future.done():  # whoever asked may have gone
                future.set_result(list(answers[start : start + len(asked)]))
            start += len(asked)
