"""Dates on which a provider changed what a field means, told apart from behaviour."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import numpy as np
import psycopg

from ml.monitoring.profile import CURRENT, ColumnProfile
from ml.monitoring.shift import MIN_ROWS, ColumnShift, call, compare

# So many blocks after a break are a reference of their own.
_ENOUGH_BLOCKS = 4


@dataclass(frozen=True)
class DefinitionBreak:
    """A row of `ml.definition_breaks`.

    Attributes:
        patterns: names of the columns that it reaches, `%` for any text.
    """

    source: str
    field: str
    broke_on: date
    change: str
    told_by: str
    patterns: tuple[str, ...]

    @property
    def at(self) -> datetime:
        """Midnight UTC of the day."""
        return datetime.combine(self.broke_on, time(), UTC)

    def reaches(self, column: str) -> bool:
        """Whether the column is made of the field."""
        return any(fnmatch.fnmatchcase(column, p.replace("%", "*")) for p in self.patterns)


def read_breaks(
    conn: psycopg.Connection, source: str, start: datetime, end: datetime
) -> list[DefinitionBreak]:
    """Breaks of a source after `start` and not after `end`, oldest first."""
    rows = conn.execute(
        "select source, field, broke_on, change, told_by, columns from ml.definition_breaks"
        " where source = %s and broke_on > %s and broke_on <= %s order by broke_on, field",
        (source, start.date(), end.date()),
    ).fetchall()
    return [
        DefinitionBreak(name, field, day, change, told_by, tuple(patterns))
        for name, field, day, change, told_by, patterns in rows
    ]


def judge(
    profiles: Sequence[ColumnProfile],
    block_starts: Mapping[int, datetime],
    breaks: Sequence[DefinitionBreak],
) -> tuple[list[ColumnShift], dict[str, DefinitionBreak]]:
    """Test every column; say which shifts lie across a break of its definition.

    A column that a break reaches is compared with what came after the break, where that is enough:
    a shift there is behaviour. Otherwise its shift cannot be told from the new definition.

    Args:
        profiles: of one window.
        block_starts: when each block of the reference begins.
        breaks: within reference and window.

    Returns:
        The verdict by column, and the break that explains a shift, by the name of the column.
    """
    shifts, across = [], {}
    for profile in profiles:
        reached = _reaching(profile, block_starts, breaks)
        judged = profile
        if reached:
            after = _after(profile, block_starts, reached[-1].at)
            if after is not None:
                judged = after
            else:
                across[profile.name] = reached[-1]
        shift = compare(judged)
        if shift is not None:
            shifts.append(shift)
    called = call(shifts)
    shifted = {shift.name for shift in called if shift.is_shifted}
    return called, {name: each for name, each in across.items() if name in shifted}


def _reaching(
    profile: ColumnProfile, block_starts: Mapping[int, datetime], breaks: Sequence[DefinitionBreak]
) -> list[DefinitionBreak]:
    """Breaks of the column that its own reference begins before."""
    starts = [block_starts[int(number)] for number in profile.blocks if number != CURRENT]
    return [
        each for each in breaks if each.reaches(profile.name) and starts and each.at > min(starts)
    ]


def _after(
    profile: ColumnProfile, block_starts: Mapping[int, datetime], moment: datetime
) -> ColumnProfile | None:
    """The profile without the reference before a moment; None if too little is left."""
    kept = [
        int(number) == CURRENT or block_starts[int(number)] >= moment for number in profile.blocks
    ]
    left = profile.only(np.array(kept, dtype=bool))
    reference = left.blocks != CURRENT
    if reference.sum() < _ENOUGH_BLOCKS or left.rows[reference].sum() < MIN_ROWS:
        return None
    return left
