from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError, SourceUnavailableError
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.youtube_analytics import YouTubeAnalyticsSource

from .conftest import KEY, LiveWorld, fetch, world_settings
from .test_youtube import ANY_JSON

SOURCE = YouTubeAnalyticsSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
REQUEST = "GET http://x/v2/reports?ids=channel%3D%3DMINE&startDate=2026-01-07&endDate=2026-01-07"
CHANNEL = "UCabcdefghijklmnopqrstuv"
# https://developers.google.com/youtube/analytics/reference/reports/query (read 2026-11)
HEADERS = [
    {"name": "day", "columnType": "DIMENSION", "dataType": "STRING"},
    {"name": "likes", "columnType": "METRIC", "dataType": "INTEGER"},
    {"name": "views", "columnType": "METRIC", "dataType": "INTEGER"},
    {"name": "averageViewPercentage", "columnType": "METRIC", "dataType": "FLOAT"},
]


def page(document: Any, stream: str = "channel_day", note: str = f"channel={CHANNEL}") -> Page:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Page(stream, "ZZ", 0, body, f"{REQUEST}#{note}", NOON)


def report(*rows: Any, headers: Any = HEADERS) -> dict[str, Any]:
    table = {"kind": "youtubeAnalytics#resultTable", "columnHeaders": headers}
    return table | ({"rows": list(rows)} if rows else {})


def records(source: YouTubeAnalyticsSource, pages: list[Page]) -> list[dict[str, Any]]:
    found = [row for one in pages for row in source.parse(one)]
    assert all(isinstance(row, Record) for row in found)
    return [dict(row.values) for row in found if isinstance(row, Record)]


def test_days_and_videos_of_the_own_channel(world: LiveWorld, day: Interval) -> None:
    source = YouTubeAnalyticsSource(world.settings)
    pages = fetch(source, day)
    values = records(source, pages)
    days = [v for v in values if v["kind"] == "channel_day"]
    videos = [v for v in values if v["kind"] == "video_day"]
    # The interval ends on the 10th, Pacific time; the two days before it are not worked up.
    assert [v["payload"]["day"] for v in days] == ["2026-01-05", "2026-01-06", "2026-01-07"]
    assert [v["event_at"].hour for v in days] == [8, 8, 8]
    assert {v["available_at"] for v in values} == {day.end}
    assert len({v["record_id"] for v in days}) == 1
    assert {v["payload"]["channel_id"] for v in videos} == {days[0]["record_id"]}
    for channel_day in days:
        same = [v["payload"] for v in videos if v["event_at"] == channel_day["event_at"]]
        for name in ("views", "likes", "comments", "subscribers_gained"):
            assert sum(p[name] for p in same) == channel_day["payload"][name]
        assert [p["views"] for p in same] == sorted((p["views"] for p in same), reverse=True)
        assert 0 < channel_day["payload"]["average_view_percent"] < 100


def test_an_interval_asks_again_for_the_days_before_it(world: LiveWorld, day: Interval) -> None:
    source = YouTubeAnalyticsSource(world.settings)
    seen: dict[tuple[str, str, datetime], dict[str, Any]] = {}
    for number in range(4):
        step = timedelta(days=number)
        for value in records(source, fetch(source, Interval(day.start + step, day.end + step))):
            key = (value["kind"], value["record_id"], value["event_at"])
            assert seen.setdefault(key, value["payload"]) == value["payload"]
    days = {key[2].date() for key in seen if key[0] == "channel_day"}
    assert days == {date(2026, 1, 5) + timedelta(days=n) for n in range(6)}


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = YouTubeAnalyticsSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, truncate;times=2;path=dimensions=day")
    assert fetch(source, day) == clean


def test_malformed_and_repeated_rows_lose_nothing_else(world: LiveWorld, day: Interval) -> None:
    source = YouTubeAnalyticsSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("malformed;rows=1;path=/reports")
    damaged = fetch(source, day)
    # A day that cannot be read is not asked for by video either.
    assert len(damaged) == len(clean) - 1
    bad = [r for one in damaged for r in source.parse(one) if isinstance(r, Rejected)]
    assert [r.kind for r in bad] == ["channel_day", "video_day", "video_day"]


def test_no_secret_is_seen(world: LiveWorld, day: Interval) -> None:
    for one in fetch(YouTubeAnalyticsSource(world.settings), day):
        assert KEY not in one.request
        assert KEY.encode() not in one.body
        assert "ya29" not in one.request
        assert b"ya29" not in one.body


def test_refused_grant_names_what_to_check(world: LiveWorld, day: Interval) -> None:
    refused = YouTubeAnalyticsSource(world_settings(world.url, world_key="another-secret"))
    with pytest.raises(SourceUnavailableError, match="YOUTUBE_REFRESH_TOKEN") as caught:
        fetch(refused, day)
    assert "another-secret" not in str(caught.value)
    assert "401" in str(caught.value)


def test_an_own_channel_that_cannot_be_read_may_be_tried_again(
    world: LiveWorld, day: Interval
) -> None:
    world.set_faults("malformed;path=/channels")
    with pytest.raises(ProviderError, match="retry later"):
        fetch(YouTubeAnalyticsSource(world.settings), day)


def test_source_without_credentials_names_all_of_them() -> None:
    without = YouTubeAnalyticsSource(world_settings("http://127.0.0.1:1", world_key=None))
    reason = without.availability().reason
    for name in ("YOUTUBE_CLIENT_ID", "YOUTUBE_CLIENT_SECRET", "YOUTUBE_REFRESH_TOKEN"):
        assert name in reason
    real = YouTubeAnalyticsSource(
        world_settings("http://127.0.0.1:1", sources_from="providers", youtube_client_id="a")
    )
    assert "YOUTUBE_CLIENT_ID" not in real.availability().reason
    assert real.replayable


def test_columns_are_found_by_name() -> None:
    first = page(report(["2026-01-07", 3, 40, 12.5]))
    moved = page(report([40, 12.5, "2026-01-07", 3], headers=[HEADERS[i] for i in (2, 3, 0, 1)]))
    (row,), (other,) = SOURCE.parse(first), SOURCE.parse(moved)
    assert row == other
    assert isinstance(row, Record)
    assert row.values["record_id"] == CHANNEL
    assert row.values["event_at"] == datetime(2026, 1, 7, 8, tzinfo=UTC)
    payload = row.values["payload"]
    assert (payload["views"], payload["likes"], payload["average_view_percent"]) == (40, 3, 12.5)
    assert payload["comments"] is None  # not asked for is not zero


def test_day_of_a_video_report_is_that_of_its_request() -> None:
    headers = [{"name": "video"}, {"name": "views"}, {"name": "likes"}]
    (row,) = SOURCE.parse(page(report(["abcdefghijk", 9, -2], headers=headers), "video_day"))
    assert isinstance(row, Record)
    assert row.values["record_id"] == "abcdefghijk"
    assert row.values["payload"]["day"] == "2026-01-07"
    assert row.values["payload"]["channel_id"] == CHANNEL
    assert row.values["payload"]["likes"] == -2  # more were taken back than given


def test_days_are_those_of_california_in_summer_too() -> None:
    (row,) = SOURCE.parse(page(report(["2026-07-07", 3, 40, 12.5])))
    assert isinstance(row, Record)
    assert row.values["event_at"] == datetime(2026, 7, 7, 7, tzinfo=UTC)


def test_report_without_data_has_no_rows() -> None:
    assert list(SOURCE.parse(page(report()))) == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["2026-01-07", 3, 40], "columns"),
        ({"day": "2026-01-07"}, "columns"),
        (["yesterday", 3, 40, 1.0], "day"),
        (["0001-01-01", 3, 40, 1.0], "day"),
        ([20260107, 3, 40, 1.0], "day"),
        (["2026-01-07", "many", 40, 1.0], "likes"),
        (["2026-01-07", 3, True, 1.0], "views"),
        (["2026-01-07", 3, 10**40, 1.0], "views"),
    ],
)
def test_wrong_row_is_a_dead_letter_that_names_the_column(row: Any, reason: str) -> None:
    good, bad = SOURCE.parse(page(report(["2026-01-07", 3, 40, 1.0], row)))
    assert isinstance(good, Record)
    assert isinstance(bad, Rejected)
    assert reason in bad.reason
    assert bad.position == 1


def test_infinity_by_exponent_is_a_dead_letter() -> None:
    body = json.dumps(report(["2026-01-07", 3, 40, 7.25])).replace("7.25", "1e999").encode()
    (row,) = SOURCE.parse(page(body))
    assert isinstance(row, Rejected)
    assert "averageViewPercentage" in row.reason


@pytest.mark.parametrize("headers", [None, [5], [{"name": "day"}, {"name": "day"}], [{}]])
def test_report_without_names_is_one_dead_letter(headers: Any) -> None:
    (row,) = SOURCE.parse(page(report(["2026-01-07"], headers=headers)))
    assert isinstance(row, Rejected)


def test_report_without_its_channel_gives_no_records() -> None:
    (row,) = SOURCE.parse(page(report(["2026-01-07", 3, 40, 1.0]), note=""))
    assert isinstance(row, Rejected)
    assert "channel" in row.reason


def test_requests_name_every_metric_once(world: LiveWorld, day: Interval) -> None:
    by_day, *by_video = fetch(YouTubeAnalyticsSource(world.settings), day)
    for one in (by_day, *by_video):
        query = parse_qs(urlsplit(one.request.partition(" ")[2]).query)
        metrics = query["metrics"][0].split(",")
        assert len(metrics) == len(set(metrics)) == 10
    assert [p.number for p in (by_day, *by_video)] == list(range(len(by_video) + 1))


ROWS = st.lists(ANY_JSON, min_size=3, max_size=4).map(lambda rest: ["2026-01-07", *rest])


@given(st.lists(ROWS | ANY_JSON, max_size=4), st.sampled_from(["channel_day", "video_day"]))
def test_parser_accounts_for_every_row_and_never_raises(rows: list[Any], stream: str) -> None:
    text = json.dumps(report(*rows))
    found = list(SOURCE.parse(page(text.encode(), stream)))
    is_json = "NaN" not in text and "Infinity" not in text
    assert len(found) == len(rows) or (not is_json and len(found) == 1)


@given(st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_parser_never_raises_on_any_body(body: bytes) -> None:
    for row in SOURCE.parse(page(body)):
        assert isinstance(row, Rejected)
