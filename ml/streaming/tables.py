"""Feature tables that streams fill: by one SQL function for batch and stream, and online.

`TABLES` is all there is to extend: what a stream computes is a table and its function in the
database, a push source in `feature_repo`, and an entry here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from ml import features
from ml.settings import Settings, get_settings
from ml.storage import postgres, raw

if TYPE_CHECKING:
    from feast import FeatureStore

log = logging.getLogger(__name__)

# Sorts a year of sights in memory.
_WORK_MEM = "set local work_mem = '128MB'"
# In the order of the key, so that batch and stream wait for each other instead of blocking.
_APPEND = sql.SQL(
    "insert into {table} select * from {function}(%s, %s) order by {key}, event_at"
    " on conflict ({key}, event_at) do nothing"
)
_NEWEST = sql.SQL(
    "select distinct on ({key}) * from {table} where {key} = any(%s) order by {key}, event_at desc"
)


@dataclass(frozen=True)
class FeatureTable:
    """A table of `features`, filled by the function of its name with `_of` behind it.

    Attributes:
        name: of the table; `NAME_push` is the push source of `feature_repo`.
        key: the entity's column.
        touched: SQL of the ids that raw rows since a time are about.
        new: SQL of the ids that have raw rows without features, and the time of the first.
    """

    name: str
    key: str
    touched: LiteralString
    new: LiteralString

    @property
    def push_source(self) -> str:
        """Its push source in `feature_repo/sources.py`."""
        return f"{self.name}_push"

    def append_new(self, settings: Settings | None = None) -> int:
        """Append all features that are not there yet: the batch path.

        Returns:
            How many rows that were.
        """
        settings = settings or get_settings()
        with postgres.transaction(settings.require("database_url")) as conn:
            conn.execute(_WORK_MEM)
            ids, since = conn.execute(self.new).fetchone() or (None, None)
            rows = self.append(conn, ids, since) if ids else 0
            if rows:
                conn.execute(sql.SQL("analyze {}").format(self._table))
        log.info("%s: %s rows appended", self.name, rows)
        return rows

    def append_touched(self, conn: psycopg.Connection, since: datetime) -> list[str]:
        """Append the features of what raw rows since a time are about; gives the ids."""
        row = conn.execute(self.touched, {"since": since}).fetchone()
        ids: list[str] = row[0] if row else []
        self.append(conn, ids, since)
        return ids

    def append(self, conn: psycopg.Connection, ids: Sequence[str], since: datetime) -> int:
        """Append the features of these ids from `since` on; what is there stays."""
        function = sql.Identifier("features", f"{self.name}_of")
        query = _APPEND.format(table=self._table, function=function, key=sql.Identifier(self.key))
        return conn.execute(query, (list(ids), since)).rowcount

    def newest(self, conn: psycopg.Connection, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The latest row of each id."""
        query = _NEWEST.format(table=self._table, key=sql.Identifier(self.key))
        with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(query, (list(ids),)).fetchall()

    def push(self, rows: Sequence[dict[str, Any]], store: FeatureStore) -> None:
        """Write rows to the online store, where no newer ones are there."""
        import pandas as pd

        # Objects: a column of counts with a missing one must not become floats.
        frame = pd.DataFrame.from_records(rows).astype(object)
        features.push(self.push_source, frame, store)

    @property
    def _table(self) -> sql.Identifier:
        return sql.Identifier("features", self.name)


STORIES = FeatureTable(
    name="story_momentum",
    key="story_id",
    touched="""
        select coalesce(array_agg(distinct record_id), '{}') from raw.records
        where source = 'hackernews' and kind = 'snapshot' and event_at >= %(since)s
    """,
    new="""
        select array_agg(record_id), min(first_at) from (
            select record_id, min(event_at) as first_at
            from raw.records as sights
            where source = 'hackernews' and kind = 'snapshot' and payload ->> 'upvotes' is not null
                and not exists (
                    select from features.story_momentum as written
                    where written.story_id = sights.record_id
                        and written.event_at = sights.event_at
                )
            group by record_id
        ) as stories
    """,
)
QUERIES = FeatureTable(
    name="query_momentum",
    key="query_id",
    # The index knows when a post was made; one that comes later than a day changes no feature.
    touched="""
        select coalesce(array_agg(distinct query), '{}')
        from raw.records
        cross join lateral jsonb_array_elements_text(payload -> 'queries') as matched (query)
        where source = 'x_posts' and kind = 'post' and available_at >= %(since)s
            and event_at > %(since)s - interval '24 hours'
    """,
    new="""
        select array_agg(distinct query), min(available_at)
        from raw.records
        cross join lateral jsonb_array_elements_text(payload -> 'queries') as matched (query)
        where source = 'x_posts' and kind = 'post'
            and not exists (
                select from features.query_momentum as written
                where written.query_id = query and written.event_at = available_at
            )
    """,
)
TABLES: tuple[FeatureTable, ...] = (STORIES, QUERIES)


def append_new(settings: Settings | None = None) -> int:
    """Append to every table what is not there yet.

    Returns:
        How many rows that were.
    """
    return sum(table.append_new(settings) for table in TABLES)


def open_store(settings: Settings) -> FeatureStore:
    """The feature store; its definitions are applied if nobody has yet."""
    # One stream at a time: an `apply` that is under way has written sources and no views yet.
    with postgres.transaction(settings.require("database_url")) as conn:
        raw.lock(conn, "feature definitions")
        store = features.open_store(settings)
        views = store.list_feature_views()
        known = {view.stream_source.name for view in views if view.stream_source}
        if any(table.push_source not in known for table in TABLES):
            features.apply(settings)
            store.refresh_registry()
    return store
