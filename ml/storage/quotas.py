"""Quotas in Postgres, circuit breakers in Redis: what all workers of one provider share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

import psycopg
import pybreaker
import redis

from ml.settings import Settings, get_settings
from ml.sources.access import new_breaker
from ml.sources.quota import Quota, exceeded
from ml.storage.postgres import connect

# One statement, so that two workers cannot both spend the last unit.
_SPEND = """
insert into ops.quota_ledger (provider, day, pool, used, quota)
select %(provider)s, %(day)s, %(pool)s, %(units)s, %(quota)s where %(units)s <= %(quota)s
on conflict (provider, day, pool) do update
    set used = ops.quota_ledger.used + excluded.used, quota = excluded.quota
    where ops.quota_ledger.used + excluded.used <= excluded.quota
returning used
"""
_USED = "select used from ops.quota_ledger where provider = %s and day = %s and pool = %s"


class LedgerMeter:
    """A meter that keeps its count in `ops.quota_ledger`; a context manager."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._url = (settings or get_settings()).require("database_url")
        self._opened: psycopg.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _conn(self) -> psycopg.Connection:
        """Opened by the first call that counts: most sources have no quota."""
        if self._opened is None:
            self._opened = connect(self._url, autocommit=True)
        return self._opened

    def spend(self, quota: Quota, units: int, at: datetime | None) -> None:
        """Book `units` on the quota's day at `at` (now, if None).

        Raises:
            QuotaExceededError: if fewer are left; nothing is booked then.
        """
        moment = at or datetime.now(UTC)
        values = {
            "provider": quota.provider, "day": quota.day(moment).date(), "pool": quota.pool,
            "units": units, "quota": quota.per_day,
        }  # fmt: skip
        if self._conn.execute(_SPEND, values).fetchone() is None:
            raise exceeded(quota, units, self.left(quota, moment), moment)

    def left(self, quota: Quota, at: datetime | None) -> int:
        """Units that are left of that day."""
        day = quota.day(at or datetime.now(UTC)).date()
        row = self._conn.execute(_USED, (quota.provider, day, quota.pool)).fetchone()
        return quota.per_day - (row[0] if row else 0)


def shared_breaker(settings: Settings | None = None) -> Callable[[str], pybreaker.CircuitBreaker]:
    """Breakers whose state all workers share; without Redis each counts for itself."""
    client = redis.Redis.from_url((settings or get_settings()).require("redis_url"))

    def breaker(host: str) -> pybreaker.CircuitBreaker:
        storage = pybreaker.CircuitRedisStorage(
            pybreaker.STATE_CLOSED, client, namespace=f"breaker:{host}"
        )
        return new_breaker(host, storage)

    return breaker
