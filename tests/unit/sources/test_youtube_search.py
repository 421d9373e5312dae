from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import QuotaExceededError, SourceUnavailableError
from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.quota import MemoryMeter, choose_level
from ml.sources.youtube_data import SEARCHES, UNITS
from ml.sources.youtube_search import YouTubeSearchSource

from .conftest import KEY, LiveWorld, fetch, own_breaker, world_settings
from .test_youtube import ANY_JSON

SOURCE = YouTubeSearchSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
REQUEST = "GET http://x/youtube/v3/search?part=snippet&q=rubik%27s+cube&type=video"
# https://developers.google.com/youtube/v3/docs/search (read 2026-11); the escapes are as users
# report them: https://github.com/DialmasterOrg/Youtarr/pull/654.
ITEM: dict[str, Any] = {
    "kind": "youtube#searchResult",
    "etag": "x",
    "id": {"kind": "youtube#video", "videoId": "abcdefghijk"},
    "snippet": {
        "publishedAt": "2026-01-10T09:30:00Z",
        "channelId": "UC1",
        "title": "Rubik&#39;s cube &amp; more",
        "description": "A &quot;text&quot;",
        "thumbnails": {"default": {"url": "https://i.ytimg.com/vi/a/default.jpg"}},
        "channelTitle": "Cubes &amp; Co",
        "liveBroadcastContent": "none",
        "publishTime": "2026-01-10T09:30:00Z",
    },
}


def page(body: bytes, stream: str = "search") -> Page:
    return Page(stream, "ZZ", 0, body, REQUEST, NOON)


def parse(*items: Any) -> list[Record | Rejected]:
    body = {"kind": "youtube#searchListResponse", "items": list(items)}
    return list(SOURCE.parse(page(json.dumps(body).encode())))


def test_each_query_gives_results_and_each_video_its_counts(
    world: LiveWorld, day: Interval
) -> None:
    source = YouTubeSearchSource(world.settings)
    pages = fetch(source, day)
    found = [row for one in pages for row in source.parse(one)]
    assert not [row for row in found if isinstance(row, Rejected)]
    records = [row for row in found if isinstance(row, Record)]
    results = [r.values for r in records if r.table == "raw.records"]
    videos = [r.values for r in records if r.table == "raw.youtube_videos"]
    assert [p.stream for p in pages][:3] == ["search"] * 3
    assert {v["payload"]["query"] for v in results} == {"news", "technology", "gaming"}
    assert {v["video_id"] for v in videos} == {v["record_id"] for v in results}
    assert len({v["video_id"] for v in videos}) == len(videos)
    assert {v["region"] for v in videos} == {"ZZ"}
    assert {v["chart_rank"] for v in videos} == {None}
    published = [v["published_at"] for v in videos]
    assert day.start <= min(published)
    assert max(published) < day.end
    views = {v["video_id"]: v["views"] for v in videos}
    gaming = [v for v in results if v["payload"]["query"] == "gaming"]
    ranked = [views[v["record_id"]] for v in sorted(gaming, key=lambda v: v["payload"]["rank"])]
    assert ranked == sorted(ranked, reverse=True)
    assert len(ranked) == 50


def test_titles_are_those_of_the_videos(world: LiveWorld, day: Interval) -> None:
    settings = world_settings(world.url, youtube_search_queries=("women's football",))
    source = YouTubeSearchSource(settings)
    week = Interval(day.start - timedelta(days=7), day.end)
    found = [row for one in fetch(source, week) for row in source.parse(one)]
    records = [row for row in found if isinstance(row, Record)]
    titles = {
        r.values["video_id"]: r.values["title"] for r in records if r.table == "raw.youtube_videos"
    }
    assert any("'" in title for title in titles.values())
    for row in records:
        if row.table == "raw.records":
            assert row.values["payload"]["title"] == titles[row.values["record_id"]]


def test_searches_and_units_are_booked_apart(world: LiveWorld, day: Interval) -> None:
    meter = MemoryMeter()
    source = YouTubeSearchSource(world.settings)
    level = source.levels()[1]
    access = Access(world.settings, level=level, at=day.end, meter=meter, breaker=own_breaker())
    pages = list(source.fetch(day, None, access))
    assert [p.stream for p in pages] == ["search", "search", "videos", "videos"]
    assert 100 - meter.left(SEARCHES, day.end) == level.costs["search"] == 2
    assert 10_000 - meter.left(UNITS, day.end) == 2
    meter.spend(SEARCHES, 98, day.end)
    with pytest.raises(QuotaExceededError, match="search"):
        list(source.fetch(day, None, access))


def test_allowance_of_a_day_lasts_for_hourly_searches() -> None:
    left = {"search": 100, "default": 10_000}
    hourly = choose_level(SOURCE.levels(), left, 24)
    assert hourly is not None
    assert (hourly.level.name, hourly.every) == ("queries=3", 1)
    often = choose_level(SOURCE.levels(), left, 288)
    assert often is not None
    assert (often.level.name, often.every) == ("queries=1", 4)


def test_a_search_goes_back_over_intervals_that_were_skipped(
    world: LiveWorld, day: Interval
) -> None:
    source = YouTubeSearchSource(world.settings)

    def since(skipped_since: datetime | None, cursor: dict[str, Any] | None = None) -> str:
        access = Access(
            world.settings, at=day.end, breaker=own_breaker(), skipped_since=skipped_since
        )
        first = next(iter(source.fetch(day, cursor, access))).request
        return first.partition("publishedAfter=")[2][:10]

    assert since(None) == "2026-01-10"
    assert since(day.start - timedelta(days=2)) == "2026-01-08"
    # Where the parts of a backfill land beside each other, the cursor is behind or ahead.
    assert since(None, {"interval_end": "2026-01-05T00:00:00+00:00"}) == "2026-01-10"


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = YouTubeSearchSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, truncate;times=2;path=q=news")
    assert fetch(source, day) == clean


def test_malformed_results_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    world.set_faults("malformed;rows=5;path=/search")
    source = YouTubeSearchSource(world_settings(world.url, youtube_search_queries=("gaming",)))
    search, *_ = fetch(source, day)
    found = list(source.parse(search))
    assert len(found) == 50
    bad = [row for row in found if isinstance(row, Rejected)]
    assert 0 < len(bad) <= 5
    assert {row.kind for row in bad} == {"search_result"}


def test_documented_result_parses_and_its_text_is_plain() -> None:
    (row,) = parse(ITEM)
    assert isinstance(row, Record)
    assert row.values["record_id"] == "abcdefghijk"
    assert row.values["kind"] == "search_result"
    assert row.values["event_at"] == NOON
    assert row.values["payload"] == {
        "query": "rubik's cube", "rank": 1, "title": "Rubik's cube & more", "text": 'A "text"',
        "author": "Cubes & Co", "channel_id": "UC1", "published_at": "2026-01-10T09:30:00+00:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("", "id", "abcdefghijk"),
        ("id", "videoId", None),
        ("snippet", "title", " "),
        ("snippet", "title", "&#1;"),
        ("snippet", "publishedAt", "yesterday"),
        ("snippet", "channelTitle", 5),
        ("", "snippet", None),
    ],
)
def test_wrong_field_is_a_dead_letter(part: str, field: str, value: Any) -> None:
    item = json.loads(json.dumps(ITEM))
    (item[part] if part else item)[field] = value
    (row,) = parse(item)
    assert isinstance(row, Rejected)
    assert field in row.reason


def test_escapes_of_what_is_no_character_can_be_stored() -> None:
    (row,) = parse({**ITEM, "snippet": {**ITEM["snippet"], "title": "a&#xD800;b&#0;"}})
    assert isinstance(row, Record)
    assert row.values["payload"]["title"] == "a\ufffdb\ufffd"


def test_source_without_key_or_queries_is_unavailable() -> None:
    without = YouTubeSearchSource(world_settings("http://127.0.0.1:1", world_key=None))
    assert "YOUTUBE_API_KEY" in without.availability().reason
    idle = YouTubeSearchSource(world_settings("http://127.0.0.1:1", youtube_search_queries=()))
    assert "YOUTUBE_SEARCH_QUERIES" in idle.availability().reason
    assert SOURCE.availability().available


def test_refused_key_is_named_and_not_shown(world: LiveWorld, day: Interval) -> None:
    for one in fetch(YouTubeSearchSource(world.settings), day):
        assert KEY not in one.request
    refused = YouTubeSearchSource(world_settings(world.url, world_key="another-secret"))
    with pytest.raises(SourceUnavailableError, match="YOUTUBE_API_KEY") as caught:
        fetch(refused, day)
    assert "another-secret" not in str(caught.value)


ITEMS = st.builds(
    lambda changes, identity, snippet: {
        **ITEM, "id": {**ITEM["id"], **identity}, "snippet": {**ITEM["snippet"], **snippet},
        **changes,
    },
    st.dictionaries(st.sampled_from(sorted(ITEM)), ANY_JSON, max_size=1),
    st.dictionaries(st.just("videoId"), ANY_JSON, max_size=1),
    st.dictionaries(st.sampled_from(sorted(ITEM["snippet"])), ANY_JSON, max_size=2),
)  # fmt: skip


@given(st.lists(ITEMS | ANY_JSON, max_size=4))
def test_parser_accounts_for_every_item_and_never_raises(items: list[Any]) -> None:
    text = json.dumps({"items": items})
    found = list(SOURCE.parse(page(text.encode())))
    is_json = "NaN" not in text and "Infinity" not in text
    assert len(found) == len(items) or (not is_json and len(found) == 1)


@given(
    st.sampled_from(["search", "videos"]),
    st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()),
)
def test_parser_never_raises_on_any_body(stream: str, body: bytes) -> None:
    for row in SOURCE.parse(page(body, stream)):
        assert isinstance(row, Rejected)
