"""The world's ledger against what the sources make of its pages, with faults on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ml.sources.base import Interval, Record, Rejected
from ml.sources.catalog import get_source
from ml.sources.hackernews import HackerNewsSource
from ml.sources.youtube import YouTubeSource
from ml.world.bulk import Bulk

from .conftest import KEY, LiveWorld, fetch, world_settings

START = datetime(2026, 1, 14, tzinfo=UTC)
ADMIN = {"Authorization": f"Bearer {KEY}"}
PASSING = (
    "429;p=0.2;times=1;retry_after=0, 500;p=0.1;times=1, cut;p=0.2;times=1, truncate;p=0.2;times=1"
)
LASTING = "malformed;rows=4;p=0.6, duplicate;rows=3;p=0.6, unordered;p=0.5"


@pytest.fixture
def books(world: LiveWorld) -> LiveWorld:
    httpx.delete(f"{world.url}/admin/ledger", headers=ADMIN, trust_env=False).raise_for_status()
    return world


def sent(world: LiveWorld, route: str) -> dict[str, dict[str, Any]]:
    report = httpx.get(f"{world.url}/admin/ledger", headers=ADMIN, trust_env=False).json()
    assert report["forgotten"] == 0
    return {row["day"]: row for row in report["rows"] if row["route"] == route}


@pytest.mark.parametrize(
    "plan",
    [
        "", PASSING, f"{PASSING}, {LASTING}", "drift;how=rename;field=id", "late;hours=5",
        f"skew;seconds=120, break;factor=3;field=viewCount, {PASSING}",
    ],
)  # fmt: skip
def test_rows_and_dead_letters_and_duplicates_are_what_was_sent(
    books: LiveWorld, plan: str
) -> None:
    books.set_faults(plan)
    source = YouTubeSource(books.settings, max_videos=100)
    for number in range(3):
        day = Interval(START + timedelta(days=number), START + timedelta(days=number + 1))
        pages = [page for page in fetch(source, day) if page.stream == "chart"]
        found = [item for page in pages for item in source.parse(page)]
        rows = {
            (item.values["region"], item.values["video_id"])
            for item in found
            if isinstance(item, Record)
        }
        letters = sum(isinstance(item, Rejected) for item in found)
        row = sent(books, "www.googleapis.com/youtube/v3/videos")[f"{day.end:%Y-%m-%d}"]
        assert row["answers"] == len(pages) == 4
        assert row["items"] == len(rows) + letters + row["duplicates"]
        assert ("duplicate" in plan) == bool(row["duplicates"])
        if "drift" not in plan:
            assert letters == row["broken"]


def test_items_asked_for_one_by_one_add_up_too(books: LiveWorld) -> None:
    books.set_faults(f"{PASSING}, malformed;p=0.3;path=/item/, duplicate;path=/item/")
    source = HackerNewsSource(books.settings, stories=12)
    day = Interval(START, START + timedelta(days=1))
    found = [item for page in fetch(source, day) for item in source.parse(page)]
    stories = {
        item.values["record_id"]
        for item in found
        if isinstance(item, Record) and item.values["kind"] == "snapshot"
    }
    letters = [item for item in found if isinstance(item, Rejected) and item.kind == "story"]
    row = sent(books, "hacker-news.firebaseio.com/v0/item/{number}.json")[f"{day.end:%Y-%m-%d}"]
    assert (row["answers"], row["items"], row["duplicates"]) == (12, 12, 0)
    assert len(stories) + len(letters) == 12
    assert len(letters) == row["broken"] > 0


# Rows of a source by row of an answer, where every listed row is read.
_READ_WHOLE = {
    "youtube": 1, "youtube_search": 1, "hackernews_search": 2, "google_trends": 2, "gdelt": 1,
    "github-trending": 2, "x_counts": 1, "x_trends": 1, "tiktok": 2, "feed_bbc_world": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", _READ_WHOLE)
@pytest.mark.parametrize("plan", [LASTING, "drift", "skew;seconds=600, late;hours=2", PASSING])
def test_every_provider_adds_up(tmp_path: Path, name: str, plan: str) -> None:
    settings = world_settings("http://world.example", state_dir=tmp_path, world_faults=plan)
    bulk = Bulk(settings)
    source = get_source(name, bulk.settings)
    day = Interval(START, START + timedelta(days=1))
    found = [item for page in bulk.pages(source, day, None) for item in source.parse(page)]
    letters = sum(isinstance(item, Rejected) for item in found)
    keys = {_key(item) for item in found if isinstance(item, Record)}
    total = {
        name: sum(row[name] for row in bulk.ledger()["rows"]) for name in ("items", "duplicates")
    }
    assert total["items"] > 0
    assert total["items"] == len(keys) // _READ_WHOLE[name] + letters + total["duplicates"]


def _key(item: Record) -> tuple[Any, ...]:
    names = ("kind", "region", "record_id", "video_id", "event_at", "observed_at")
    return tuple(item.values.get(name) for name in names)
