"""What the world has sent: the count that a proof of "nothing lost" is held against.

For each route (`host/path/{parameter}`) and UTC day of the moment that was asked about: how many
different answers were sent, and with them how many items, how many of those were broken on purpose
and how many were repeated on purpose. Broken and repeated items never overlap, so

    items = different good items + broken + duplicates.

An answer is counted once, by its route, query, posted body and asked minute; asked for again, its
last complete answer counts. Refusals, answers that are cut off on purpose, and 304 do not count.
What was sent to a client that had already hung up does: the server cannot know.

Counts are kept in memory: a restart forgets them. So does, to stay bounded, the arrival of too many
answers; whole days of a route are forgotten then, oldest first, and `forgotten` says how many.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from ml.world.clock import moment

_REMEMBERED = 400_000  # answers; about 150 bytes each
_BITS = 24  # of each of the three counts that one remembered number packs
_MASK = (1 << _BITS) - 1


@dataclass
class Tally:
    """Items of one answer."""

    items: int = 0
    broken: int = 0
    duplicates: int = 0

    def pack(self) -> int:
        """The counts as one number, which takes a fifth of the memory."""
        return self.items | self.broken << _BITS | self.duplicates << 2 * _BITS


class Ledger:
    """The counts of a running world."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._days: OrderedDict[tuple[str, str], dict[int, int]] = OrderedDict()
        self._answers = 0
        self._forgotten = 0

    def book(self, route: str, minute: int, address: str, tally: Tally) -> None:
        """Count a complete answer, in the place of an earlier one to the same question.

        Args:
            route: what was asked, without its parameters.
            minute: the asked moment, in minutes since the world's start.
            address: what tells the question from others of that route and moment.
            tally: what is in the answer.
        """
        day = self._days.setdefault((route, f"{moment(minute / 60.0):%Y-%m-%d}"), {})
        digest = hashlib.blake2b(f"{minute}:{address}".encode(), digest_size=7).digest()
        before = len(day)
        day[int.from_bytes(digest)] = tally.pack()
        self._answers += len(day) - before
        while self._answers > self._remembered and len(self._days) > 1:
            _, forgotten = self._days.popitem(last=False)
            self._answers -= len(forgotten)
            self._forgotten += 1

    def report(self) -> dict[str, Any]:
        """All counts, by route and day."""
        rows = [_row(route, day, answers) for (route, day), answers in self._days.items()]
        rows.sort(key=lambda row: (row["route"], row["day"]))
        return {"forgotten": self._forgotten, "rows": rows}


def _row(route: str, day: str, answers: dict[int, int]) -> dict[str, Any]:
    counts = [
        sum(packed >> place * _BITS & _MASK for packed in answers.values()) for place in range(3)
    ]
    names = ("items", "broken", "duplicates")
    return {"route": route, "day": day, "answers": len(answers)} | dict(
        zip(names, counts, strict=True)
    )
