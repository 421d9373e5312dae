from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError, QuotaExceededError, SourceUnavailableError
from ml.settings import Settings
from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.google_trends_interest import (
    SEARCHES,
    GoogleTrendsInterestSource,
    Point,
    window,
)
from ml.sources.http import Fetched, HttpClient
from ml.sources.quota import Level, MemoryMeter
from ml.sources.stitching import Series, stitch

from .conftest import KEY, LiveWorld, fetch, own_breaker, world_settings
from .test_youtube import ANY_JSON

CHANGES: dict[str, object] = {
    "google_trends_keywords": ("chess", "minecraft"), "google_trends_regions": ("US", "GB"),
}  # fmt: skip
SOURCE = GoogleTrendsInterestSource(world_settings("http://127.0.0.1:1", **CHANGES))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
REQUEST = "GET http://x/search?q=a#start=2026-01-04T00%3A00%3A00&end=2026-01-11T00%3A00%3A00"
# https://github.com/serpapi/public-roadmap/issues/1999 (read 2026-11), within the frame of
# https://serpapi.com/google-trends-api.
ENTRY: dict[str, Any] = {
    "date": "Sep 29 \u2013 Oct 5, 2024",
    "timestamp": "1727568000",
    "partial_data": True,
    "values": [{"query": "Coffee", "value": "99", "extracted_value": 99}],
}


def page(*entries: Any, **more: Any) -> Page:
    body = {"interest_over_time": {"timeline_data": list(entries)}, **more}
    return Page("interest", "US", 0, json.dumps(body).encode(), REQUEST, NOON)


def with_world(world: LiveWorld, **changes: object) -> Settings:
    return world.settings.model_copy(update={**CHANGES, **changes})


def series(source: GoogleTrendsInterestSource, pages: list[Page], keyword: str) -> Series:
    rows = [row.values for each in pages for row in source.parse(each) if isinstance(row, Record)]
    chosen = [row for row in rows if row["payload"]["keyword"] == keyword and row["region"] == "US"]
    chosen.sort(key=lambda row: row["event_at"])
    return Series(
        np.array([int(row["event_at"].timestamp()) for row in chosen]),
        np.array([float(row["payload"]["value"]) for row in chosen]),
    )


def test_documented_entry_parses() -> None:
    (row,) = SOURCE.parse(page(ENTRY))
    assert isinstance(row, Record)
    assert row.values["kind"] == "interest"
    assert row.values["record_id"] == "Coffee|2026-01-04T00:00:00/2026-01-11T00:00:00"
    assert row.values["event_at"] == datetime(2024, 9, 29, tzinfo=UTC)
    assert row.values["payload"] == {
        "keyword": "Coffee", "value": 99, "partial": True,
        "window_start": "2026-01-04T00:00:00", "window_end": "2026-01-11T00:00:00",
    }  # fmt: skip


def test_too_little_interest_is_no_error() -> None:
    body = {"search_metadata": {"status": "Success"}, "error": "Google Trends hasn't returned any"
            " results for this query."}  # fmt: skip
    nothing = Page("interest", "US", 0, json.dumps(body).encode(), REQUEST, NOON)
    assert list(SOURCE.parse(nothing)) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"values": []}, "no values"),
        ({"values": [{"query": "a", "extracted_value": 101}]}, "from 0 to 100"),
        ({"values": [{"query": None, "extracted_value": 1}]}, "query"),
        ({"values": [{"query": "a" * 600, "extracted_value": 1}]}, "too long"),
        ({"partial_data": "yes"}, "partial_data"),
    ],
)
def test_entry_that_does_not_fit_is_a_dead_letter(change: dict[str, Any], reason: str) -> None:
    first, second = SOURCE.parse(page({**ENTRY, **change}, ENTRY))
    assert isinstance(first, Rejected)
    assert reason in first.reason
    assert isinstance(second, Record)


def test_error_in_a_good_answer_is_a_dead_letter() -> None:
    (row,) = SOURCE.parse(page(ENTRY, error="Something else"))
    assert isinstance(row, Rejected)
    assert "Something else" in row.reason


def test_windows_reach_back_over_the_interval_before(day: Interval) -> None:
    start, end = window(day)
    assert (start, end) == (day.end - timedelta(days=7), day.end)
    long = Interval(day.start, day.start + timedelta(days=10))
    assert window(long) == (long.end - timedelta(days=20), long.end)
    odd = Interval(day.start, day.start + timedelta(minutes=90))
    assert window(odd)[1] == day.start + timedelta(hours=2)


def test_every_keyword_and_region_gives_its_week(world: LiveWorld, day: Interval) -> None:
    source = GoogleTrendsInterestSource(with_world(world))
    pages = fetch(source, day)
    assert [each.region for each in pages] == ["US", "US", "GB", "GB"]
    rows = [list(source.parse(each)) for each in pages]
    for found in rows:
        values = [row.values for row in found if isinstance(row, Record)]
        assert len(values) == len(found) == 168
        assert [v["event_at"] for v in values] == [day.end - n * HOUR for n in range(168, 0, -1)]
        assert max(v["payload"]["value"] for v in values) == 100
        assert not any(v["payload"]["partial"] for v in values)


def test_two_windows_of_the_world_stitch_into_one_series(world: LiveWorld, day: Interval) -> None:
    source = GoogleTrendsInterestSource(with_world(world))
    following = Interval(day.end, day.end + timedelta(days=1))
    first, second = (fetch(source, each) for each in (day, following))
    ids = {row.values["record_id"] for each in first + second for row in source.parse(each)
           if isinstance(row, Record)}  # fmt: skip
    assert len(ids) == 4  # two keywords, two windows: no value replaces one of another scale
    joined = stitch(series(source, first, "minecraft"), series(source, second, "minecraft"))
    assert len(joined.times) == 192
    assert np.all(np.diff(joined.times) == 3600)
    # A window over all eight days knows the true course, up to sampling and rounding.
    whole = Interval(following.end - timedelta(days=4), following.end)
    truth = series(source, fetch(source, whole), "minecraft")
    shared = np.isin(joined.times, truth.times)
    ratio = joined.values[shared] / truth.values[np.isin(truth.times, joined.times)]
    assert np.median(np.abs(ratio / np.median(ratio) - 1.0)) < 0.1


def test_key_is_sent_and_never_kept(world: LiveWorld, day: Interval) -> None:
    for each in fetch(GoogleTrendsInterestSource(with_world(world)), day):
        assert KEY not in each.request
        assert KEY.encode() not in each.body
        assert "api_key=***" in each.request


def test_searches_are_booked_and_levels_ask_for_fewer_regions(
    world: LiveWorld, day: Interval
) -> None:
    source = GoogleTrendsInterestSource(with_world(world))
    full, less = source.levels()
    assert (full.costs, less.costs) == ({"default": 4}, {"default": 2})
    assert {each.region for each in fetch(source, day, level=less)} == {"US"}
    meter = MemoryMeter()
    access = Access(source.settings, meter=meter, at=day.end, breaker=own_breaker())
    list(source.fetch(day, None, access))
    assert meter.left(SEARCHES, day.end) == SEARCHES.per_day - 4
    many = GoogleTrendsInterestSource(
        with_world(world, google_trends_keywords=tuple(f"word{n}" for n in range(9)))
    )
    with pytest.raises(QuotaExceededError):
        list(many.fetch(day, None, access))


def test_faults_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    settings = with_world(world, google_trends_regions=("US",), google_trends_keywords=("chess",))
    source = GoogleTrendsInterestSource(settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2")
    assert fetch(source, day) == clean
    world.set_faults("500")
    with pytest.raises(ProviderError):
        fetch(source, day)


def test_malformed_entries_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    world.set_faults("malformed;rows=5")
    source = GoogleTrendsInterestSource(with_world(world, google_trends_regions=("US",)))
    found = [row for each in fetch(source, day) for row in source.parse(each)]
    assert sum(isinstance(row, Rejected) for row in found) == 10
    assert len(found) == 2 * 168


def test_refused_key_names_the_variable(world: LiveWorld, day: Interval) -> None:
    world.set_faults("401")
    with pytest.raises(SourceUnavailableError, match="SERPAPI_KEY"):
        fetch(GoogleTrendsInterestSource(with_world(world)), day)


def test_source_without_key_or_keyword_names_the_variable() -> None:
    bare = world_settings("http://127.0.0.1:1", world_key=None, **CHANGES)
    assert "SERPAPI_KEY" in GoogleTrendsInterestSource(bare).availability().reason
    none = world_settings("http://127.0.0.1:1", google_trends_keywords=())
    reason = GoogleTrendsInterestSource(none).availability().reason
    assert "GOOGLE_TRENDS_KEYWORDS" in reason


class OtherProvider:
    """Interest over time from somewhere else: the adapter can be replaced."""

    base_url = "https://hacker-news.firebaseio.com"  # any host that the world serves
    docs = "none"
    credential = "serpapi_key"

    def present(self, secret: str) -> Mapping[str, str]:
        return {"token": secret}

    def ask(
        self, http: HttpClient, keyword: str, region: str, start: datetime, end: datetime
    ) -> Fetched:
        return http.get("v0/maxitem.json")

    def points(self, body: bytes) -> Iterator[Point | Rejected]:
        yield Point("chess", NOON, int(body) % 101, False)


def test_another_provider_takes_the_place(world: LiveWorld, day: Interval) -> None:
    source = GoogleTrendsInterestSource(with_world(world), OtherProvider())
    assert source.spec.base_url == OtherProvider.base_url
    (first, *_) = fetch(source, day, level=Level("regions=1"))
    (row,) = source.parse(first)
    assert isinstance(row, Record)
    assert row.values["payload"]["keyword"] == "chess"
    assert KEY not in first.request


def test_world_refuses_what_the_adapter_never_asks(world: LiveWorld) -> None:
    answer = httpx.get(f"{world.url}/serpapi.com/search", trust_env=False)
    assert answer.status_code == 401
    assert "Invalid API key" in answer.json()["error"]


def is_finite(value: Any) -> bool:
    """Whether JSON has it: Infinity and NaN make a whole page unreadable."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


VALUES = ANY_JSON.filter(is_finite)
ENTRIES = st.dictionaries(st.sampled_from(sorted(ENTRY)), VALUES, max_size=3).map(
    lambda changes: {**ENTRY, **changes}
)


@given(st.lists(ENTRIES | VALUES, max_size=4))
def test_parser_accounts_for_every_entry(entries: list[Any]) -> None:
    alone = [list(SOURCE.parse(page(entry))) for entry in entries]
    assert all(alone)
    assert len(list(SOURCE.parse(page(*entries)))) == sum(len(found) for found in alone)


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_parser_never_raises_on_any_body(body: bytes) -> None:
    for row in SOURCE.parse(Page("interest", "US", 0, body, REQUEST, NOON)):
        assert isinstance(row, Rejected)
