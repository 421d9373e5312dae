from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.hackernews import HackerNewsSource
from ml.sources.hackernews_search import HackerNewsSearchSource

from .conftest import LiveWorld, fetch, world_settings
from .test_youtube import ANY_JSON

SOURCE = HackerNewsSearchSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
# https://hn.algolia.com/api (2026-11) with the fields that numericFilters name.
HIT: dict[str, Any] = {
    "title": "Y Combinator", "url": "http://ycombinator.com", "author": "pg", "points": 57,
    "story_text": None, "comment_text": None, "_tags": ["story"], "num_comments": 2,
    "objectID": "1", "created_at": "2006-10-09T18:21:51.000Z", "created_at_i": 1160418111,
}  # fmt: skip


def page(*hits: Any, total: int | None = None) -> Page:
    body = {"hits": list(hits), "nbHits": len(hits) if total is None else total, "page": 0}
    return Page("search", "ZZ", 0, json.dumps(body).encode(), "GET http://x", NOON)


def items(found: list[Record | Rejected]) -> dict[str, datetime]:
    assert all(isinstance(row, Record) for row in found)
    return {
        row.values["record_id"]: row.values["event_at"]
        for row in found
        if isinstance(row, Record) and row.values["kind"] == "item"
    }


def test_documented_hit_parses() -> None:
    item, snapshot = SOURCE.parse(page(HIT))
    assert isinstance(item, Record)
    assert isinstance(snapshot, Record)
    assert item.values["record_id"] == snapshot.values["record_id"] == "1"
    assert item.values["event_at"] == datetime(2006, 10, 9, 18, 21, 51, tzinfo=UTC)
    assert item.values["payload"] == {
        "title": "Y Combinator", "url": "http://ycombinator.com", "author": "pg", "type": "story",
    }  # fmt: skip
    assert snapshot.values["payload"] == {"upvotes": 57, "comments": 2}
    assert snapshot.values["event_at"] == NOON


def test_every_story_of_the_interval_is_found_once(world: LiveWorld, day: Interval) -> None:
    source = HackerNewsSearchSource(world.settings)
    (only,) = fetch(source, day)
    found = items(list(source.parse(only)))
    assert len(found) == json.loads(only.body)["nbHits"] > 900
    assert all(day.start <= created < day.end for created in found.values())


def test_long_interval_is_split_and_loses_nothing(world: LiveWorld, day: Interval) -> None:
    source = HackerNewsSearchSource(world.settings)
    long = Interval(day.start - timedelta(days=2), day.end)
    pages = fetch(source, long)
    assert len(pages) > 3
    assert [each.number for each in pages] == list(range(len(pages)))
    found = [row for each in pages for row in source.parse(each)]
    together = items(found)
    assert len(together) * 2 == len(found)
    apart: dict[str, datetime] = {}
    for start in (long.start, long.start + timedelta(days=1), day.start):
        single = fetch(source, Interval(start, start + timedelta(days=1)))
        apart |= items([row for each in single for row in source.parse(each)])
    assert together == apart


def test_listed_stories_are_found_too(world: LiveWorld, day: Interval) -> None:
    front = HackerNewsSource(world.settings)
    listed = items([row for each in fetch(front, day) for row in front.parse(each)])
    source = HackerNewsSearchSource(world.settings)
    wide = Interval(day.start - timedelta(days=3), day.end)
    found = items([row for each in fetch(source, wide) for row in source.parse(each)])
    assert listed.items() <= found.items()


def test_words_narrow_the_search(world: LiveWorld, day: Interval) -> None:
    changes = {"hackernews_queries": ("rust", "home network")}
    source = HackerNewsSearchSource(world.settings.model_copy(update=changes))
    pages = fetch(source, day)
    assert len(pages) == 2
    for each in source.parse(pages[0]):
        assert isinstance(each, Record)
        if each.values["kind"] == "item":
            assert "rust" in each.values["payload"]["title"].lower()
    assert 0 < len(list(source.parse(pages[0]))) < 1000


def test_interval_of_long_ago_can_be_asked_for() -> None:
    source = HackerNewsSearchSource(world_settings("http://x", sources_from="providers"))
    assert source.replayable
    assert not HackerNewsSource(source.settings).replayable


def test_hits_that_the_provider_holds_back_are_reported() -> None:
    hits = [{**HIT, "objectID": str(number)} for number in range(1, 1001)]
    found = list(SOURCE.parse(page(*hits, total=1200)))
    (short,) = [row for row in found if isinstance(row, Rejected)]
    assert short.reason == "200 hits are not in the answer"
    assert len(found) == 2001


def test_faults_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = HackerNewsSearchSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2, truncate;times=3")
    assert fetch(source, day) == clean
    world.set_faults("503")
    with pytest.raises(ProviderError):
        fetch(source, day)


def test_malformed_hits_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    world.set_faults("malformed;rows=5")
    source = HackerNewsSearchSource(world.settings)
    (only,) = fetch(source, day)
    found = list(source.parse(only))
    rejected = sum(isinstance(row, Rejected) for row in found)
    assert rejected == 5
    assert len(found) - rejected == 2 * (len(json.loads(only.body)["hits"]) - 5)


def is_finite(value: Any) -> bool:
    """Whether JSON has it: Infinity and NaN make a whole page unreadable."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


VALUES = ANY_JSON.filter(is_finite)
HITS = st.dictionaries(st.sampled_from(sorted(HIT)), VALUES, max_size=3).map(
    lambda changes: {**HIT, **changes}
)


@given(st.lists(HITS | VALUES, max_size=4))
def test_parser_accounts_for_every_hit(hits: list[Any]) -> None:
    found = list(SOURCE.parse(page(*hits)))
    snapshots = [r for r in found if isinstance(r, Record) and r.values["kind"] == "snapshot"]
    assert len(snapshots) + sum(isinstance(r, Rejected) for r in found) == len(hits)


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_parser_never_raises_on_any_body(body: bytes) -> None:
    for row in SOURCE.parse(Page("search", "ZZ", 0, body, "GET http://x", NOON)):
        assert isinstance(row, Rejected)
