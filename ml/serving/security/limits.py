"""Rate limits: the generic cell rate algorithm, in Redis and, while that is away, in the process.

A caller may use its whole quota at once and then gets it back evenly. The state is one number a
key: the time at which the quota will be whole again ("theoretical arrival time" of ITU-T I.371).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ml.serving.background import BEHIND_S

log = logging.getLogger(__name__)

# One round trip, one script: two workers cannot both take the last call. Times in microseconds by
# the clock of Redis, which all workers share. As many of the wanted calls are given as there are.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, calls, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local whole = tonumber(redis.call('GET', KEYS[1]) or now)
if whole < now then whole = now end
local left = math.floor((now + calls * interval - whole) / interval + 0.000001)
if left < 1 then return {0, 0, whole - now, whole + interval - calls * interval - now} end
local given = math.min(left, wanted)
whole = whole + given * interval
redis.call('SET', KEYS[1], string.format('%.0f', whole), 'PX', math.ceil((whole - now) / 1000) + 1)
return {given, left - given, whole - now, 0}
"""
_PREFIX = "ytempire:rate:"
_REDIS_TIMEOUT_S = 0.5
_ASK_AGAIN_S = 1.0
# A worker takes a thousandth of a large quota at once, so that a hot caller costs few round trips.
_LEASE = 1000
_LEASE_S = 1.0
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in so many seconds."""

    calls: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read `CALLS/SECONDS`, such as `600/60`.

        Raises:
            ValueError: if it is not two positive numbers.
        """
        calls, _, seconds = text.partition("/")
        limit = cls(int(calls), float(seconds))
        if limit.calls < 1 or not 0 < limit.seconds < math.inf:
            raise ValueError(f"{text!r}: both numbers must be positive")
        return limit


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may be made, and how much of the quota is left.

    Attributes:
        reset_s: until the quota is whole again.
        retry_s: until the next call may be made; 0 where this one may.
    """

    limit: Limit
    allowed: bool
    remaining: int
    reset_s: float
    retry_s: float

    def headers(self) -> dict[str, str]:
        """Headers of draft-ietf-httpapi-ratelimit-headers-07, and Retry-After when refused."""
        fields = {
            "RateLimit-Limit": str(self.limit.calls),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_s)),
            "RateLimit-Policy": f"{self.limit.calls};w={math.ceil(self.limit.seconds)}",
        }
        if not self.allowed:
            fields["Retry-After"] = str(max(1, math.ceil(self.retry_s)))
        return fields


class LocalLimiter:
    """The algorithm in this process. Keys are bounded: idle ones go first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._whole: dict[str, float] = {}

    def take(self, key: str, limit: Limit) -> Decision:
        """Take one call of the quota of `key`."""
        now, interval = self._clock(), limit.seconds / limit.calls
        whole = max(self._whole.get(key, now), now)
        room = now + limit.seconds - (whole + interval)
        # Sums of floats: a millionth of an interval is no call more or less.
        if room < -1e-6 * interval:
            return Decision(limit, False, 0, whole - now, -room)
        self._make_room(now)
        whole += interval
        self._whole[key] = whole
        remaining = max(0, math.floor(room / interval + 1e-6))
        return Decision(limit, True, remaining, whole - now, 0.0)

    def exhausted(self, key: str, limit: Limit) -> bool:
        """Whether `take` would refuse; takes nothing."""
        now, interval = self._clock(), limit.seconds / limit.calls
        return self._whole.get(key, now) + interval - now - limit.seconds > 1e-6 * interval

    def _make_room(self, now: float) -> None:
        if len(self._whole) < _MOST_KEYS:
            return
        self._whole = {key: whole for key, whole in self._whole.items() if whole > now}
        while len(self._whole) >= _MOST_KEYS:
            del self._whole[next(iter(self._whole))]


@dataclass(slots=True)
class _Lease:
    """Calls of a key that this worker took in advance."""

    left: int
    until: float
    remaining: int
    reset_s: float
    is_renewed: bool = False


class Limiter:
    """Limits in Redis, shared by all workers; local ones while it does not answer.

    A worker alone cannot know what the others let through, so its local quota is its share.
    """

    def __init__(self, redis_url: str | None, workers: int) -> None:
        self._url = redis_url
        self._workers = workers
        self._local = LocalLimiter()
        self._leases: dict[str, _Lease] = {}
        self._ask_again_at = 0.0
        self._is_away = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Redis | None = None
        self._script: Any = None
        self._due: set[asyncio.TimerHandle] = set()
        self._renewals: set[asyncio.Task[None]] = set()

    async def take(self, key: str, limit: Limit) -> Decision:
        """Take one call of the quota of `key`. Answers also without Redis."""
        lease, now = self._leases.get(key), time.monotonic()
        if lease is not None and lease.left > 0 and now < lease.until:
            lease.left -= 1
            if not lease.is_renewed and (
                lease.until - now < _LEASE_S / 2 or lease.left < _lease_of(limit) / 4
            ):
                self._renew_later(key, limit, lease)
            return Decision(limit, True, lease.remaining + lease.left, lease.reset_s, 0.0)
        if self._url is not None and time.monotonic() >= self._ask_again_at:
            if self._is_away:
                # One request asks whether it is back; the others do not wait for the answer.
                self._ask_again_at = time.monotonic() + _ASK_AGAIN_S
            try:
                return await self._take_shared(key, limit)
            except (RedisError, OSError, TimeoutError) as error:
                self._lost(error)
        return self._local.take(key, self._share(limit))

    async def close(self) -> None:
        """Close the connections."""
        for timer in self._due:
            timer.cancel()
        self._due.clear()
        for renewal in self._renewals:
            renewal.cancel()
        await asyncio.gather(*self._renewals, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = self._loop = None

    async def _take_shared(self, key: str, limit: Limit) -> Decision:
        given, remaining, reset_s, retry_s = await self._ask(key, limit, _lease_of(limit))
        in_advance = self._lease(key, given - 1, remaining, reset_s) if given > 1 else 0
        return Decision(limit, given > 0, remaining + in_advance, reset_s, retry_s)

    async def _ask(self, key: str, limit: Limit, wanted: int) -> tuple[int, int, float, float]:
        """How many of the wanted calls are given, how many are left, `reset_s` and `retry_s`."""
        interval_us = limit.seconds / limit.calls * 1e6
        script = self._shared_script()
        # For connecting, logging in and asking together.
        async with asyncio.timeout(_REDIS_TIMEOUT_S):
            given, remaining, reset_us, retry_us = await script(
                keys=[_PREFIX + key], args=[interval_us, limit.calls, wanted]
            )
        if self._is_away:
            self._is_away, self._ask_again_at = False, 0.0
            log.warning("rate limits are shared again")
        return given, remaining, reset_us / 1e6, retry_us / 1e6

    def _lease(self, key: str, given: int, remaining: int, reset_s: float) -> int:
        if len(self._leases) >= _MOST_KEYS:
            self._leases.clear()
        now = time.monotonic()
        lease = self._leases.get(key)
        # Two requests may have asked at the same time.
        kept = lease.left if lease is not None and now < lease.until else 0
        self._leases[key] = _Lease(kept + given, now + _LEASE_S, remaining, reset_s)
        return kept + given

    def _renew_later(self, key: str, limit: Limit, lease: _Lease) -> None:
        """Take anew what is used up, behind the requests: a steady caller waits for no Redis."""
        lease.is_renewed = True

        def renew() -> None:
            self._due.discard(timer)
            task = loop.create_task(self._renew(key, limit, lease))
            self._renewals.add(task)
            task.add_done_callback(self._renewals.discard)

        loop = asyncio.get_running_loop()
        timer = loop.call_later(BEHIND_S, renew)
        self._due.add(timer)

    async def _renew(self, key: str, limit: Limit, lease: _Lease) -> None:
        if self._is_away or self._leases.get(key) is not lease:
            return  # a request asks whether Redis is back, or has renewed it already
        try:
            wanted = max(1, _lease_of(limit) - lease.left)
            given, remaining, reset_s, _ = await self._ask(key, limit, wanted)
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            return
        if given:
            self._lease(key, given, remaining, reset_s)

    def _shared_script(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # Connections belong to the loop that opened them.
            self._client = Redis.from_url(
                str(self._url),
                socket_timeout=_REDIS_TIMEOUT_S,
                socket_connect_timeout=_REDIS_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
            self._script, self._loop = self._client.register_script(_TAKE), loop
        return self._script

    def _lost(self, error: Exception) -> None:
        self._ask_again_at = time.monotonic() + _ASK_AGAIN_S
        if not self._is_away:
            self._is_away = True
            log.warning("rate limits are local, Redis is away: %s", type(error).__name__)

    def _share(self, limit: Limit) -> Limit:
        return Limit(max(1, limit.calls // self._workers), limit.seconds)


def _lease_of(limit: Limit) -> int:
    return max(1, limit.calls // _LEASE)
