from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import SourceUnavailableError
from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.quota import MemoryMeter
from ml.sources.youtube import YouTubeSource
from ml.sources.youtube_data import UNITS

from .conftest import KEY, LiveWorld, fetch, own_breaker, world_settings

SOURCE = YouTubeSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
ITEM: dict[str, Any] = {
    "id": "abcdefghijk",
    "snippet": {
        "publishedAt": "2026-01-10T09:30:00Z",
        "channelId": "UC1",
        "title": "A title",
        "channelTitle": "A channel",
        "tags": ["one", "two"],
        "categoryId": "20",
    },
    "contentDetails": {"duration": "PT1H2M3S"},
    "statistics": {"viewCount": "123", "likeCount": "4"},
    "status": {"madeForKids": False},
}


def page(body: bytes, request: str = "GET http://x/videos#rank=51") -> Page:
    return Page("chart", "US", 0, body, request, NOON)


def parse(item: Any) -> Record | Rejected:
    (row,) = SOURCE.parse(page(json.dumps({"items": [item]}).encode()))
    return row


def rows(source: YouTubeSource, pages: list[Page]) -> Iterator[Record | Rejected]:
    for one in pages:
        yield from source.parse(one)


def test_chart_of_every_region_is_complete_and_in_order(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSource(world.settings)
    pages = fetch(source, day)
    found = list(rows(source, pages))
    assert [p.number for p in pages] == list(range(8))
    assert not [r for r in found if isinstance(r, Rejected)]
    for region in ("US", "IN"):
        chart = [r.values for r in found if isinstance(r, Record) and r.values["region"] == region]
        assert [v["chart_rank"] for v in chart] == list(range(1, 201))
        assert len({v["video_id"] for v in chart}) == 200
        assert {v["observed_at"] for v in chart} == {day.end}
        assert all(v["published_at"] <= day.end for v in chart)


def test_charts_of_categories_are_read_beside_the_whole_one(
    world: LiveWorld, day: Interval
) -> None:
    settings = world_settings(world.url, youtube_regions=("US",), youtube_categories=(20, 10))
    source = YouTubeSource(settings, max_videos=50)
    pages = fetch(source, day)
    assert [p.stream for p in pages] == ["chart", "category", "category"]
    assert [p.number for p in pages] == [0, 1, 2]
    gaming = [r.values for r in source.parse(pages[1]) if isinstance(r, Record)]
    assert len(gaming) == 50
    assert {v["category_id"] for v in gaming} == {20}
    assert {v["chart_rank"] for v in gaming} == {None}


def test_category_without_a_chart_is_left_out(world: LiveWorld, day: Interval) -> None:
    settings = world_settings(world.url, youtube_regions=("US",), youtube_categories=(15, 20))
    pages = fetch(YouTubeSource(settings, max_videos=50), day)
    assert [p.stream for p in pages] == ["chart", "category"]
    assert "videoCategoryId=20" in pages[1].request


def test_less_quota_reads_fewer_charts(world: LiveWorld, day: Interval) -> None:
    regions = ("US", "IN", "GB")
    settings = world_settings(world.url, youtube_regions=regions, youtube_categories=(20,))
    source = YouTubeSource(settings, max_videos=100)
    costs = [(level.name, level.costs["default"]) for level in source.levels()]
    assert costs == [
        ("regions=3 categories=1", 12), ("regions=3", 6), ("regions=2", 4), ("regions=1", 2),
        ("known-ids", 1),
    ]  # fmt: skip
    for level in source.levels()[:-1]:
        meter = MemoryMeter()
        access = Access(settings, level=level, at=day.end, meter=meter, breaker=own_breaker())
        pages = list(source.fetch(day, None, access))
        assert len(pages) == level.costs["default"] == 10_000 - meter.left(UNITS, day.end)


def test_last_resort_reads_the_ids_that_led_the_charts(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSource(world.settings)
    pages = fetch(source, day)
    cursor = source.next_cursor(day, None, pages)
    later = Interval(day.end, day.end + timedelta(days=1))
    last_resort = source.levels()[-1]
    assert last_resort.last_resort
    known = fetch(source, later, cursor, last_resort)
    assert [(p.stream, p.region) for p in known] == [("known", "US"), ("known", "IN")]
    for page_ in known:
        before = {
            v["video_id"]: v
            for r in rows(source, pages)
            if (v := r.values)["region"] == page_.region  # type: ignore[union-attr]
        }
        found = [r.values for r in source.parse(page_)]  # type: ignore[union-attr]
        assert {v["video_id"] for v in found} == set(list(before)[:50])
        assert all(v["chart_rank"] is None for v in found)
        assert all(v["views"] >= before[v["video_id"]]["views"] for v in found)
    # A cursor that knows no ids leaves nothing to ask for, and keeps what it knows.
    assert fetch(source, later, None, last_resort) == []
    assert source.next_cursor(later, cursor, known)["known"] == cursor["known"]


def test_cursor_keeps_the_ids_of_the_latest_charts_only(day: Interval) -> None:
    later = Interval(day.end, day.end + timedelta(days=1))
    head = page(json.dumps({"items": [{**ITEM, "id": f"{n}"} for n in range(3)]}).encode(), "GET x")
    cursor = SOURCE.next_cursor(later, None, [head])
    assert cursor["known"] == {"US": ["0", "1", "2"]}
    other = page(json.dumps({"items": [ITEM]}).encode(), "GET x")
    assert SOURCE.next_cursor(day, cursor, [other]) == cursor
    # Neither a later page of a chart nor one that says nothing changes them.
    unusable = page(b'{"items": [{"id": "a,b"}, {"id": 5}, 7]}', "GET x")
    following = Interval(later.end, later.end + timedelta(days=1))
    for one in (page(other.body), unusable, page(b"[")):
        assert SOURCE.next_cursor(following, cursor, [one])["known"] == cursor["known"]


def test_same_interval_gives_the_same_pages(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSource(world.settings, max_videos=50)
    assert fetch(source, day) == fetch(source, day)


def test_hidden_likes_and_comments_are_null_and_never_zero(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSource(world.settings)
    values = [r.values for r in rows(source, fetch(source, day))]  # type: ignore[union-attr]
    assert any(v["likes"] is None for v in values)
    assert any(v["comments"] is None for v in values)
    assert any(v["tags"] is None for v in values)
    assert all(v["views"] is not None for v in values)


def test_malformed_and_repeated_rows_lose_nothing_else(world: LiveWorld, day: Interval) -> None:
    world.set_faults("malformed;rows=5, duplicate;rows=2")
    source = YouTubeSource(world.settings, max_videos=50)
    found = list(rows(source, fetch(source, day)))
    bad = [r for r in found if isinstance(r, Rejected)]
    assert len(found) == 2 * 52
    assert len(bad) == 2 * 5
    assert all(r.reason and r.kind == "video" for r in bad)


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSource(world.settings, max_videos=100)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, truncate;times=2")
    assert fetch(source, day) == clean


def test_key_is_in_no_page_and_no_message(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSource(world.settings, max_videos=50)
    for one in fetch(source, day):
        assert KEY not in one.request
        assert KEY.encode() not in one.body
    refused = YouTubeSource(world_settings(world.url, world_key="another-secret"))
    with pytest.raises(SourceUnavailableError) as caught:
        fetch(refused, day)
    assert "another-secret" not in str(caught.value)
    assert "YOUTUBE_API_KEY" in str(caught.value)


def test_source_without_key_is_unavailable_and_says_what_to_set() -> None:
    without = YouTubeSource(world_settings("http://127.0.0.1:1", world_key=None))
    assert not without.availability().available
    assert "YOUTUBE_API_KEY" in without.availability().reason
    assert SOURCE.availability().available


def test_only_the_world_can_be_asked_about_the_past() -> None:
    real = YouTubeSource(world_settings("http://127.0.0.1:1", sources_from="providers"))
    assert SOURCE.replayable
    assert not real.replayable


def test_documented_resource_parses_to_typed_columns() -> None:
    row = parse(ITEM)
    assert isinstance(row, Record)
    expected = {
        "region": "US", "video_id": "abcdefghijk", "observed_at": NOON, "available_at": NOON,
        "chart_rank": 51, "title": "A title", "channel_id": "UC1", "channel_title": "A channel",
        "category_id": 20, "published_at": datetime(2026, 1, 10, 9, 30, tzinfo=UTC),
        "tags": ["one", "two"], "language": None, "duration_s": 3723.0, "views": 123, "likes": 4,
        "dislikes": None, "comments": None, "regions_listed": None, "made_for_kids": False,
    }  # fmt: skip
    assert dict(row.values) == expected


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("", "id", None),
        ("", "id", 5),
        ("snippet", "title", ""),
        ("snippet", "title", "null\x00byte"),
        ("snippet", "title", "\ud800"),
        ("snippet", "publishedAt", "yesterday"),
        ("snippet", "publishedAt", "2026-01-01T00:00:00"),
        ("snippet", "tags", "one"),
        ("snippet", "categoryId", "gaming"),
        ("contentDetails", "duration", "3:20"),
        ("statistics", "viewCount", "many"),
        ("statistics", "viewCount", -1),
        ("statistics", "viewCount", True),
        ("statistics", "likeCount", "9" * 30),
        ("statistics", "likeCount", "9" * 5000),
        ("status", "madeForKids", "no"),
        ("", "snippet", None),
        ("", "statistics", []),
    ],
)
def test_wrong_field_is_a_dead_letter_that_names_it(part: str, field: str, value: Any) -> None:
    item = json.loads(json.dumps(ITEM))
    (item[part] if part else item)[field] = value
    row = parse(item)
    assert isinstance(row, Rejected)
    assert field in row.reason
    assert json.loads(row.payload) == item


def test_live_stream_has_no_length() -> None:
    row = parse({**ITEM, "contentDetails": {"duration": "P0D"}})
    assert isinstance(row, Record)
    assert row.values["duration_s"] is None


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=15,
)
ITEMS = st.builds(
    lambda changes, parts: {**ITEM, **changes, **{k: {**ITEM[k], **v} for k, v in parts.items()}},
    st.dictionaries(st.sampled_from(sorted(ITEM)), ANY_JSON, max_size=2),
    st.fixed_dictionaries({
        name: st.dictionaries(st.sampled_from(sorted(ITEM[name])), ANY_JSON, max_size=3)
        for name in ("snippet", "contentDetails", "statistics", "status")
    }),
)  # fmt: skip


@given(st.lists(ITEMS | ANY_JSON, max_size=4))
def test_parser_accounts_for_every_item_and_never_raises(items: list[Any]) -> None:
    found = list(SOURCE.parse(page(json.dumps({"items": items}).encode())))
    if any("NaN" in json.dumps(i) or "Infinity" in json.dumps(i) for i in items):
        assert len(found) in (1, len(items))
    else:
        assert len(found) == len(items)


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_parser_never_raises_on_any_body(body: bytes) -> None:
    for row in SOURCE.parse(page(body)):
        assert isinstance(row, Rejected)
        assert "\x00" not in row.payload


def test_deep_nesting_is_a_dead_letter() -> None:
    (row,) = SOURCE.parse(page(b"[" * 200_000))
    assert isinstance(row, Rejected)
