"""Raw rows in any number for the benches of the warehouse: the world's, and copies of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from ml.settings import Settings
from ml.sources.base import Page, Source
from ml.sources.catalog import get_source
from ml.storage.bronze import StoredPage
from ml.storage.landing import load_pages
from ml.storage.postgres import connect, transaction
from ml.world.bulk import Bulk, intervals

_SOURCES = ("youtube", "youtube_channels", "hackernews", "reddit")
_TOPICS = 500
# About what a day of these sources has at one reading; read more often, it has more.
_ROWS_A_READING = 3_600
# More rows than this are copies: the world's pages take five minutes a million to parse.
_MOST_READ = 250_000
# Ids and time of the tables that are copied; each copy has channels of its own.
_COPIED = {
    "youtube_videos": (("video_id", "channel_id"), "observed_at"),
    "records": (("record_id",), "event_at"),
}
_DEAL = (
    """
    insert into ml.topics (topic_id, label, language, first_seen_at, last_seen_at)
    select 'bench' || n, 'Topic ' || n, 'en', %(start)s, %(end)s
    from generate_series(0, %(topics)s - 1) as n on conflict do nothing
    """,
    """
    insert into ml.topic_assignments
        (source, content_id, topic_id, similarity, assigned_as_of, language)
    select source, content_id, 'bench' || mod(abs(hashtext(content_id)::bigint), %(topics)s), 1,
        %(end)s, 'en'
    from (
        select 'youtube' as source, video_id as content_id from raw.youtube_videos
        union select source, record_id from raw.records where kind <> 'channel'
    ) as contents
    on conflict do nothing
    """,
)


@dataclass(frozen=True)
class Size:
    """How a number of raw rows is made: so many days, each read so often, then copied."""

    rows: int

    @property
    def copies(self) -> int:
        """How often each content is there, under ids of its own."""
        return -(-self.rows // _MOST_READ)

    @property
    def read(self) -> int:
        """Rows that the world's pages bring."""
        return self.rows // self.copies

    @property
    def days(self) -> int:
        """Ten weeks, or what there is of them at a single reading a day."""
        return max(4, min(70, self.read // _ROWS_A_READING))

    @property
    def minutes(self) -> int:
        """Between two readings; a divisor of a day."""
        readings = max(1, round(self.read / self.days / _ROWS_A_READING))
        return 1440 // readings


class _Loaded:
    """Takes pages in the place of bronze and loads them, an interval in one transaction."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.rows = 0

    def write_interval(self, prefix: str, pages: Iterator[Page]) -> Sequence[Any]:
        stored = [
            StoredPage(f"{prefix}/{number}", page, is_synthetic=True)
            for number, page in enumerate(pages)
        ]
        with transaction() as conn:
            self.rows += load_pages(conn, self._source, stored).rows
        return stored


def seed(size: Size, start: datetime, days: int, settings: Settings) -> dict[str, float]:
    """Load days of the world as the landing does, copy them, and deal all contents to topics."""
    started = time.monotonic()
    rows = load(size, start, days, settings)
    rows += spread(size, start, days, settings)
    return {"rows": rows, "seconds": round(time.monotonic() - started, 1)}


def load(size: Size, start: datetime, days: int, settings: Settings) -> int:
    """Load days of the world as the landing does; returns the number of rows."""
    rows, bulk = 0, Bulk(settings)
    for name in _SOURCES:
        source = get_source(name, bulk.settings)
        loaded = _Loaded(source)
        bulk.write([source], intervals(start, days, size.minutes), loaded)
        rows += loaded.rows
    return rows


def spread(size: Size, start: datetime, days: int, settings: Settings) -> int:
    """Copy the rows of days that are there, and deal all contents to topics.

    Returns:
        The number of copied rows.
    """
    rows = 0
    bounds = {
        "start": start, "end": start + timedelta(days=days), "topics": _TOPICS,
        "copies": size.copies - 1,
    }  # fmt: skip
    with connect(settings.require("database_url")) as conn:
        if size.copies > 1:
            rows += sum(_copy(conn, table, bounds) for table in _COPIED)
        for statement in _DEAL:
            conn.execute(statement.encode(), bounds)
    with connect(settings.require("database_url"), autocommit=True) as conn:
        conn.execute("vacuum analyze raw.youtube_videos, raw.records, ml.topic_assignments")
    return rows


def _copy(conn: Any, table: str, bounds: dict[str, Any]) -> int:
    """Repeat the rows of a time under other ids."""
    ids, moment = _COPIED[table]
    names = [
        row[0]
        for row in conn.execute(
            "select column_name from information_schema.columns where table_schema = 'raw'"
            " and table_name = %s and column_name <> 'ingested_at'",
            (table,),
        )
    ]
    values = [
        sql.SQL("{} || '~' || n").format(sql.Identifier(name))
        if name in ids
        else sql.Identifier(name)
        for name in names
    ]
    statement = sql.SQL(
        "insert into raw.{table} ({names}) select {values} from raw.{table},"
        " generate_series(1, %(copies)s) as n"
        " where {moment} >= %(start)s and {moment} < %(end)s"
        " and {identity} not like '%%~%%' on conflict do nothing"
    ).format(
        table=sql.Identifier(table),
        names=sql.SQL(", ").join(map(sql.Identifier, names)),
        values=sql.SQL(", ").join(values),
        moment=sql.Identifier(moment),
        identity=sql.Identifier(ids[0]),
    )
    return int(conn.execute(statement, bounds).rowcount)
