"""Features of stories: by one SQL function for batch and stream, into the table and online."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg

from ml import features
from ml.settings import Settings, get_settings
from ml.storage import postgres

if TYPE_CHECKING:
    from feast import FeatureStore

log = logging.getLogger(__name__)

PUSH_SOURCE = "story_momentum_push"  # of feature_repo/sources.py

# Sorts a year of sights in memory.
_WORK_MEM = "set local work_mem = '128MB'"
_NEW_SIGHTS = """
select array_agg(record_id), min(first_at) from (
    select record_id, min(event_at) as first_at
    from raw.records as sights
    where source = 'hackernews' and kind = 'snapshot' and payload ->> 'upvotes' is not null
        and not exists (
            select from features.story_momentum as written
            where written.story_id = sights.record_id and written.event_at = sights.event_at
        )
    group by record_id
) as stories
"""
# In the order of the key, so that batch and stream wait for each other instead of blocking.
_APPEND = """
insert into features.story_momentum
select * from features.story_momentum_of(%s, %s) order by story_id, event_at
on conflict (story_id, event_at) do nothing
"""
_NEWEST = """
select distinct on (story_id) * from features.story_momentum
where story_id = any(%s) order by story_id, event_at desc
"""


def append_new(settings: Settings | None = None) -> int:
    """Append the features of every sight that has none yet: the batch path.

    Returns:
        How many rows that were.
    """
    settings = settings or get_settings()
    with postgres.transaction(settings.require("database_url")) as conn:
        conn.execute(_WORK_MEM)
        ids, since = conn.execute(_NEW_SIGHTS).fetchone() or (None, None)
        rows = append(conn, ids, since) if ids else 0
        if rows:
            conn.execute("analyze features.story_momentum")
    log.info("story features: %s rows appended", rows)
    return rows


def append(conn: psycopg.Connection, story_ids: Sequence[str], since: datetime) -> int:
    """Append the features of these stories' sights from `since` on; what is there stays."""
    return conn.execute(_APPEND, (list(story_ids), since)).rowcount


def newest(conn: psycopg.Connection, story_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The latest row of each story."""
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(_NEWEST, (list(story_ids),)).fetchall()


def open_store(settings: Settings) -> FeatureStore:
    """The feature store; its definitions are applied if nobody has yet."""
    store = features.open_store(settings)
    if PUSH_SOURCE not in {source.name for source in store.list_data_sources()}:
        features.apply(settings)
        store.refresh_registry()
    return store


def push(rows: Sequence[dict[str, Any]], store: FeatureStore) -> None:
    """Write rows to the online store, where no newer ones are there."""
    import pandas as pd

    # Objects: a column of counts with a missing one must not become floats.
    features.push(PUSH_SOURCE, pd.DataFrame.from_records(rows).astype(object), store)
