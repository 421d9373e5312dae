"""Quotas: what a provider allows a day, what an interval costs, and how to make do with less."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from ml.exceptions import QuotaExceededError


@dataclass(frozen=True)
class Quota:
    """A daily allowance of a provider.

    Attributes:
        provider: whose it is; sources of one provider share it.
        per_day: units allowed a day.
        pool: tells apart allowances of one provider, for example `search`.
        unit: what is counted.
        zone: IANA name of the zone at whose midnight the count starts anew.
    """

    provider: str
    per_day: int
    pool: str = "default"
    unit: str = "calls"
    zone: str = "UTC"

    def day(self, moment: datetime) -> datetime:
        """Midnight before `moment` where the provider counts."""
        local = moment.astimezone(ZoneInfo(self.zone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def resets_at(self, moment: datetime) -> datetime:
        """The next time, after `moment`, at which the count starts anew, in UTC."""
        # By date, not by 24 hours: a day of a clock change is shorter or longer.
        start = self.day(moment)
        following = start.replace(tzinfo=None) + timedelta(days=1)
        return following.replace(tzinfo=start.tzinfo).astimezone(UTC)


class Meter(Protocol):
    """Counts calls against quotas, before they are made."""

    def spend(self, quota: Quota, units: int, at: datetime | None) -> None:
        """Book `units` on the quota's day at `at` (now, if None).

        Raises:
            QuotaExceededError: if fewer are left; nothing is booked then.
        """
        ...

    def left(self, quota: Quota, at: datetime | None) -> int:
        """Units that are left of that day."""
        ...


class MemoryMeter:
    """A meter that forgets with the process."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.used: dict[tuple[str, str, datetime], int] = {}
        self._clock = clock

    def spend(self, quota: Quota, units: int, at: datetime | None) -> None:
        """Book `units`, or raise `QuotaExceededError`."""
        moment = at or self._clock()
        if units > self.left(quota, moment):
            raise exceeded(quota, units, self.left(quota, moment), moment)
        key = (quota.provider, quota.pool, quota.day(moment))
        self.used[key] = self.used.get(key, 0) + units

    def left(self, quota: Quota, at: datetime | None) -> int:
        """Units that are left of that day."""
        key = (quota.provider, quota.pool, quota.day(at or self._clock()))
        return quota.per_day - self.used.get(key, 0)


def exceeded(quota: Quota, units: int, left: int, moment: datetime) -> QuotaExceededError:
    """The error of a call that costs more than is left."""
    resets_at = quota.resets_at(moment)
    return QuotaExceededError(
        f"{quota.provider}: {units} {quota.unit} are wanted and {left} of {quota.per_day} are left"
        f" ({quota.pool}); wait until {resets_at.isoformat()} or ask for a higher quota",
        resets_at=resets_at,
    )


@dataclass(frozen=True)
class Level:
    """A way to fetch an interval.

    Attributes:
        name: shown in the run and its asset event.
        costs: units of each quota, by pool, that one interval takes at most.
        last_resort: taken only when asking less often does not help either.
    """

    name: str
    costs: Mapping[str, int] = field(default_factory=dict)
    last_resort: bool = False


FULL = Level("full")


def shares(name: str, total: int) -> dict[str, int]:
    """All of them, or the first half, or the first alone: how many, by the level's name."""
    return {f"{name}={count}": count for count in (total, -(-total // 2), 1)}


_STRIDES = (1, 2, 4, 8)
LONGEST_STRIDE = _STRIDES[-1]


@dataclass(frozen=True)
class Choice:
    """How to fetch: at which level, and only every so many intervals."""

    level: Level
    every: int = 1


def choose_level(
    levels: Sequence[Level], left: Mapping[str, int], intervals_left: int = 1
) -> Choice | None:
    """The most complete way that what is left can pay for, None if there is none.

    First every interval at the fullest level that lasts for the day (fewer regions), then the
    cheapest level every second, fourth or eighth interval (longer intervals), then what the source
    calls its last resort (ids that are known already).

    Args:
        levels: the most complete first.
        left: units left of the day, by pool.
        intervals_left: intervals that the rest of the day has to last for, this one included.
    """
    regular = [level for level in levels if not level.last_resort]
    ways = [Choice(level) for level in regular]
    ways += [Choice(regular[-1], every) for every in _STRIDES[1:] if every <= intervals_left]
    ways += [Choice(level) for level in levels if level.last_resort]
    for way in ways:
        times = -(-intervals_left // way.every)
        if all(cost * times <= left[pool] for pool, cost in way.level.costs.items()):
            return way
    return None
