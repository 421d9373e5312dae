"""Rate limits: calls counted by windows of the world's clock."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

_REMEMBERED = 2000


@dataclass
class RateLimit:
    """At most `calls` in each window of so many minutes."""

    calls: int
    minutes: int
    _used: OrderedDict[int, int] = field(default_factory=OrderedDict)

    def count(self, minute: int) -> tuple[int, int]:
        """Count one call; gives how many are used by now, and the seconds until a new window."""
        window, past = divmod(minute, self.minutes)
        used = self._used.pop(window, 0) + 1
        self._used[window] = used
        if len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)
        return used, (self.minutes - past) * 60
