"""Answers that were computed before: in this process, then in Redis.

A key holds the canonical request, the model version and the event times of the features, so a new
version or newer features are another key, and nothing stale is ever found. Features themselves are
not copied to keys of their own: Feast's hashes in the same Redis are that cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ml.serving import metrics

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREDICTION_TTL_S = 86_400
_IN_PROCESS = 4096
# After a failure Redis is left alone for a while: a request must not wait for its timeout.
_PAUSE_S = 5.0


def cache_key(model_type: str, *parts: Any) -> str:
    """`predictions:{model_type}:{hash}`, the hash over a canonical form of `parts`."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_text)
    return f"predictions:{model_type}:{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"


class AnswerCache:
    """Two levels, and one computation however many ask at once."""

    def __init__(self, redis: Redis, size: int = _IN_PROCESS) -> None:
        self._redis = redis
        self._size = size
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._running: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._pause_until = 0.0

    async def get(
        self, key: str, compute: Callable[[], Awaitable[dict[str, Any]]]
    ) -> tuple[dict[str, Any], bool]:
        """The answer of `key` and whether it was there; computed once by the first that asks.

        Args:
            key: from `cache_key`.
            compute: makes the answer, which JSON can hold.
        """
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            metrics.CACHE.labels("memory").inc()
            return kept, True
        if (running := self._running.get(key)) is not None:
            metrics.CACHE.labels("shared").inc()
            return await asyncio.shield(running), True
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        try:
            answer, found = await self._from_redis_or(key, compute)
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # seen, even if nobody waited
            raise
        else:
            future.set_result(answer)
            self._keep(key, answer)
            return answer, found
        finally:
            del self._running[key]

    async def _from_redis_or(
        self, key: str, compute: Callable[[], Awaitable[dict[str, Any]]]
    ) -> tuple[dict[str, Any], bool]:
        stored = await self._try(lambda: self._redis.get(key))
        if stored is not None:
            metrics.CACHE.labels("redis").inc()
            answer: dict[str, Any] = json.loads(stored)
            return answer, True
        metrics.CACHE.labels("miss").inc()
        answer = await compute()
        await self._try(lambda: self._redis.set(key, json.dumps(answer), ex=PREDICTION_TTL_S))
        return answer, False

    async def _try(self, call: Callable[[], Awaitable[Any]]) -> Any:
        import redis.exceptions

        if time.monotonic() < self._pause_until:
            return None
        try:
            return await call()
        except (redis.exceptions.RedisError, OSError, TimeoutError):
            self._pause_until = time.monotonic() + _PAUSE_S
            return None

    def _keep(self, key: str, answer: dict[str, Any]) -> None:
        self._kept[key] = answer
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
