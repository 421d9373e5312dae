"""Features of an online store that hangs: one request waits for it, the others do not."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest
from links import Link
from redis.asyncio import Redis

from ml.exceptions import ServiceUnavailableError
from ml.serving.online import OnlineReader
from ml.settings import Settings

TIMEOUT_S = 0.5


def test_a_store_that_hangs_is_waited_for_once_and_used_again_when_it_is_back(stack: Settings):
    link = Link(stack.require("redis_url"))
    command = b"*3\r\n$5\r\nHMGET\r\n$7\r\nnothing\r\n$1\r\nf\r\n"
    layout = SimpleNamespace(command=lambda entity: command)

    async def ask() -> None:
        redis = Redis.from_url(link.url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        reader = OnlineReader(stack, redis)

        async def refused() -> float:
            start = time.monotonic()
            with pytest.raises(ServiceUnavailableError, match="online store"):
                await reader.read(layout, ["v"])
            return time.monotonic() - start

        assert len(await reader.read(layout, ["v"])) == 1
        link.freeze()
        assert await refused() >= TIMEOUT_S
        assert max([await refused() for _ in range(20)]) < TIMEOUT_S / 5
        link.cut()
        link.mend()
        await asyncio.sleep(1.1)
        assert len(await reader.read(layout, ["v"])) == 1
        await redis.aclose()

    asyncio.run(ask())
    link.cut()
