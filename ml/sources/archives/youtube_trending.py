"""Public archives of YouTube's daily trending lists, one country a file, in four dialects.

* `date` as day.month written as a number, no publish time (2017);
* `trending_date` as yy.dd.mm, with `publish_time` (2017 to 2018);
* `trending_date` in ISO form, with `publishedAt` (2020 on);
* `snapshot_date` and `fetched_at`, with rank, language and duration (2025 on).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from ml.exceptions import ArchiveError
from ml.sources.archives import youtube
from ml.sources.archives.base import YOUTUBE_SCHEMA, Archive, Chunk, Format, row_start
from ml.sources.archives.columns import Columns, end_of_day, timestamps
from ml.sources.archives.reading import CsvFile

SOURCE = "youtube-trending"

Dialect = Literal["day.month", "trending_date", "snapshot_date"]

_ROW_STARTS = {
    "video_id": f"{youtube.VIDEO_ID}|{youtube.DESTROYED_ID}",
    "snapshot_date": r"\d{4}-\d\d-\d\d",
}
_REGION = r"^[A-Z]{2}$"
# US_2017-09_10.csv.gz, USvideos.csv, US.csv.xz, trending_US.csv
_FILE_REGION = re.compile(r"(?:^|[^A-Za-z])([A-Z]{2})(?:[^A-Za-z]|videos)")
_FILE_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:[-_.]?(0[1-9]|1[0-2])(?:[-_.]?\d\d)?)?(?!\d)")
# Lists that run past December go on in the next year; a month this much earlier tells.
_WRAP_MONTHS = 6


@dataclass
class _Calendar:
    """The year of dates that have none."""

    year: int
    first_month: int | None

    def years(self, months: pa.Array) -> pa.Array:
        """The year of each month: the next one after December."""
        if self.first_month is None and (known := pc.drop_null(months)):
            self.first_month = known[0].as_py()
        earlier = pc.subtract(self.first_month or 1, months)
        return pc.add(pc.greater_equal(earlier, _WRAP_MONTHS).cast(pa.int64()), self.year)


def dialect_of(header: Sequence[str]) -> Dialect | None:
    """The dialect of a header, None if it is no trending list."""
    names = set(header)
    if "video_id" not in names or not names & {"views", "view_count"} or "n_countries" in names:
        return None
    if "snapshot_date" in names:
        return "snapshot_date"
    if "trending_date" in names:
        return "trending_date"
    return "day.month" if "date" in names else None


def _matches(header: Sequence[str]) -> bool:
    return dialect_of(header) is not None


def open_archives(files: Sequence[CsvFile], region: str | None, year: int | None) -> list[Archive]:
    """One archive a file.

    Raises:
        ArchiveError: if a region or a year is needed and neither given nor in the file name.
    """
    return [_open(file, region, year) for file in files]


def _open(file: CsvFile, region: str | None, year: int | None) -> Archive:
    if not {"country", "region"} & set(file.header):
        region = region or _region_of(file.path.name)
        if region is None:
            raise ArchiveError(f"{file.path} does not tell its country; pass --region, e.g. US")
    calendar = None
    if dialect_of(file.header) == "day.month" and "year" not in file.header:
        calendar = _calendar(file, year)
        year = calendar.year
    return Archive(
        file=file,
        table="raw.youtube_videos",
        source=SOURCE,
        kind="video",
        chunks=partial(_chunks, file, region, calendar),
        region=region,
        year=year,
    )


def _region_of(name: str) -> str | None:
    found = _FILE_REGION.search(name)
    return found[1] if found else None


def _calendar(file: CsvFile, year: int | None) -> _Calendar:
    found = _FILE_YEAR.search(file.path.name)
    named = int(found[1]) if found else None
    if year is None and named is None:
        raise ArchiveError(f"{file.path} has dates without a year; pass --year, e.g. 2017")
    month = int(found[2]) if found and found[2] and year in (None, named) else None
    return _Calendar(year or named or 0, month)


def _chunks(file: CsvFile, region: str | None, calendar: _Calendar | None) -> Iterator[Chunk]:
    if calendar is not None:
        calendar = _Calendar(calendar.year, calendar.first_month)
    for batch in file.batches(row_start(file.header, _ROW_STARTS)):
        columns = Columns(batch)
        values = _values(columns, file, region, calendar)
        rows = columns.rows(values, YOUTUBE_SCHEMA)
        read = len(batch.rows) + len(batch.rejects)
        yield Chunk(file, rows, read, rows.table.num_rows)


def _values(
    columns: Columns, file: CsvFile, region: str | None, calendar: _Calendar | None
) -> dict[str, pa.Array]:
    dialect = dialect_of(file.header)
    ids = youtube.video_id(columns)
    observed_at, available_at = _times(columns, calendar)
    separator = "," if dialect == "snapshot_date" else "|"
    counts = {
        "views": columns.count("views", "view_count", required=True),
        "likes": columns.count("likes"),
        "dislikes": columns.count("dislikes"),
        "comments": columns.count("comments", "comment_count", "comment_total"),
    }
    return {
        "region": _region(columns, region),
        "video_id": ids,
        "observed_at": observed_at,
        "available_at": available_at,
        "chart_rank": youtube.rank(columns, "rank"),
        "regions_listed": pa.nulls(len(columns), pa.int32()),
        **youtube.attributes(columns, separator),
        **_hide(columns, counts, zero_is_hidden=dialect == "snapshot_date"),
    }


def _region(columns: Columns, region: str | None) -> pa.Array:
    given = pc.utf8_upper(pc.utf8_trim_whitespace(columns.text("country", "region")))
    values = pc.fill_null(given, region) if region else given
    columns.reject(pc.is_null(values), "country is empty")
    columns.reject(
        pc.invert(pc.match_substring_regex(values, _REGION)), "country is not a two-letter code"
    )
    return values


def _hide(
    columns: Columns, counts: dict[str, pa.Array], *, zero_is_hidden: bool
) -> dict[str, pa.Array]:
    """Hidden counts are unknown, not zero."""
    unknown = pa.scalar(None, pa.int64())
    no_ratings = pc.fill_null(columns.flag("ratings_disabled"), False)
    no_comments = pc.fill_null(columns.flag("comments_disabled"), False)
    hidden = {"likes": no_ratings, "dislikes": no_ratings, "comments": no_comments}
    shown = {name: pc.if_else(flag, unknown, counts[name]) for name, flag in hidden.items()}
    if zero_is_hidden:
        shown |= {name: youtube.hide_zero(shown[name]) for name in ("likes", "comments")}
    return {**counts, **shown}


def _times(columns: Columns, calendar: _Calendar | None) -> tuple[pa.Array, pa.Array]:
    """When each row was observed and available: a list with only a day is known at its end."""
    header = columns.batch.header
    if "snapshot_date" in header:
        days = columns.time("snapshot_date", required=True)
        fetched = columns.time("fetched_at")
        return pc.coalesce(fetched, days), pc.coalesce(fetched, end_of_day(days))
    if "trending_date" in header:
        name, days = "trending_date", _trending_days(columns.text("trending_date"))
    else:
        name, days = "date", _days_of_month(columns, calendar)
    columns.reject(pc.is_null(days), f"{name} is not a day")
    return days, end_of_day(days)


def _trending_days(values: pa.Array) -> pa.Array:
    """`17.14.11` is 14 November 2017; the later archives write ISO times."""
    iso = pc.replace_substring_regex(
        pc.utf8_trim_whitespace(values), r"^(\d\d)\.(\d\d)\.(\d\d)$", r"20\1-\3-\2"
    )
    return timestamps(iso)


def _days_of_month(columns: Columns, calendar: _Calendar | None) -> pa.Array:
    """`13.09` is 13 September. As a number it lost a last zero: `1.1` is 1 October."""
    values = pc.utf8_trim_whitespace(columns.text("date"))
    parts = pc.extract_regex(values, r"^(?P<day>\d{1,2})\.(?P<month>1|0\d|1[0-2])$")
    day = pc.utf8_lpad(pc.struct_field(parts, "day"), 2, "0")
    month = pc.utf8_rpad(pc.struct_field(parts, "month"), 2, "0")
    if calendar is None:
        years = columns.count("year", required=True, most=2999)
    else:
        years = calendar.years(month.cast(pa.int64()))
    return timestamps(pc.binary_join_element_wise(years.cast(pa.string()), month, day, "-"))


FORMAT = Format(
    name=SOURCE,
    expected="video_id, views and one of date, trending_date, snapshot_date",
    matches=_matches,
    open=open_archives,
)
