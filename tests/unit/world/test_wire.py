"""What the world answers, against the shapes in the providers' documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.exceptions import ConfigurationError
from ml.settings import Settings
from ml.world.clock import WorldClock
from ml.world.faults import parse_plan
from ml.world.providers import google
from ml.world.providers.youtube_resources import iso_duration
from ml.world.server import create_app

KEY = "wire-key"
YOUTUBE = "/www.googleapis.com/youtube/v3"
HACKERNEWS = "/hacker-news.firebaseio.com/v0"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
PARTS = "snippet,contentDetails,statistics,status"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(build(tmp_path)) as test_client:
        yield test_client


def build(state: Path, **changes: object) -> object:
    values = {"world_key": SecretStr(KEY), "state_dir": state, "world_faults": ""} | changes
    return create_app(Settings(**values))


def videos(client: TestClient, headers: dict[str, str] | None = None, **params: str) -> Response:
    query = {"part": PARTS, "key": KEY, **params}
    return client.get(f"{YOUTUBE}/videos", params=query, headers={**NOW, **(headers or {})})


def chart(client: TestClient, **params: str) -> Response:
    return videos(client, chart="mostPopular", regionCode="US", **params)


def test_video_list_has_the_documented_shape(client: TestClient) -> None:
    body = chart(client, maxResults="50").json()
    assert body["kind"] == "youtube#videoListResponse"
    assert body["pageInfo"] == {"totalResults": 200, "resultsPerPage": 50}
    assert body["nextPageToken"] == "CDIQAA"
    assert "prevPageToken" not in body
    assert len(body["items"]) == 50
    for item in body["items"]:
        assert item["kind"] == "youtube#video"
        assert re.fullmatch(r"[\w-]{11}", item["id"])
        assert re.fullmatch(r"UC[\w-]{22}", item["snippet"]["channelId"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["snippet"]["publishedAt"])
        assert re.fullmatch(
            r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?", item["contentDetails"]["duration"]
        )
        assert all(isinstance(v, str) and v.isdigit() for v in item["statistics"].values())
        assert isinstance(item["snippet"].get("tags", []), list)


def test_pages_link_up_to_the_whole_chart(client: TestClient) -> None:
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        body = chart(client, maxResults="30", **({"pageToken": token} if token else {})).json()
        seen += [item["id"] for item in body["items"]]
        token = body.get("nextPageToken")
    assert len(seen) == len(set(seen)) == 200
    last = chart(client, maxResults="30", pageToken=google.page_token(180)).json()
    assert len(last["items"]) == 20
    assert google.page_offset(last["prevPageToken"]) == 150


def test_same_seed_and_time_give_the_same_bytes(client: TestClient, tmp_path: Path) -> None:
    first = chart(client, maxResults="50").content
    with TestClient(build(tmp_path)) as other:
        assert chart(other, maxResults="50").content == first
        later = {"X-World-Now": "2026-01-12T06:00:00Z"}
        moved = videos(other, later, chart="mostPopular", regionCode="US", maxResults="50")
        assert moved.content != first
    with TestClient(build(tmp_path, world_seed=8)) as other:
        assert chart(other, maxResults="50").content != first


def test_parts_and_category_are_respected(client: TestClient) -> None:
    body = chart(client, part="id,statistics", videoCategoryId="10").json()
    assert all(set(i) == {"kind", "etag", "id", "statistics"} for i in body["items"])
    assert len(body["items"]) == 5
    music = chart(client, videoCategoryId="10", maxResults="50").json()["items"]
    assert {i["snippet"]["categoryId"] for i in music} == {"10"}


def test_videos_and_channels_by_id(client: TestClient) -> None:
    listed = chart(client, maxResults="3").json()["items"]
    ids = ",".join([i["id"] for i in listed] + ["unknown0000"])
    found = videos(client, id=ids).json()
    assert found["items"] == listed
    channel = listed[0]["snippet"]["channelId"]
    query = {"part": "snippet,statistics,contentDetails", "id": channel, "key": KEY}
    body = client.get(f"{YOUTUBE}/channels", params=query, headers=NOW).json()
    assert body["kind"] == "youtube#channelListResponse"
    assert body["items"][0]["snippet"]["title"] == listed[0]["snippet"]["channelTitle"]
    assert re.fullmatch(r"\d{1,3}0*", body["items"][0]["statistics"]["subscriberCount"])
    nobody = client.get(
        f"{YOUTUBE}/channels",
        params={**query, "id": "UC" + "x" * 22},
        headers=NOW,
    )
    assert "items" not in nobody.json()


def test_video_is_unknown_before_it_is_published(client: TestClient) -> None:
    item = chart(client, maxResults="1").json()["items"][0]
    before = {"X-World-Now": "2025-11-01T00:00:00Z"}
    assert videos(client, before, id=item["id"]).json()["items"] == []


def test_etag_answers_not_modified_until_something_changes(client: TestClient) -> None:
    first = chart(client)
    tag = first.headers["ETag"]
    assert tag.strip('"') == first.json()["etag"]
    same = videos(client, {"If-None-Match": tag}, chart="mostPopular", regionCode="US")
    assert (same.status_code, same.content) == (304, b"")
    later = {"If-None-Match": tag, "X-World-Now": "2026-01-12T05:00:00Z"}
    assert videos(client, later, chart="mostPopular", regionCode="US").status_code == 200


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"key": ""}, 403, "forbidden"),
        ({"key": "wrong"}, 400, "badRequest"),
        ({"part": ""}, 400, "required"),
        ({"part": "snippet,nonsense"}, 400, "unknownPart"),
        ({"chart": ""}, 400, "invalidValue"),
        ({"regionCode": "XX"}, 400, "invalidRegionCode"),
        ({"maxResults": "51"}, 400, "invalidParameter"),
        ({"pageToken": "nonsense"}, 400, "invalidPageToken"),
        ({"videoCategoryId": "99"}, 404, "videoChartNotFound"),
        ({"id": "abcdefghijk"}, 400, "incompatibleParameters"),
    ],
)
def test_refusals_have_googles_error_shape(
    client: TestClient, params: dict[str, str], status: int, reason: str
) -> None:
    query = {"part": PARTS, "key": KEY, "chart": "mostPopular", "regionCode": "US", **params}
    answer = client.get(f"{YOUTUBE}/videos", params=query, headers=NOW)
    error = answer.json()["error"]
    assert answer.status_code == error["code"] == status
    assert error["errors"][0]["reason"] == reason
    assert {"message", "domain", "reason"} <= set(error["errors"][0])
    assert error["message"] == error["errors"][0]["message"]
    if params == {"key": "wrong"}:
        assert error["status"] == "INVALID_ARGUMENT"
        assert error["details"][0]["reason"] == "API_KEY_INVALID"


def test_no_filter_and_too_many_ids_are_refused(client: TestClient) -> None:
    assert videos(client).json()["error"]["errors"][0]["reason"] == "missingRequiredParameter"
    ids = ",".join(f"video{n:06d}" for n in range(51))
    assert videos(client, id=ids).json()["error"]["errors"][0]["reason"] == "invalidFilters"


def test_key_in_a_header_is_accepted(client: TestClient) -> None:
    query = {"part": "id", "chart": "mostPopular"}
    answer = client.get(
        f"{YOUTUBE}/videos",
        params=query,
        headers={**NOW, "X-Goog-Api-Key": KEY},
    )
    assert answer.status_code == 200


def test_quota_runs_out_and_comes_back_the_next_pacific_day(tmp_path: Path) -> None:
    with TestClient(build(tmp_path, world_daily_quota=2)) as client:
        assert [chart(client).status_code for _ in range(3)] == [200, 200, 403]
        error = chart(client).json()["error"]["errors"][0]
        assert (error["domain"], error["reason"]) == ("youtube.quota", "quotaExceeded")
        at_eight = {"X-World-Now": "2026-01-12T08:00:00Z"}  # midnight in California
        later = videos(client, at_eight, chart="mostPopular", regionCode="US")
        assert later.status_code == 200


def test_hacker_news_lists_and_items(client: TestClient) -> None:
    def get(path: str) -> object:
        answer = client.get(f"{HACKERNEWS}/{path}.json", headers=NOW)
        assert answer.status_code == 200
        return answer.json()

    top, new, best = (get(name) for name in ("topstories", "newstories", "beststories"))
    for ids in (top, new, best):
        assert isinstance(ids, list)
        assert len(ids) == len(set(ids)) == 500
    assert new == sorted(new, reverse=True)
    newest = get("maxitem")
    assert isinstance(newest, int)
    assert newest >= max(new)
    assert set(get("updates")) == {"items", "profiles"}
    story = get(f"item/{top[0]}")
    assert isinstance(story, dict)
    assert {"by", "descendants", "id", "score", "time", "title", "type"} <= set(story)
    assert story["type"] == "story"
    assert story["id"] == top[0]
    for unknown in ("item/1", f"item/{newest + 50}", "item/x", "item/" + "9" * 30, "nonsense"):
        assert get(unknown) is None


def test_faults_strike_the_same_requests_again(tmp_path: Path) -> None:
    def statuses() -> list[int]:
        with TestClient(build(tmp_path, world_faults="500;p=0.5")) as client:
            return [chart(client).status_code for _ in range(12)]

    first = statuses()
    assert first == statuses()
    assert set(first) == {200, 500}


def test_fault_header_counts_only_for_its_request(client: TestClient) -> None:
    header = {"X-World-Faults": "429;retry_after=9"}
    hit = videos(client, header, chart="mostPopular", regionCode="US")
    assert (hit.status_code, hit.headers["Retry-After"]) == (429, "9")
    assert chart(client).status_code == 200


def test_cut_and_malformed_and_duplicate_answers(client: TestClient) -> None:
    def ask(plan: str) -> Response:
        header = {"X-World-Faults": plan}
        return videos(client, header, chart="mostPopular", regionCode="US", maxResults="10")

    with pytest.raises(json.JSONDecodeError):
        ask("cut").json()
    clean = chart(client, maxResults="10").json()["items"]
    broken = ask("malformed;rows=3").json()["items"]
    assert sum(a != b for a, b in zip(clean, broken, strict=True)) == 3
    assert len(ask("duplicate;rows=2").json()["items"]) == 12


def test_unreadable_world_headers_are_refused(client: TestClient) -> None:
    for header in (
        {"X-World-Now": "yesterday"},
        {"X-World-Now": "2026-01-01T00:00:00"},
        {"X-World-Faults": "explode"},
        {"X-World-Faults": "500;when=now"},
    ):
        assert videos(client, header, chart="mostPopular").status_code == 400


def test_fault_plan_needs_the_key(client: TestClient) -> None:
    assert client.put("/admin/faults", content="500").status_code == 401
    header = {"Authorization": f"Bearer {KEY}"}
    assert client.put("/admin/faults", content="explode", headers=header).status_code == 400
    assert client.put("/admin/faults", content="500", headers=header).status_code == 200
    assert chart(client).status_code == 500


def test_health_says_that_the_world_is_synthetic(client: TestClient) -> None:
    body = client.get("/health").json()
    assert body["status"] == "ok"
    assert body["synthetic"] is True


def test_server_without_a_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="YTEMPIRE_WORLD_KEY"):
        build(tmp_path, world_key=None)


def test_clock_starts_and_runs_as_told() -> None:
    from ml.world.parameters import WORLD_START

    ticks = iter([1000.0, 1000.0, 1060.0])
    clock = WorldClock(WORLD_START, 60.0, wall=lambda: next(ticks))
    assert clock.minute() == 0
    assert clock.minute() == 60
    assert clock.minute("2026-01-02T00:00:59+00:00") == 1440


def test_page_tokens_are_the_providers() -> None:
    assert google.page_token(5) == "CAUQAA"
    assert all(google.page_offset(google.page_token(n)) == n for n in (0, 5, 127, 128, 200))


def test_durations_and_plans() -> None:
    assert [iso_duration(s) for s in (0, 59, 3600, 3723, 90_061)] == [
        "PT0S", "PT59S", "PT1H", "PT1H2M3S", "P1DT1H1M1S",
    ]  # fmt: skip
    assert parse_plan("") == ()
    assert [f.kind for f in parse_plan("429;times=2, slow;seconds=0.1")] == ["429", "slow"]
