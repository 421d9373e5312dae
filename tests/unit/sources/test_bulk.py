"""Bulk pages are those of the wire."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml.sources.base import Interval, Page
from ml.sources.catalog import get_source
from ml.storage import bronze
from ml.storage.bronze import Bronze
from ml.world.bulk import Bulk, intervals

from .conftest import LiveWorld, fetch

START = datetime(2026, 1, 20, tzinfo=UTC)


class Disk:
    """Objects by key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_bytes(self, bucket: str, key: str, data: bytes, content_type: str = "") -> None:
        self.objects[key] = data

    def get_bytes(self, bucket: str, key: str) -> bytes:
        return self.objects[key]

    def list_keys(self, bucket: str, prefix: str) -> Iterator[str]:
        return iter([key for key in sorted(self.objects) if key.startswith(prefix)])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    store = Disk()
    monkeypatch.setattr(bronze, "ObjectStore", lambda _settings: store)
    return store


@pytest.mark.parametrize("name", ["youtube", "hackernews", "reddit", "wikipedia"])
def test_pages_are_byte_for_byte_those_of_the_wire(
    world: LiveWorld, day: Interval, name: str
) -> None:
    bulk = Bulk(world.settings)
    source = get_source(name, bulk.settings)
    direct = list(bulk.pages(source, day, None))
    assert direct == fetch(get_source(name, world.settings), day)
    assert direct


def test_passing_faults_change_nothing(world: LiveWorld, day: Interval) -> None:
    faults = "truncate;times=1;p=0.2, cut;times=1;p=0.2, 429;times=1;retry_after=0;p=0.2"
    clean = Bulk(world.settings)
    faulty = Bulk(world.settings.model_copy(update={"world_faults": faults}))
    pages = [list(each.pages(get_source("youtube", each.settings), day, None))
             for each in (clean, faulty)]  # fmt: skip
    assert pages[0] == pages[1]


def test_bronze_is_complete_marked_synthetic_and_the_same_again(
    world: LiveWorld, disk: Disk
) -> None:
    days = intervals(START, 2, 1440)
    written: list[Any] = []
    for _ in range(2):
        bulk = Bulk(world.settings)
        source = get_source("hackernews", bulk.settings)
        store = Bronze(bulk.settings)
        result = bulk.write([source], days, store)
        written.append((result.intervals, result.pages, result.items, dict(disk.objects)))
    assert written[0] == written[1]
    assert written[0][:2] == (2, 4)
    end = START + timedelta(days=2)
    prefixes = store.complete_intervals("hackernews", START, end)
    assert len(prefixes) == 2
    for prefix in prefixes:
        for item in store.read_interval(prefix) or []:
            assert item.is_synthetic
            assert any(True for _ in source.parse(item.page)) or item.page.stream != "stories"


def test_a_world_without_a_server_is_synthetic_too(world: LiveWorld, disk: Disk) -> None:
    nowhere = world.settings.model_copy(update={"world_url": None, "world_key": None})
    bulk = Bulk(nowhere)
    bulk.write(
        [get_source("hackernews", bulk.settings)], intervals(START, 1, 1440), Bronze(bulk.settings)
    )
    pages = [
        json.loads(gzip.decompress(data)) for key, data in disk.objects.items() if "page-" in key
    ]
    assert len(pages) == 2
    assert all(page["is_synthetic"] for page in pages)


def test_a_bigger_world_fills_more_pages(world: LiveWorld) -> None:
    def ids(scale: float) -> set[str]:
        bulk = Bulk(world.settings, scale)
        source = get_source("hackernews_search", bulk.settings)
        hour = Interval(START, START + timedelta(hours=1))
        pages: list[Page] = list(bulk.pages(source, hour, None))
        return {str(row.values["record_id"]) for page in pages for row in source.parse(page)}  # type: ignore[union-attr]

    small, big = ids(1.0), ids(5.0)
    assert len(big) > 3 * len(small)


def test_intervals_follow_each_other() -> None:
    hours = intervals(START, 2, 60)
    assert len(hours) == 48
    assert all(a.end == b.start for a, b in itertools.pairwise(hours))
    assert (hours[0].start, hours[-1].end) == (START, START + timedelta(days=2))
