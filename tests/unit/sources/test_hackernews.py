from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.catalog import get_source
from ml.sources.hackernews import HackerNewsSource

from .conftest import LiveWorld, fetch, world_settings
from .test_youtube import ANY_JSON

SOURCE = HackerNewsSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
ITEM: dict[str, Any] = {
    "by": "someone", "descendants": 3, "id": 8863, "score": 111, "time": 1175714200,
    "title": "A story", "type": "story", "url": "https://a.example/",
}  # fmt: skip


def bundle(*bodies: str, number: int = 8863) -> Page:
    entries = [
        {"rank": rank, "id": number, "observed_at": NOON.isoformat(), "body": body}
        for rank, body in enumerate(bodies, start=1)
    ]
    body = json.dumps({"stories": entries}).encode()
    return Page("stories", "ZZ", 1, body, "GET http://x#items", NOON)


def test_each_top_story_gives_an_item_and_a_snapshot(world: LiveWorld, day: Interval) -> None:
    source = HackerNewsSource(world.settings)
    pages = fetch(source, day)
    found = [row for page in pages for row in source.parse(page)]
    records = [row.values for row in found if isinstance(row, Record)]
    items = [v for v in records if v["kind"] == "item"]
    snapshots = [v for v in records if v["kind"] == "snapshot"]
    assert len(records) == len(found) == 120
    top = json.loads(pages[0].body)[:60]
    assert [v["record_id"] for v in items] == [str(i) for i in top]
    assert [v["payload"]["rank"] for v in snapshots] == list(range(1, 61))
    assert {v["event_at"] for v in snapshots} == {day.end}
    assert all(v["event_at"] <= v["available_at"] == day.end for v in items)
    assert all(
        v["payload"]["upvotes"] > 0 and v["payload"]["title"]
        for v in items
        if "upvotes" in v["payload"]
    )


def test_bundle_keeps_the_raw_bodies_unchanged(world: LiveWorld, day: Interval) -> None:
    _, stories = fetch(HackerNewsSource(world.settings, stories=3), day)
    for entry in json.loads(stories.body)["stories"]:
        raw = httpx.get(
            f"{world.url}/hacker-news.firebaseio.com/v0/item/{entry['id']}.json",
            headers={"X-World-Now": day.end.isoformat()},
            trust_env=False,
        ).content
        assert entry["body"].encode() == raw


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = HackerNewsSource(world.settings, stories=12)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2;p=0.5")
    assert fetch(source, day) == clean


def test_an_item_that_keeps_failing_stops_the_fetch(world: LiveWorld, day: Interval) -> None:
    world.set_faults("429;retry_after=0;path=/item/")
    with pytest.raises(ProviderError):
        fetch(HackerNewsSource(world.settings, stories=2), day)


def test_malformed_items_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    world.set_faults("malformed;path=/item/")
    source = HackerNewsSource(world.settings, stories=10)
    found = [row for page in fetch(source, day) for row in source.parse(page)]
    assert len(found) == 10
    assert all(isinstance(row, Rejected) for row in found)


def test_deleted_item_is_reported() -> None:
    (row,) = SOURCE.parse(bundle("null"))
    assert isinstance(row, Rejected)
    assert "null" in row.reason


def test_documented_item_parses() -> None:
    item, snapshot = SOURCE.parse(bundle(json.dumps(ITEM)))
    assert isinstance(item, Record)
    assert isinstance(snapshot, Record)
    assert item.values["event_at"] == datetime(2007, 4, 4, 19, 16, 40, tzinfo=UTC)
    assert item.values["payload"] == {
        "title": "A story", "url": "https://a.example/", "author": "someone", "type": "story",
    }  # fmt: skip
    assert snapshot.values["payload"] == {"rank": 1, "upvotes": 111, "comments": 3}
    assert snapshot.values["event_at"] == NOON


def test_item_under_another_id_is_refused() -> None:
    (row,) = SOURCE.parse(bundle(json.dumps(ITEM), number=1))
    assert isinstance(row, Rejected)


def test_wrong_ids_in_the_list_are_reported(day: Interval) -> None:
    page = Page("topstories", "ZZ", 0, b'[1, "x", null, true, 2]', "GET http://x", NOON)
    assert [row.position for row in SOURCE.parse(page) if isinstance(row, Rejected)] == [1, 2, 3]


ITEMS = st.dictionaries(st.sampled_from(sorted(ITEM)), ANY_JSON, max_size=3).map(
    lambda changes: json.dumps({**ITEM, **changes})
)


@given(st.lists(ITEMS | ANY_JSON.map(json.dumps) | st.text(), max_size=4))
def test_parser_accounts_for_every_story_and_never_raises(bodies: list[str]) -> None:
    found = list(SOURCE.parse(bundle(*bodies)))
    snapshots = [r for r in found if isinstance(r, Record) and r.values["kind"] == "snapshot"]
    rejected = [r for r in found if isinstance(r, Rejected)]
    assert len(snapshots) + len(rejected) == len(bodies)


@given(
    st.sampled_from(["topstories", "stories"]),
    st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode()),
)
def test_parser_never_raises_on_any_body(stream: str, body: bytes) -> None:
    for row in SOURCE.parse(Page(stream, "ZZ", 0, body, "GET http://x", NOON)):
        assert isinstance(row, Rejected)


def test_lone_surrogates_in_a_bundle_are_a_dead_letter() -> None:
    body = b'{"stories": [{"rank": 1, "id": 1, "body": "\\ud800"}]}'
    (row,) = SOURCE.parse(Page("stories", "ZZ", 1, body, "GET http://x", NOON))
    assert isinstance(row, Rejected)


@pytest.mark.parametrize(
    ("source_id", "listing", "place"),
    [
        ("hackernews", "topstories", "rank"),
        ("hackernews_new", "newstories", "new_rank"),
        ("hackernews_best", "beststories", "best_rank"),
    ],
)
def test_each_list_is_a_source_with_its_own_place(
    world: LiveWorld, day: Interval, source_id: str, listing: str, place: str
) -> None:
    source = get_source(source_id, world.settings)
    assert isinstance(source, HackerNewsSource)
    pages = fetch(source, day)
    assert [page.stream for page in pages] == [listing, "stories"]
    rows = [row.values for page in pages for row in source.parse(page) if isinstance(row, Record)]
    snapshots = [row for row in rows if row["kind"] == "snapshot"]
    assert [row["payload"][place] for row in snapshots] == list(range(1, 61))
    assert all(set(row["payload"]) == {place, "upvotes", "comments"} for row in snapshots)
    items = [row for row in rows if row["kind"] == "item"]
    times, votes = (
        [row["event_at"] for row in items], [row["payload"]["upvotes"] for row in snapshots]
    )  # fmt: skip
    assert (times == sorted(times, reverse=True)) == (listing == "newstories")
    assert (votes == sorted(votes, reverse=True)) == (listing == "beststories")


def test_wrong_ids_in_another_list_are_reported_under_its_name() -> None:
    source = get_source("hackernews_new", world_settings("http://127.0.0.1:1"))
    page = Page("newstories", "ZZ", 0, b'["x"]', "GET http://x", NOON)
    (row,) = source.parse(page)
    assert isinstance(row, Rejected)
    assert row.kind == "newstories"
