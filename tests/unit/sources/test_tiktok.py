from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import (
    ProviderError,
    QuotaExceededError,
    RateLimitedError,
    SourceUnavailableError,
)
from ml.sources import tiktok
from ml.sources.access import Access
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.quota import MemoryMeter
from ml.sources.tiktok import UNITS, TikTokSource

from .conftest import KEY, LiveWorld, fetch, own_breaker, world_settings
from .test_youtube import ANY_JSON

SOURCE = TikTokSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
# https://developers.tiktok.com/doc/research-api-specs-query-videos (read 2026-11).
VIDEO: dict[str, Any] = {
    "id": 702874395068494965, "video_description": "made the cart #oddlysatisfying",
    "create_time": 1633823999, "region_code": "US", "share_count": 3, "view_count": 1050,
    "like_count": 10, "comment_count": 2, "music_id": 703847506349838790,
    "hashtag_names": ["oddlysatisfying"], "username": "someone", "voice_to_text": "hello",
    "video_duration": 15,
}  # fmt: skip


def answer(*videos: Any, code: str = "ok", **data: Any) -> bytes:
    error = {"code": code, "message": "", "log_id": "202207280326050102231031430C7E754E"}
    return json.dumps({"data": {"videos": list(videos), **data}, "error": error}).encode()


def page(body: bytes) -> Page:
    request = "POST https://open.tiktokapis.com/v2/research/video/query/?fields=id"
    return Page("videos", "GB", 0, body, request, NOON)


def parse(**changes: Any) -> list[Record | Rejected]:
    return list(SOURCE.parse(page(answer({**VIDEO, **changes}))))


def records(source: TikTokSource, pages: list[Page]) -> list[dict[str, Any]]:
    found = [row for one in pages for row in source.parse(one)]
    assert all(isinstance(row, Record) for row in found), found
    return [dict(row.values) for row in found if isinstance(row, Record)]


def test_videos_of_every_region(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world.settings, pages=3)
    pages = fetch(source, day)
    found = records(source, pages)
    videos = [v for v in found if v["kind"] == "video"]
    assert [one.number for one in pages] == list(range(6))
    assert {v["region"] for v in videos} == {"US", "GB"}
    assert len({v["record_id"] for v in videos}) == len(videos) > 500
    assert all(day.start <= v["event_at"] < day.end for v in videos)
    snapshots = [v for v in found if v["kind"] == "snapshot"]
    assert [v["record_id"] for v in snapshots] == [v["record_id"] for v in videos]
    assert {v["event_at"] for v in snapshots} == {day.end}
    assert sum(v["payload"]["views"] for v in snapshots) > 0


def test_all_pages_of_a_region_are_read_to_the_end(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world_settings(world.url, tiktok_regions=("NL",)))
    pages = fetch(source, day)
    assert 1 < len(pages) < 10
    assert json.loads(pages[-1].body)["data"]["has_more"] is False
    assert not any(KEY in one.request or KEY.encode() in one.body for one in pages)


def test_an_hour_asks_for_its_day(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world_settings(world.url, tiktok_regions=("NL",)))
    hour = Interval(day.end - timedelta(hours=1), day.end)
    assert fetch(source, hour) == fetch(source, day)


def test_long_intervals_are_cut_into_spans_that_the_api_takes() -> None:
    start = datetime(2026, 1, 1, 23, tzinfo=UTC)
    spans = list(tiktok._spans(Interval(start, start + timedelta(days=40))))
    assert spans == [
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 10)),
    ]
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    assert list(tiktok._spans(Interval(midnight - timedelta(hours=1), midnight))) == [
        (date(2026, 1, 1), date(2026, 1, 1))
    ]


def test_every_request_is_booked_and_a_level_takes_fewer(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world.settings)
    full, *_, least = source.levels()
    assert (full.name, full.costs) == ("pages=10", {"default": 20})
    assert (least.name, least.costs) == ("pages=1", {"default": 2})
    meter = MemoryMeter()
    access = Access(source.settings, meter=meter, level=least, at=day.end, breaker=own_breaker())
    assert len(list(source.fetch(day, None, access))) == 2
    assert meter.left(UNITS, day.end) == UNITS.per_day - 2


def test_a_spent_quota_stops_the_fetch(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world.settings)
    meter = MemoryMeter()
    meter.spend(UNITS, 999, day.end)
    access = Access(source.settings, meter=meter, at=day.end, breaker=own_breaker())
    pages = source.fetch(day, None, access)
    next(pages)
    with pytest.raises(QuotaExceededError) as caught:
        next(pages)
    assert caught.value.resets_at == day.end + timedelta(days=1)


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world.settings, pages=2)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2;p=0.5, 503;times=1;p=0.3")
    assert fetch(source, day) == clean


def test_malformed_videos_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    source = TikTokSource(world.settings, pages=1)
    whole = len(records(source, fetch(source, day))) // 2
    world.set_faults("malformed;rows=4;path=query")
    found = [row for one in fetch(source, day) for row in source.parse(one)]
    rejected = sum(isinstance(row, Rejected) for row in found)
    assert rejected == 2 * 4
    assert (len(found) - rejected) // 2 + rejected == whole


def test_refused_credentials_name_the_variables_and_no_secret(
    world: LiveWorld, day: Interval
) -> None:
    for path in ("token", "query"):
        world.set_faults(f"401;path={path}")
        with pytest.raises(SourceUnavailableError, match="TIKTOK_CLIENT_KEY") as caught:
            fetch(TikTokSource(world.settings), day)
        assert KEY not in str(caught.value)


def test_what_is_missing_is_named() -> None:
    state = TikTokSource(world_settings("", world_url=None)).availability()
    assert state.reason == "set TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET"
    nothing = TikTokSource(world_settings("http://127.0.0.1:1", tiktok_regions=()))
    assert "TIKTOK_REGIONS" in nothing.availability().reason


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("daily_quota_limit_exceeded", QuotaExceededError),
        ("rate_limit_exceeded", RateLimitedError),
        ("internal_error", ProviderError),
        ("access_token_invalid", SourceUnavailableError),
        ("scope_not_authorized", SourceUnavailableError),
        ("invalid_params", SourceUnavailableError),
    ],
)
def test_an_error_with_status_200_is_an_error(
    world: LiveWorld,
    day: Interval,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    error: type[Exception],
) -> None:
    real = json.loads(answer(code=code))
    monkeypatch.setattr("ml.world.providers.tiktok_api.encode", lambda body: json.dumps(
        real if "error" in body else body).encode())  # fmt: skip
    with pytest.raises(error, match=code):
        fetch(TikTokSource(world.settings), day)
    (row,) = SOURCE.parse(page(answer(code=code)))
    assert isinstance(row, Rejected)
    assert code in row.reason


def test_documented_video_parses() -> None:
    video, snapshot = parse()
    assert isinstance(video, Record)
    assert isinstance(snapshot, Record)
    assert video.values["record_id"] == "702874395068494965"
    assert video.values["event_at"] == datetime(2021, 10, 9, 23, 59, 59, tzinfo=UTC)
    assert video.values["region"] == snapshot.values["region"] == "US"
    assert video.values["payload"] == {
        "title": "made the cart #oddlysatisfying", "author": "someone", "text": "hello",
        "url": "https://www.tiktok.com/@someone/video/702874395068494965",
        "hashtags": ["oddlysatisfying"], "music_id": "703847506349838790", "duration_s": 15,
    }  # fmt: skip
    assert snapshot.values["event_at"] == NOON
    assert snapshot.values["payload"] == {"views": 1050, "likes": 10, "comments": 2, "shares": 3}


def test_what_a_video_has_not_is_unknown() -> None:
    for name in ("username", "voice_to_text", "music_id", "hashtag_names"):
        video, _ = parse(**{name: None})
        assert isinstance(video, Record)
    video, snapshot = parse(video_description="", region_code=None, view_count=None)
    assert isinstance(video, Record)
    assert isinstance(snapshot, Record)
    assert video.values["payload"]["title"] is None
    assert video.values["region"] == "GB"
    assert snapshot.values["payload"]["views"] is None


@pytest.mark.parametrize(
    "changes",
    [{"id": None}, {"id": "abc"}, {"video_description": None}, {"create_time": None},
     {"create_time": "yesterday"}, {"region_code": "USA"}, {"view_count": "many"},
     {"hashtag_names": "one"}, {"video_duration": -1}],
)  # fmt: skip
def test_wrong_fields_are_refused(changes: dict[str, Any]) -> None:
    (row,) = parse(**changes)
    assert isinstance(row, Rejected)
    assert next(iter(changes)) in row.reason


# NaN and Infinity are no JSON: they reject a page as a whole.
FINITE = ANY_JSON.filter(lambda value: not re.search("NaN|Infinity", json.dumps(value)))
VIDEOS = st.dictionaries(st.sampled_from(sorted(VIDEO)), FINITE, max_size=3).map(
    lambda changes: {**VIDEO, **changes}
)


@given(st.lists(VIDEOS | FINITE, max_size=4))
def test_parser_accounts_for_every_video_and_never_raises(videos: list[Any]) -> None:
    found = list(SOURCE.parse(page(answer(*videos))))
    snapshots = [r for r in found if isinstance(r, Record) and r.values["kind"] == "snapshot"]
    rejected = [r for r in found if isinstance(r, Rejected)]
    assert len(snapshots) + len(rejected) == len(videos)


@given(st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode()))
def test_parser_never_raises_on_any_body(body: bytes) -> None:
    for row in SOURCE.parse(page(body)):
        assert isinstance(row, Rejected)
