"""Requests that come together share a run, and an error reaches those it concerns."""

from __future__ import annotations

import asyncio

import pytest

from ml.serving.batching import Batcher


def test_what_comes_while_a_batch_runs_is_the_next_batch():
    batches = []

    async def double(numbers):
        batches.append(list(numbers))
        await asyncio.sleep(0.01)
        return [2 * number for number in numbers]

    async def ask():
        batcher = Batcher(double, limit=4)
        first = asyncio.create_task(batcher([1]))
        await asyncio.sleep(0.001)
        return await asyncio.gather(first, *(batcher([n, n + 10]) for n in (2, 3, 4)))

    assert asyncio.run(ask()) == [[2], [4, 24], [6, 26], [8, 28]]
    assert batches == [[1], [2, 12, 3, 13], [4, 14]]


def test_an_error_reaches_all_who_shared_the_run_and_nobody_else():
    async def halve(numbers):
        if 0 in numbers:
            raise ValueError("zero")
        return numbers

    async def ask():
        batcher = Batcher(halve, limit=1)
        return await asyncio.gather(batcher([0]), batcher([7]), return_exceptions=True)

    failed, well = asyncio.run(ask())
    assert isinstance(failed, ValueError)
    assert well == [7]


def test_who_goes_away_stops_nobody_else():
    async def slow(numbers):
        await asyncio.sleep(0.01)
        return numbers

    async def ask():
        batcher = Batcher(slow, limit=10)
        gone, stays = asyncio.create_task(batcher([1])), asyncio.create_task(batcher([2]))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(ask()) == [2]
