"""What a fetch gets of the outside: clients that count, wait, and give up on a broken provider."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pybreaker

from ml.exceptions import FatalError, RateLimitedError
from ml.settings import Settings
from ml.sources.http import NO_CREDENTIALS, Credentials, HttpClient
from ml.sources.quota import FULL, Level, MemoryMeter, Meter

if TYPE_CHECKING:
    from ml.sources.base import Source

FAILURES = 10  # in a row open the circuit of a provider's host: two requests given up
COOL_DOWN_S = 120.0
_storages: dict[str, pybreaker.CircuitBreakerStorage] = {}
_storages_lock = threading.Lock()


def local_breaker(host: str) -> pybreaker.CircuitBreaker:
    """A breaker of a host; those of one process share their state."""
    with _storages_lock:
        storage = _storages.setdefault(host, pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED))
    return new_breaker(host, storage)


def new_breaker(host: str, storage: pybreaker.CircuitBreakerStorage) -> pybreaker.CircuitBreaker:
    """A breaker that refusals (a wrong key, a quota, too many requests) do not trip.

    Every call makes its own, because a breaker holds a lock while it calls; the state is shared.
    """
    return pybreaker.CircuitBreaker(
        fail_max=FAILURES,
        reset_timeout=COOL_DOWN_S,
        exclude=[FatalError, RateLimitedError],
        state_storage=storage,
        name=host,
        throw_new_error_on_trip=False,
    )


class Access:
    """Makes the HTTP clients of one fetch.

    Args:
        settings: say where providers are asked and with which credentials.
        meter: counts calls against quotas.
        breaker: the circuit breaker of a host.
        level: how complete the fetch is to be; one of the source's levels.
        at: the moment to ask the simulated world about.
        skipped_since: start of the intervals just before that were skipped to save a quota.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        meter: Meter | None = None,
        breaker: Callable[[str], pybreaker.CircuitBreaker] = local_breaker,
        level: Level = FULL,
        at: datetime | None = None,
        skipped_since: datetime | None = None,
    ) -> None:
        self.settings = settings
        self.meter = meter or MemoryMeter()
        self.level = level
        self.skipped_since = skipped_since
        self.at = at if settings.uses_world else None
        self._breaker = breaker

    def client(
        self,
        source: Source,
        *,
        base_url: str = "",
        credentials: Credentials = NO_CREDENTIALS,
    ) -> HttpClient:
        """A client of the source's provider.

        Args:
            source: whose spec says address and politeness.
            base_url: another address of the provider than the spec's.
            credentials: what to present; sent, and never seen.
        """
        return HttpClient(
            source.id,
            base_url or source.spec.base_url,
            self.settings,
            credentials=credentials,
            breaker=self._breaker,
            meter=self.meter,
            min_interval_s=0.0 if self.settings.uses_world else source.spec.min_interval_s,
            at=self.at,
        )
