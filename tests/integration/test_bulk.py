"""Bulk bronze loads by replay, to the rows that the same pages would have landed as."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml.sources.base import Record, Source
from ml.sources.catalog import get_source
from ml.storage import postgres
from ml.storage.bronze import Bronze
from ml.storage.replay import replay_bronze
from ml.world.bulk import Bulk, intervals

START = datetime(2026, 4, 1, tzinfo=UTC)
END = START + timedelta(days=2)
COUNTS = {
    "youtube": "select count(*), bool_and(is_synthetic) from raw.youtube_videos"
    " where source = 'youtube' and bronze_key like '%%run=bulk/%%' and observed_at > %s",
    "hackernews": "select count(*), bool_and(is_synthetic) from raw.records"
    " where source = 'hackernews' and bronze_key like '%%run=bulk/%%' and available_at > %s",
}


@pytest.fixture
def bulk(stack: Any) -> Iterator[Bulk]:
    yield Bulk(stack)
    with postgres.transaction() as conn:
        conn.execute("delete from raw.records where bronze_key like '%run=bulk/%'")
        conn.execute("delete from raw.youtube_videos where bronze_key like '%run=bulk/%'")


def keys(bulk: Bulk, source: Source) -> set[tuple[Any, ...]]:
    found = set()
    for interval in intervals(START, 2, 1440):
        for page in bulk.pages(source, interval, None):
            for row in source.parse(page):
                assert isinstance(row, Record)
                names = ("region", "video_id", "kind", "record_id", "event_at", "observed_at")
                found.add(tuple(row.values.get(name) for name in names))
    return found


@pytest.mark.parametrize("name", ["youtube", "hackernews"])
def test_bulk_bronze_is_replayed_to_exact_rows(bulk: Bulk, name: str) -> None:
    source = get_source(name, bulk.settings)
    written = bulk.write([source], intervals(START, 2, 1440), Bronze(bulk.settings))
    for _ in range(2):
        replayed = replay_bronze(source, START, END)
        assert (replayed.pages, replayed.rejected) == (written.pages, 0)
        with postgres.transaction() as conn:
            count, synthetic = conn.execute(COUNTS[name], (START,)).fetchone()  # type: ignore[misc]
        assert count == len(keys(bulk, source))
        assert synthetic
