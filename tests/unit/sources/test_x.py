from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import RateLimitedError, SourceUnavailableError
from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected, Source
from ml.sources.x import XCountsSource, XTrendsSource

from .conftest import KEY, LiveWorld, fetch, own_breaker, serve, world_settings
from .test_youtube import ANY_JSON

NOWHERE = world_settings("http://127.0.0.1:1")
COUNTS, TRENDS = XCountsSource(NOWHERE), XTrendsSource(NOWHERE)
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
COUNTS_REQUEST = "GET https://api.x.com/2/tweets/counts/recent?query=from%3AXDevelopers+%23ai&end=1"
TRENDS_REQUEST = "GET https://api.x.com/2/trends/by/woeid/23424977?max_trends=50"
# The answers that the documentation shows:
# https://docs.x.com/x-api/posts/counts/quickstart/recent-tweet-counts and
# https://docs.x.com/x-api/trends/introduction (read 2026-11).
BUCKETS: list[dict[str, Any]] = [
    {"end": "2024-01-16T00:00:00.000Z", "start": "2024-01-15T00:00:00.000Z", "tweet_count": 5},
    {"end": "2024-01-17T00:00:00.000Z", "start": "2024-01-16T00:00:00.000Z", "tweet_count": 3},
]
TREND: dict[str, Any] = {"trend_name": "Europe", "tweet_count": 232408}


def page(source: Source, document: Any, region: str = "ZZ") -> Page:
    request = COUNTS_REQUEST if source is COUNTS else TRENDS_REQUEST
    body = json.dumps(document).encode()
    return Page("x", region, 0, body, request, NOON)


def records(source: Source, pages: list[Page]) -> list[dict[str, Any]]:
    found = [row for one in pages for row in source.parse(one)]
    assert all(isinstance(row, Record) for row in found), found
    return [dict(row.values) for row in found if isinstance(row, Record)]


def test_counts_of_a_day_are_24_an_hour_for_each_query(world: LiveWorld, day: Interval) -> None:
    source = XCountsSource(world.settings)
    found = records(source, fetch(source, day))
    for query in world.settings.x_queries:
        own = [v for v in found if v["record_id"] == query]
        assert [v["event_at"] for v in own] == [day.start + timedelta(hours=h) for h in range(24)]
        assert [v["payload"]["seconds"] for v in own] == [3600] * 23 + [3590]
        assert sum(v["payload"]["posts"] for v in own) > 0
        assert {v["available_at"] for v in own} == {day.end}
    assert len(found) == 24 * len(world.settings.x_queries)


def test_neighbouring_intervals_meet(world: LiveWorld, day: Interval) -> None:
    source = XCountsSource(world.settings)
    following = Interval(day.end, day.end + timedelta(hours=6))
    times = [v["event_at"] for one in (day, following) for v in records(source, fetch(source, one))]
    assert len(times) == len(world.settings.x_queries) * 30
    assert len(set(times)) == 30


def test_an_interval_is_cut_to_the_last_seven_days(world: LiveWorld, day: Interval) -> None:
    source = XCountsSource(world_settings(world.url, x_queries=("gaming",)))
    month = Interval(day.end - timedelta(days=30), day.end)
    found = records(source, fetch(source, month))
    assert found[0]["event_at"] == day.end - timedelta(days=7) + timedelta(minutes=1)
    assert found[0]["payload"]["seconds"] == 3540
    assert len(found) == 168


def test_an_interval_out_of_reach_gives_nothing(world: LiveWorld, day: Interval) -> None:
    source = XCountsSource(world.settings)
    now = Access(source.settings, at=day.end, breaker=own_breaker())
    old = Interval(day.end - timedelta(days=9), day.end - timedelta(days=8))
    assert list(source.fetch(old, None, now)) == []
    future = Interval(day.end, day.end + timedelta(hours=1))
    assert list(source.fetch(future, None, now)) == []


def test_trends_of_every_place(world: LiveWorld, day: Interval) -> None:
    source = XTrendsSource(world.settings)
    pages = fetch(source, day)
    found = records(source, pages)
    assert [one.region for one in pages] == ["ZZ", "US"]
    for region, woeid in (("ZZ", 1), ("US", 23424977)):
        own = [v for v in found if v["region"] == region]
        assert [v["payload"]["rank"] for v in own] == list(range(1, 51))
        assert {v["payload"]["woeid"] for v in own} == {woeid}
        assert all(v["record_id"] == f"{woeid}:{v['payload']['title']}" for v in own)
        assert {v["event_at"] for v in own} == {day.end}
    counted = [v["payload"]["posts"] for v in found]
    assert None in counted
    assert any(isinstance(number, int) for number in counted)


def test_a_place_that_x_does_not_know_is_a_dead_letter(world: LiveWorld, day: Interval) -> None:
    source = XTrendsSource(world_settings(world.url, x_woeids=(4711, 1)))
    found = [row for one in fetch(source, day) for row in source.parse(one)]
    (refused,) = [row for row in found if isinstance(row, Rejected)]
    assert "4711" in refused.payload
    assert len(found) == 51


@pytest.mark.parametrize("build", [XCountsSource, XTrendsSource])
def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval, build: Any) -> None:
    source = build(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2;p=0.5, 503;times=1;p=0.3")
    assert fetch(source, day) == clean


@pytest.mark.parametrize("build", [XCountsSource, XTrendsSource])
def test_malformed_items_become_dead_letters(world: LiveWorld, day: Interval, build: Any) -> None:
    source = build(world.settings)
    whole = len(records(source, fetch(source, day)))
    world.set_faults("malformed;rows=3")
    pages = fetch(source, day)
    found = [row for one in pages for row in source.parse(one)]
    assert len(found) == whole
    assert sum(isinstance(row, Rejected) for row in found) == 3 * len(pages)


def test_refused_credentials_name_the_variable_and_no_secret(
    world: LiveWorld, day: Interval
) -> None:
    world.set_faults("401")
    with pytest.raises(SourceUnavailableError, match="X_BEARER_TOKEN") as caught:
        fetch(XCountsSource(world.settings), day)
    assert KEY not in str(caught.value)


def test_a_limit_that_lasts_is_left_to_the_scheduler(world: LiveWorld, day: Interval) -> None:
    world.set_faults("429;retry_after=0;path=trends")
    with pytest.raises(RateLimitedError):
        fetch(XTrendsSource(world_settings(world.url, x_woeids=(1,))), day)


@pytest.mark.parametrize(
    ("build", "nothing"), [(XCountsSource, {"x_queries": ()}), (XTrendsSource, {"x_woeids": ()})]
)
def test_what_is_missing_is_named(build: Any, nothing: dict[str, Any]) -> None:
    assert build(world_settings("", world_url=None)).availability().reason == "set X_BEARER_TOKEN"
    state = build(world_settings("http://127.0.0.1:1", **nothing)).availability()
    assert not state.available
    assert next(iter(nothing)).upper() in state.reason


def test_further_pages_are_followed_until_a_token_repeats(day: Interval) -> None:
    """The world's X pages nothing here, as the guide says; the reference has a `next_token`."""
    app = FastAPI()
    asked: list[str | None] = []

    @app.get("/2/tweets/counts/recent")
    async def counts(request: Request) -> dict[str, Any]:
        asked.append(request.query_params.get("next_token"))
        following = {None: "b", "b": "c", "c": "b"}[asked[-1]]
        return {"data": BUCKETS, "meta": {"total_tweet_count": 8, "next_token": following}}

    with serve(app) as url:
        settings = world_settings(
            "",
            world_url=None,
            sources_from="providers",
            provider_urls={"api.x.com": url},
            x_bearer_token="token",
            x_queries=("AI",),
        )
        now = datetime.now(UTC)
        source = XCountsSource(settings)
        source.spec = replace(source.spec, min_interval_s=0.0)
        pages = fetch(source, Interval(now - timedelta(hours=2), now))
    assert asked == [None, "b", "c"]
    assert [one.number for one in pages] == [0, 1, 2]
    assert all("token" not in one.request.replace("next_token", "") for one in pages)


def test_documented_counts_parse() -> None:
    first, second = records(COUNTS, [page(COUNTS, {"data": BUCKETS, "meta": {}})])
    assert first["record_id"] == second["record_id"] == "from:XDevelopers #ai"
    assert first["event_at"] == datetime(2024, 1, 15, tzinfo=UTC)
    assert first["payload"] == {"posts": 5, "seconds": 86_400}


def test_documented_trends_parse() -> None:
    named = {"trend_name": "Breaking News"}
    first, second = records(TRENDS, [page(TRENDS, {"data": [TREND, named]}, "US")])
    assert first["payload"] == {
        "title": "Europe", "rank": 1, "posts": 232408, "woeid": 23424977,
    }  # fmt: skip
    assert first["region"] == "US"
    assert second["payload"]["posts"] is None


@pytest.mark.parametrize(
    "changes",
    [{"start": None}, {"start": "yesterday"}, {"end": "2024-01-14T00:00:00.000Z"},
     {"tweet_count": "many"}, {"tweet_count": None}, {"start": "2024-01-15T00:00:00"}],
)  # fmt: skip
def test_wrong_buckets_are_refused(changes: dict[str, Any]) -> None:
    (row,) = COUNTS.parse(page(COUNTS, {"data": [{**BUCKETS[0], **changes}]}))
    assert isinstance(row, Rejected)


@pytest.mark.parametrize("document", [{}, {"data": None}, {"data": {}}, {"errors": 1}, [], None])
def test_pages_of_another_shape_are_refused(document: Any) -> None:
    for source in (COUNTS, TRENDS):
        (row,) = source.parse(page(source, document))
        assert isinstance(row, Rejected)


def test_a_request_that_does_not_say_what_was_asked_rejects_the_page() -> None:
    for source in (COUNTS, TRENDS):
        body = json.dumps({"data": []}).encode()
        (row,) = source.parse(Page("x", "ZZ", 0, body, "GET https://api.x.com/2/", NOON))
        assert isinstance(row, Rejected)


# NaN and Infinity are no JSON: they reject a page as a whole.
FINITE = ANY_JSON.filter(lambda value: not re.search("NaN|Infinity", json.dumps(value)))
NAMES = st.sampled_from(["start", "end", "tweet_count", "trend_name"])
ITEMS = st.dictionaries(NAMES, FINITE, max_size=3).map(
    lambda changes: {**BUCKETS[0], **TREND, **changes}
)


@given(
    st.sampled_from([COUNTS, TRENDS]),
    st.lists(ITEMS | FINITE, max_size=4),
    st.lists(FINITE, max_size=2),
)
def test_parser_accounts_for_every_item(
    source: Source, items: list[Any], errors: list[Any]
) -> None:
    body = json.dumps({"data": items, "errors": errors}).encode("utf-8", "backslashreplace")
    request = page(source, {}).request
    found = list(source.parse(Page("x", "ZZ", 0, body, request, NOON)))
    assert len(found) == len(items) + len(errors)


@given(
    st.sampled_from([COUNTS, TRENDS]), st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode())
)
def test_parser_never_raises_on_any_body(source: Source, body: bytes) -> None:
    for row in source.parse(Page("x", "ZZ", 0, body, page(source, {}).request, NOON)):
        assert isinstance(row, Rejected)
