"""The world's own clock.

Everything is answered for a whole minute: that is what makes pages, etags and caches stable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ml.world.parameters import WORLD_START

NOW_HEADER = "X-World-Now"


class WorldClock:
    """Starts at `start` and runs `speed` times as fast as the machine's.

    Without a start it agrees with the machine's clock at the world's start, so that a restarted
    server goes on where the old one would be.
    """

    def __init__(
        self,
        start: datetime | None = None,
        speed: float = 1.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._speed = speed
        if start is not None and start.tzinfo is None:
            start = start.replace(tzinfo=UTC)
        self._origin = start or WORLD_START
        self._zero = wall() if start else WORLD_START.timestamp()

    @property
    def speed(self) -> float:
        """How many times as fast as the machine's clock it runs."""
        return self._speed

    def now(self) -> datetime:
        """The world's time."""
        return self._origin + timedelta(seconds=(self._wall() - self._zero) * self._speed)

    def run_at(self, speed: float) -> None:
        """Run at another speed from now on, without a jump.

        Raises:
            ValueError: if it is no positive number: the world's time never goes back.
        """
        if not 0.0 < speed < math.inf:
            raise ValueError(f"the clock's speed must be a number above 0, not {speed}")
        wall = self._wall()
        self._origin += timedelta(seconds=(wall - self._zero) * self._speed)
        self._zero, self._speed = wall, speed

    def minute(self, override: str | None = None) -> int:
        """Minutes since the world's start, by this clock or by an `X-World-Now` header.

        Raises:
            ValueError: if the header is not an ISO 8601 time with a zone.
        """
        if override is None:
            now = self.now()
        else:
            now = datetime.fromisoformat(override)
            if now.tzinfo is None:
                raise ValueError(f"{NOW_HEADER} needs a time zone: {override}")
        return math.floor((now - WORLD_START).total_seconds() / 60.0)


def moment(hours: float) -> datetime:
    """The time that many hours after the world's start, to the second."""
    return WORLD_START + timedelta(seconds=round(hours * 3600.0))


def iso(hours: float) -> str:
    """That time as the providers write it."""
    return moment(hours).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
