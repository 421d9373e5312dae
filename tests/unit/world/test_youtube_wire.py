"""search.list, videoCategories.list and channels.list of the world.

The shapes are those of the pages that the modules of the world cite.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.server import create_app

KEY = "wire-key"
YOUTUBE = "/www.googleapis.com/youtube/v3"
OTHER_HOST = "/youtube.googleapis.com/youtube/v3"
TOKEN = "/oauth2.googleapis.com/token"
NOW = "2026-01-20T12:00:00Z"
GRANT = {
    "grant_type": "refresh_token", "client_id": KEY, "client_secret": KEY, "refresh_token": KEY,
}  # fmt: skip


def build(state: Path, **changes: object) -> FastAPI:
    values: dict[str, Any] = {
        "world_key": SecretStr(KEY), "state_dir": state, "world_faults": "", "world_seed": 7,
    }  # fmt: skip
    return create_app(Settings(**(values | changes)))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(build(tmp_path), headers={"X-World-Now": NOW}) as test_client:
        yield test_client


@pytest.fixture
def bearer(client: TestClient) -> dict[str, str]:
    granted = client.post(TOKEN, data=GRANT).json()
    return {"Authorization": f"Bearer {granted['access_token']}"}


def ask(client: TestClient, method: str, host: str = YOUTUBE, **params: Any) -> Response:
    query = {"part": "snippet", "key": KEY, **params}
    return client.get(f"{host}/{method}", params=query)


def search(client: TestClient, **params: Any) -> Response:
    return ask(client, "search", **{"type": "video", **params})


def reason(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_search_results_have_the_documented_shape(client: TestClient) -> None:
    body = search(client, q="gaming", maxResults=50).json()
    assert body["kind"] == "youtube#searchListResponse"
    assert body["regionCode"] == "US"
    assert body["pageInfo"]["resultsPerPage"] == 50
    assert len(body["items"]) == 50
    for item in body["items"]:
        assert set(item) == {"kind", "etag", "id", "snippet"}
        assert item["kind"] == "youtube#searchResult"
        assert set(item["id"]) == {"kind", "videoId"}
        assert set(item["snippet"]) == {
            "publishedAt", "channelId", "title", "description", "thumbnails", "channelTitle",
            "liveBroadcastContent", "publishTime",
        }  # fmt: skip
        assert len(item["snippet"]["description"]) < 200
    bare = search(client, part="id", q="gaming").json()
    assert all("snippet" not in item for item in bare["items"])
    assert len(bare["items"]) == 5


def test_search_escapes_texts_that_videos_have_plain(client: TestClient) -> None:
    found = search(client, q="women's football", maxResults=50).json()["items"]
    ids = ",".join(item["id"]["videoId"] for item in found)
    videos = {v["id"]: v["snippet"] for v in ask(client, "videos", id=ids).json()["items"]}
    titles = [item["snippet"]["title"] for item in found]
    assert any("&#39;" in title for title in titles)
    for item in found:
        assert html.unescape(item["snippet"]["title"]) == videos[item["id"]["videoId"]]["title"]


def test_search_keeps_to_its_window_and_order(client: TestClient) -> None:
    window = {"publishedAfter": "2026-01-18T00:00:00Z", "publishedBefore": "2026-01-19T00:00:00Z"}
    newest = search(client, maxResults=50, order="date", **window).json()["items"]
    times = [item["snippet"]["publishedAt"] for item in newest]
    assert times == sorted(times, reverse=True)
    assert min(times) >= "2026-01-18T00:00:00Z"
    assert max(times) < "2026-01-19T00:00:00Z"
    viewed = search(client, maxResults=50, order="viewCount", **window).json()["items"]
    ids = [item["id"]["videoId"] for item in viewed]
    videos = ask(client, "videos", part="statistics", id=",".join(ids)).json()["items"]
    counts = {video["id"]: int(video["statistics"]["viewCount"]) for video in videos}
    assert [counts[i] for i in ids] == sorted(counts.values(), reverse=True)
    titles = [
        i["snippet"]["title"] for i in search(client, q="news", order="title").json()["items"]
    ]
    assert titles == sorted(titles)
    assert search(client, publishedAfter="2026-02-01T00:00:00Z").json()["items"] == []


def test_search_words_narrow_widen_and_exclude(client: TestClient) -> None:
    def total(query: str) -> int:
        found: int = search(client, q=query).json()["pageInfo"]["totalResults"]
        return found

    assert total("gaming stardew") < total("gaming")
    assert total("gaming|news") == total("gaming") + total("news")
    assert total("gaming -stardew") == total("gaming") - total("gaming stardew")
    assert total("GAMING") == total("gaming") > 0
    assert total("zzyzx") == 0


def test_search_pages_link_and_end(client: TestClient) -> None:
    seen: list[str] = []
    token: str | None = ""
    while token is not None:
        page = {"pageToken": token} if token else {}
        body = search(client, q="science", maxResults=50, **page).json()
        seen += [item["id"]["videoId"] for item in body["items"]]
        token = body.get("nextPageToken")
    assert len(seen) == len(set(seen)) == min(body["pageInfo"]["totalResults"], 500)


def test_search_filters(client: TestClient) -> None:
    some = search(client, q="gaming", maxResults=1).json()["items"][0]["snippet"]
    own = search(client, channelId=some["channelId"], maxResults=50).json()["items"]
    assert {item["snippet"]["channelId"] for item in own} == {some["channelId"]}
    for name, low, high in (("short", 0, 4), ("medium", 4, 21), ("long", 20, 10**4)):
        found = search(client, videoDuration=name, maxResults=20).json()["items"]
        ids = ",".join(item["id"]["videoId"] for item in found)
        for video in ask(client, "videos", part="contentDetails", id=ids).json()["items"]:
            parts = re.findall(r"(\d+)([HM])", video["contentDetails"]["duration"])
            minutes = sum(int(n) * (60 if unit == "H" else 1) for n, unit in parts)
            assert low <= minutes < high
    category = search(client, videoCategoryId="10", maxResults=5).json()["items"]
    ids = ",".join(item["id"]["videoId"] for item in category)
    videos = ask(client, "videos", id=ids).json()["items"]
    assert {video["snippet"]["categoryId"] for video in videos} == {"10"}
    assert search(client, eventType="live").json()["items"] == []
    assert ask(client, "search", type="channel", q="gaming").json()["items"] == []


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"part": ""}, (400, "required")),
        ({"part": "statistics"}, (400, "unknownPart")),
        ({"order": "best"}, (400, "invalid")),
        ({"publishedAfter": "2026-01-18"}, (400, "invalid")),
        ({"publishedAfter": "2026-01-18T00:00:00"}, (400, "invalid")),
        ({"type": "film"}, (400, "invalidValue")),
        ({"type": "video,channel", "videoDuration": "long"}, (400, "invalidSearchFilter")),
        ({"channelId": "UC-nobody"}, (400, "invalidChannelId")),
        ({"regionCode": "XX"}, (400, "invalidRegionCode")),
        ({"maxResults": "51"}, (400, "invalidParameter")),
        ({"forMine": "true"}, (401, "authorizationRequired")),
        ({"query": "gaming"}, (400, "invalid")),
    ],
)
def test_search_refuses_as_documented(
    client: TestClient, params: dict[str, str], expected: tuple[int, str]
) -> None:
    assert reason(search(client, **params)) == expected


def test_searches_have_a_quota_of_their_own(tmp_path: Path) -> None:
    app = build(tmp_path, world_daily_quota=3)
    with TestClient(app, headers={"X-World-Now": NOW}) as client:
        assert [search(client).status_code for _ in range(101)] == [200] * 100 + [429]
        refused = search(client)
        assert reason(refused) == (429, "rateLimitExceeded")
        assert "'Search Queries per day'" in refused.json()["error"]["message"]
        assert refused.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
        # Units are counted apart, a wrong call costs one too, both hosts share them.
        assert reason(ask(client, "videos", chart="none"))[0] == 400
        categories = ask(client, "videoCategories", host=OTHER_HOST, regionCode="US")
        assert categories.status_code == 200
        assert ask(client, "videos", chart="mostPopular").status_code == 200
        assert reason(ask(client, "videos", chart="mostPopular")) == (403, "quotaExceeded")
        tomorrow = {"X-World-Now": "2026-01-21T08:00:00Z"}  # midnight in California
        query = {"part": "id", "key": KEY}
        assert client.get(f"{YOUTUBE}/search", params=query, headers=tomorrow).status_code == 200


def test_categories_by_region_and_id(client: TestClient) -> None:
    body = ask(client, "videoCategories", regionCode="US").json()
    assert body["kind"] == "youtube#videoCategoryListResponse"
    titles = {item["id"]: item["snippet"]["title"] for item in body["items"]}
    assert (titles["10"], titles["20"]) == ("Music", "Gaming")
    one = ask(client, "videoCategories", id="20").json()["items"]
    assert [item["snippet"]["title"] for item in one] == ["Gaming"]
    assert reason(ask(client, "videoCategories", id="999")) == (404, "videoCategoryNotFound")
    assert reason(ask(client, "videoCategories")) == (400, "missingRequiredParameter")
    both = ask(client, "videoCategories", id="20", regionCode="US")
    assert reason(both) == (400, "incompatibleParameters")


def test_channels_by_handle_and_of_the_owner(client: TestClient, bearer: dict[str, str]) -> None:
    video = ask(client, "videos", chart="mostPopular").json()["items"][0]
    channel = ask(client, "channels", id=video["snippet"]["channelId"]).json()["items"][0]
    handle = channel["snippet"]["customUrl"]
    for written in (handle, handle.removeprefix("@"), handle.upper()):
        assert ask(client, "channels", forHandle=written).json()["items"] == [channel]
    assert "items" not in ask(client, "channels", forHandle="@nobody").json()
    assert reason(ask(client, "channels", mine="true")) == (401, "authorizationRequired")
    query = {"part": "id,snippet", "mine": "true"}
    mine = client.get(f"{YOUTUBE}/channels", params=query, headers=bearer).json()["items"]
    assert len(mine) == 1
    listed = ask(client, "channels", part="id,snippet", id=mine[0]["id"]).json()["items"]
    assert mine == listed


def test_parameters_may_be_repeated_and_unknown_ones_are_refused(client: TestClient) -> None:
    chart = ask(client, "videos", part="id", chart="mostPopular", maxResults=3).json()["items"]
    ids = [item["id"] for item in chart]
    repeated = ask(client, "videos", part=["id", "statistics"], id=ids).json()["items"]
    joined = ask(client, "videos", part="id,statistics", id=",".join(ids)).json()["items"]
    assert repeated == joined
    assert [item["id"] for item in repeated] == ids
    refused = ask(client, "videos", chart="mostPopular", region="US")
    error = refused.json()["error"]
    assert (refused.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert '"region"' in error["message"]
    assert error["details"][0]["fieldViolations"][0]["field"] == "region"
    known = ask(client, "videos", chart="mostPopular", alt="json", prettyPrint="false")
    assert known.status_code == 200


def test_both_hosts_give_the_same(client: TestClient) -> None:
    for method, params in (
        ("videos", {"chart": "mostPopular"}), ("search", {"q": "news"}),
        ("videoCategories", {"regionCode": "US"}),
    ):  # fmt: skip
        one, other = (ask(client, method, host=host, **params) for host in (YOUTUBE, OTHER_HOST))
        assert one.content == other.content
