from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.quota import MemoryMeter
from ml.sources.youtube_channels import YouTubeChannelsSource
from ml.sources.youtube_data import UNITS
from ml.world.parameters import REGIONS

from .conftest import KEY, LiveWorld, fetch, own_breaker, world_settings
from .test_youtube import ANY_JSON

SOURCE = YouTubeChannelsSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
# https://developers.google.com/youtube/v3/docs/channels (read 2026-11)
ITEM: dict[str, Any] = {
    "kind": "youtube#channel",
    "etag": "x",
    "id": "UCabcdefghijklmnopqrstuv",
    "snippet": {
        "title": "A channel",
        "description": "",
        "customUrl": "@achannel",
        "publishedAt": "2011-03-04T05:06:07.123456Z",
        "thumbnails": {},
        "localized": {"title": "A channel", "description": ""},
        "country": "DE",
    },
    "statistics": {
        "viewCount": "1234567",
        "subscriberCount": "12300",
        "hiddenSubscriberCount": False,
        "videoCount": "89",
    },
}


def page(body: bytes, stream: str = "channels") -> Page:
    return Page(stream, "ZZ", 0, body, "GET http://x/channels", NOON)


def parse(*items: Any) -> list[Record | Rejected]:
    return list(SOURCE.parse(page(json.dumps({"items": list(items)}).encode())))


def test_channels_of_every_chart_are_observed_once(world: LiveWorld, day: Interval) -> None:
    source = YouTubeChannelsSource(world.settings)
    pages = fetch(source, day)
    found = [row for one in pages for row in source.parse(one)]
    values = [row.values for row in found if isinstance(row, Record)]
    assert len(values) == len(found)
    charts = [json.loads(p.body)["items"] for p in pages if p.stream == "chart"]
    owners = {video["snippet"]["channelId"] for chart in charts for video in chart}
    assert {v["record_id"] for v in values} == owners
    assert len(values) == len(owners) > 50
    assert {v["event_at"] for v in values} == {day.end}
    assert {v["region"] for v in values} == {"ZZ"}
    assert {v["payload"]["country"] for v in values} <= set(REGIONS)
    assert any(v["payload"]["subscribers"] is None for v in values)
    assert all(v["payload"]["views"] and v["payload"]["videos"] for v in values)


def test_every_call_is_booked_and_fewer_regions_cost_less(world: LiveWorld, day: Interval) -> None:
    source = YouTubeChannelsSource(world.settings)
    assert [level.name for level in source.levels()] == ["regions=2", "regions=1"]
    for level in source.levels():
        meter = MemoryMeter()
        access = Access(world.settings, level=level, at=day.end, meter=meter, breaker=own_breaker())
        pages = list(source.fetch(day, None, access))
        spent = 10_000 - meter.left(UNITS, day.end)
        assert len(pages) == spent <= level.costs["default"]


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = YouTubeChannelsSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, truncate;times=2;path=/channels")
    assert fetch(source, day) == clean
    assert not any(KEY in one.request for one in clean)


def test_malformed_items_of_both_pages_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    world.set_faults("malformed;rows=5")
    source = YouTubeChannelsSource(world_settings(world.url, youtube_regions=("US",)))
    chart, *channels = fetch(source, day)
    assert all(isinstance(row, Rejected) for row in source.parse(chart))
    for one in channels:
        found = list(source.parse(one))
        assert len(found) == len(json.loads(one.body)["items"])
        assert any(isinstance(row, Rejected) for row in found)


def test_documented_channel_parses() -> None:
    (row,) = parse(ITEM)
    assert isinstance(row, Record)
    assert row.values["record_id"] == ITEM["id"]
    assert row.values["payload"] == {
        "title": "A channel", "handle": "@achannel", "country": "DE",
        "created_at": "2011-03-04T05:06:07.123456+00:00", "subscribers": 12300, "videos": 89,
        "views": 1234567,
    }  # fmt: skip


@pytest.mark.parametrize("shown", [{"subscriberCount": "0"}, {}])
def test_hidden_subscribers_are_unknown_and_never_zero(shown: dict[str, str]) -> None:
    statistics = {"viewCount": "5", "videoCount": "1", "hiddenSubscriberCount": True, **shown}
    (row,) = parse({**ITEM, "statistics": statistics})
    assert isinstance(row, Record)
    assert row.values["payload"]["subscribers"] is None


def test_channels_that_are_gone_leave_an_empty_page_without_items() -> None:
    body = b'{"kind": "youtube#channelListResponse", "pageInfo": {"totalResults": 0}}'
    assert list(SOURCE.parse(page(body))) == []
    (row,) = SOURCE.parse(page(b'{"error": {}}'))
    assert isinstance(row, Rejected)


def test_source_without_key_or_regions_is_unavailable() -> None:
    without = YouTubeChannelsSource(world_settings("http://127.0.0.1:1", world_key=None))
    assert "YOUTUBE_API_KEY" in without.availability().reason
    nowhere = YouTubeChannelsSource(world_settings("http://127.0.0.1:1", youtube_regions=()))
    assert "YOUTUBE_REGIONS" in nowhere.availability().reason


ITEMS = st.builds(
    lambda changes, snippet, statistics: {
        **ITEM, "snippet": {**ITEM["snippet"], **snippet},
        "statistics": {**ITEM["statistics"], **statistics}, **changes,
    },
    st.dictionaries(st.sampled_from(sorted(ITEM)), ANY_JSON, max_size=1),
    st.dictionaries(st.sampled_from(sorted(ITEM["snippet"])), ANY_JSON, max_size=2),
    st.dictionaries(st.sampled_from(sorted(ITEM["statistics"])), ANY_JSON, max_size=2),
)  # fmt: skip


@given(st.lists(ITEMS | ANY_JSON, max_size=4))
def test_parser_accounts_for_every_item_and_never_raises(items: list[Any]) -> None:
    text = json.dumps({"items": items})
    found = list(SOURCE.parse(page(text.encode())))
    is_json = "NaN" not in text and "Infinity" not in text
    assert len(found) == len(items) or (not is_json and len(found) == 1)


@given(
    st.sampled_from(["chart", "channels"]),
    st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()),
)
def test_parser_never_raises_on_any_body(stream: str, body: bytes) -> None:
    for row in SOURCE.parse(page(body, stream)):
        assert isinstance(row, Rejected)
