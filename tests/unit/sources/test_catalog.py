from __future__ import annotations

import json
from datetime import timedelta

import pytest

from ml.exceptions import ConfigurationError
from ml.sources.base import Interval
from ml.sources.catalog import get_source, list_sources

from .conftest import world_settings


def test_every_source_is_listed_with_its_state() -> None:
    listed = list_sources(world_settings("http://127.0.0.1:1", world_key=None))
    by_id = {row["id"]: row for row in listed}
    assert all(set(row) == {"id", "family", "available", "reason", "quota"} for row in listed)
    assert by_id["hackernews"]["available"]
    assert not by_id["youtube"]["available"]
    assert "YOUTUBE_API_KEY" in by_id["youtube"]["reason"]
    assert by_id["youtube"]["quota"][0]["per_interval"] == 8
    assert [
        (quota["pool"], quota["per_day"], quota["per_interval"])
        for quota in by_id["youtube_search"]["quota"]
    ] == [("search", 100, 3), ("default", 10_000, 3)]
    json.dumps(listed)


def test_unknown_source_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"there are: youtube, .*hackernews"):
        get_source("nonsense", world_settings("http://127.0.0.1:1"))


@pytest.mark.parametrize(
    "source_id",
    ["youtube", "youtube_search", "youtube_channels", "youtube_analytics", "hackernews"],
)
def test_backfill_does_not_move_the_cursor_back(source_id: str, day: Interval) -> None:
    source = get_source(source_id, world_settings("http://127.0.0.1:1"))
    earlier = Interval(day.start - timedelta(days=9), day.start - timedelta(days=8))
    cursor = source.next_cursor(day, None, [])
    assert cursor == {"interval_end": "2026-01-11T00:00:00+00:00"}
    assert source.next_cursor(earlier, cursor, []) == cursor
    assert source.next_cursor(earlier, None, []) != cursor
