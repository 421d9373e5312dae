"""Expectations that compare the data with their own past: types of ours, written as SQL.

Their arguments stand in a suite like those of any Great Expectations type:

- `expect_measure_to_match_history`: a figure of each group and day (`measure`, an SQL aggregate)
  lies within `low` and `high` times its median over the last 28 days, or over the same weekday of
  the last weeks.
- `expect_values_to_be_known`: at most a share of a group's rows of a day has a `value` that the
  group has not had in the 28 days before.
- `expect_no_silence`: a group that delivers regularly has been heard of lately.
- `expect_query_to_hold`: any other SQL that answers in rows with a `verdict`, `fails` or, if
  nothing could be judged, `no history`.

The past is that of each judged day, in event time and up to `as_of`, and never the clock's. A group
without enough of it is not judged; where no group could be judged the expectation is skipped. What
is judged is every day that the rows in question lie on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from string import Template
from typing import Any, Literal

from ml.exceptions import ConfigurationError

# What all of them become: a query whose rows have a `verdict`, `fails` or `no history`.
QUERY = "expect_query_to_hold"
NO_HISTORY = "no history"

_VERDICTS = """
select 'fails' as verdict, $shown from compared where history >= $min_history and ($fails)
union all
select 'no history', $no_values
where not exists (select from compared where history >= $min_history)"""
# The days that the rows in question lie on, and the rows of the table that tell their past.
_OF_ROWS = {
    "wanted": """
with wanted as (
    select distinct $by, ($time at time zone 'UTC')::date as on_day
    from {batch} as asked $extend
    where $where
),""",
    "since": """
        $time >= (select min(on_day) - $days from wanted)::timestamp at time zone 'UTC'
        and $time < (select max(on_day) + 1 from wanted)::timestamp at time zone 'UTC'
        and $time <= '$as_of'
        and ($by) in (select $by from wanted)
        and $where""",
    "on_wanted": "inner join wanted using ($by, on_day)",
    "verdicts": _VERDICTS,
}
# The same for a whole table, which need not be read twice; the comment is for Great Expectations,
# which complains of queries that do not name their rows.
_OF_TABLE = {
    "wanted": "/* {batch} */ with",
    "since": "$time <= '$as_of' and $where",
    "on_wanted": "",
    "verdicts": _VERDICTS,
}
_MEASURE = """$wanted
daily as (
    select $by, ($time at time zone 'UTC')::date as on_day, ($measure)::double precision as found
    from $table $extend
    where $since
    group by $by, on_day
    having count(*) >= $min_rows
),
judged as (
    select * from daily $on_wanted where $judged
),
compared as (
    select
        $judged_by, judged.on_day, judged.found, count(earlier.found) as history,
        percentile_cont(0.5) within group (order by earlier.found) as usual
    from judged
    left join daily as earlier
        on ($judged_by) = ($earlier_by)
        and earlier.on_day between judged.on_day - $days and judged.on_day - 1
        and $same_day
    group by $judged_by, judged.on_day, judged.found
)
$verdicts"""
_KNOWN = """$wanted
daily as (
    select $by, ($time at time zone 'UTC')::date as on_day, ($value)::text as one, count(*) as rows
    from $table $extend
    where $since and ($value) is not null
    group by $by, on_day, one
),
days as (
    select $by, on_day, count(*) over (
        partition by $by order by on_day
        range between '$days days' preceding and '1 day' preceding
    ) as history
    from (select distinct $by, on_day from daily) as distinct_days
),
aged as (
    select
        *,
        coalesce(
            lag(on_day) over (partition by $by, one order by on_day) < on_day - $days, true
        ) as is_new
    from daily
),
compared as (
    select
        $by, on_day, history, sum(rows)::bigint as rows,
        coalesce(sum(rows) filter (where is_new), 0)::bigint as new_rows,
        left(string_agg(one, ', ' order by rows desc, one) filter (where is_new), 80) as new_values
    from aged
    $on_wanted
    inner join days using ($by, on_day)
    group by $by, on_day, history
    having sum(rows) >= $min_rows
)
$verdicts"""
_SILENCE = """
with heard as (
    select distinct $by, date_trunc('minute', $time) as heard_at
    from {batch}
    where $time <= '$as_of' and $time > '$as_of'::timestamptz - interval '$days days' and $where
),
gaps as (
    select *, heard_at - lag(heard_at) over (partition by $by order by heard_at) as gap
    from heard
),
compared as (
    select
        $by, count(gap) as history, max(heard_at) as last_heard_at,
        '$as_of'::timestamptz - max(heard_at) as silence,
        percentile_cont(0.5) within group (order by gap) as usual_gap
    from gaps
    group by $by
)
$verdicts"""


@dataclass(frozen=True, kw_only=True)
class _Comparison(ABC):
    """What the types have in common.

    Attributes:
        by: columns that make a group.
        time: column of the event time.
        days: how far the past reaches.
        min_history: earlier days (for silence: gaps) that a group needs to be judged.
        where: rows that take part.
        extend: what is joined to the table, for example the fields of a payload.
    """

    by: Sequence[str]
    time: str
    days: int = 28
    min_history: int = 7
    where: str = "true"
    extend: str = ""

    @abstractmethod
    def query(self, table: str, *, whole: bool) -> str:
        """The SQL; `{batch}` and `$as_of` are left to be filled in."""

    def _fill(
        self, template: str, table: str, whole: bool, shown: Mapping[str, str], **values: Any
    ) -> str:
        names = [*self.by, *shown]
        kinds = ["text"] * len(self.by) + list(shown.values())
        typed = [f"{name}::{kind}" for name, kind in zip(names, kinds, strict=True)]
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        lists = {
            "by": ", ".join(self.by),
            "shown": ", ".join(typed),
            "no_values": ", ".join(f"null::{kind}" for kind in kinds),
        }
        text = Template(template).safe_substitute(_OF_TABLE if whole else _OF_ROWS)
        return Template(text).safe_substitute(own | {"table": table} | lists | values).strip()


@dataclass(frozen=True, kw_only=True)
class _Measure(_Comparison):
    """See `expect_measure_to_match_history`.

    Attributes:
        measure: SQL aggregate over a group's rows of a day.
        window: `last_days`, or `same_weekday` (then `min_history` counts weeks).
        low: least share of the usual value.
        high: greatest multiple of it.
        max_change: instead of both, how far the value may lie from the usual one.
        min_rows: a group's rows of a day below which the day does not count.
        min_usual: usual value below which a group is too small to be judged.
        whole_days: whether the day that `as_of` lies in is left out, because it is not over.
    """

    measure: str
    window: Literal["last_days", "same_weekday"] = "last_days"
    low: float | None = None
    high: float | None = None
    max_change: float | None = None
    min_rows: int = 1
    min_usual: float | None = None
    whole_days: bool = False

    def query(self, table: str, *, whole: bool) -> str:
        weekday = self.window == "same_weekday"
        return self._fill(
            _MEASURE,
            table,
            whole,
            {"on_day": "text", "found": "real", "usual": "real", "history": "integer"},
            judged_by=", ".join(f"judged.{name}" for name in self.by),
            earlier_by=", ".join(f"earlier.{name}" for name in self.by),
            judged="on_day < ('$as_of'::timestamptz at time zone 'UTC')::date"
            if self.whole_days
            else "true",
            same_day="(judged.on_day - earlier.on_day) % 7 = 0" if weekday else "true",
            fails=self._fails(),
        )

    def _fails(self) -> str:
        bounds = {
            "found < {} * usual": self.low,
            "found > {} * usual": self.high,
            "abs(found - usual) > {}": self.max_change,
        }
        broken = [text.format(value) for text, value in bounds.items() if value is not None]
        if not broken:
            raise ConfigurationError("a measure needs low, high or max_change")
        least = "" if self.min_usual is None else f" and usual >= {self.min_usual}"
        return f"({' or '.join(broken)}){least}"


@dataclass(frozen=True, kw_only=True)
class _Known(_Comparison):
    """See `expect_values_to_be_known`.

    Attributes:
        value: SQL expression; rows without a value do not count.
        max_new_share: how many of a group's rows of a day may have a new value.
        min_rows: a group's rows of a day below which the day is not judged.
    """

    value: str
    max_new_share: float
    min_rows: int = 20

    def query(self, table: str, *, whole: bool) -> str:
        shown = {"on_day": "text", "new_rows": "bigint", "rows": "bigint", "new_values": "text"}
        return self._fill(
            _KNOWN, table, whole, shown, fails=f"new_rows > {self.max_new_share} * rows"
        )


@dataclass(frozen=True, kw_only=True)
class _Silence(_Comparison):
    """See `expect_no_silence`.

    Attributes:
        max_silence: SQL interval; a group is silent when nothing was heard of it for longer, and
            for longer than three times its usual gap.
    """

    max_silence: str
    min_history: int = 10

    def query(self, table: str, *, whole: bool) -> str:
        shown = {"last_heard_at": "text", "silence": "text", "usual_gap": "text"}
        limit = f"greatest(interval '{self.max_silence}', 3 * usual_gap)"
        return self._fill(_SILENCE, table, whole, shown, fails=f"silence > {limit}")


HISTORY_TYPES: Mapping[str, type[_Comparison]] = {
    "expect_measure_to_match_history": _Measure,
    "expect_values_to_be_known": _Known,
    "expect_no_silence": _Silence,
}


def comparison_query(
    expectation: str, arguments: Mapping[str, Any], table: str, *, whole: bool
) -> str:
    """The SQL of such an expectation: a row per group and day that fails, or one without history.

    Args:
        expectation: one of `HISTORY_TYPES`.
        arguments: those of the suite.
        table: all of the rows.
        whole: whether it is asked about all of them.

    Raises:
        ConfigurationError: if an argument is missing or unknown.
    """
    try:
        return HISTORY_TYPES[expectation](**arguments).query(table, whole=whole)
    except TypeError as error:
        text = str(error).replace("__init__() ", "")
        raise ConfigurationError(f"{expectation}: {text}") from error
