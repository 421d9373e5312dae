"""A stop does not wait for what runs apart."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ml.serving.background import apart


def test_the_loop_ends_while_the_work_goes_on():
    released = threading.Event()

    async def stop_soon():
        task = asyncio.create_task(apart(lambda: released.wait(30) and None))
        await asyncio.sleep(0.05)
        task.cancel()

    started = time.monotonic()
    asyncio.run(stop_soon())
    assert time.monotonic() - started < 10
    released.set()


def test_an_error_is_raised_where_it_is_awaited():
    def fail():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        asyncio.run(apart(fail))
