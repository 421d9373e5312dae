"""Google's own Python client, unmodified, with its bundled discovery documents, on the world.

Only the endpoint is another: `client_options={"api_endpoint": ...}` takes the place of a discovery
document's rootUrl and servicePath, so the world is asked below a folder named like the API's host.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.server import create_app

KEY = "client-key"
START = datetime(2026, 1, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        world_key=SecretStr(KEY), world_seed=7, world_faults="", world_start=START,
        state_dir=Path(tmp_path_factory.mktemp("state")),
    )  # fmt: skip
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(settings), log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def youtube(url: str, key: str = KEY) -> Any:
    return build(
        "youtube", "v3", developerKey=key, static_discovery=True,
        client_options={"api_endpoint": f"{url}/youtube.googleapis.com/"},
    )  # fmt: skip


def granted(url: str, refresh_token: str = KEY) -> Credentials:
    return Credentials(
        token=None,
        refresh_token=refresh_token,
        token_uri=f"{url}/oauth2.googleapis.com/token",
        client_id=KEY,
        client_secret=KEY,
        scopes=["https://www.googleapis.com/auth/yt-analytics.readonly"],
    )


def analytics(url: str, credentials: Credentials) -> Any:
    return build(
        "youtubeAnalytics", "v2", credentials=credentials, static_discovery=True,
        client_options={
            "api_endpoint": f"{url}/youtubeanalytics.googleapis.com/",
            "scopes": ["https://www.googleapis.com/auth/yt-analytics.readonly"],
        },
    )  # fmt: skip


def refused(request: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        request.execute()
    (detail, *_) = caught.value.error_details
    return caught.value.status_code, str(detail["reason"])


def test_chart_is_paged_to_its_end(url: str) -> None:
    with youtube(url) as service:
        request = service.videos().list(
            part="snippet,statistics", chart="mostPopular", regionCode="US", maxResults=50
        )
        seen: list[str] = []
        while request is not None:
            answer = request.execute()
            assert answer["kind"] == "youtube#videoListResponse"
            seen += [item["id"] for item in answer["items"]]
            request = service.videos().list_next(request, answer)
        assert len(seen) == len(set(seen)) == 200
        # Lists are sent as repeated parameters.
        by_id = service.videos().list(part=["id", "statistics"], id=seen[:50]).execute()
        assert [item["id"] for item in by_id["items"]] == seen[:50]


def test_search_finds_what_the_charts_videos_are_about(url: str) -> None:
    with youtube(url) as service:
        request = service.search().list(
            part="snippet", q="gaming", type="video", order="viewCount", maxResults=25,
            publishedAfter=(START - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )  # fmt: skip
        first = request.execute()
        second = service.search().list_next(request, first).execute()
        ids = [item["id"]["videoId"] for page in (first, second) for item in page["items"]]
        assert len(set(ids)) == 50
        assert {item["snippet"]["liveBroadcastContent"] for item in first["items"]} == {"none"}


def test_channels_and_categories_are_listed(url: str) -> None:
    with youtube(url) as service:
        video = service.videos().list(part="snippet", chart="mostPopular").execute()["items"][0]
        channel_id = video["snippet"]["channelId"]
        (channel,) = service.channels().list(part="snippet", id=channel_id).execute()["items"]
        assert channel["snippet"]["title"] == video["snippet"]["channelTitle"]
        handle = channel["snippet"]["customUrl"]
        found = service.channels().list(part="id", forHandle=handle).execute()["items"]
        assert [item["id"] for item in found] == [channel_id]
        categories = service.videoCategories().list(part="snippet", regionCode="GB").execute()
        assert video["snippet"]["categoryId"] in [item["id"] for item in categories["items"]]


def test_refusals_arrive_with_their_reason(url: str) -> None:
    with youtube(url) as service:
        videos, channels = service.videos(), service.channels()
        chart = {"part": "id", "chart": "mostPopular"}
        assert refused(videos.list(**chart, regionCode="XX")) == (400, "invalidRegionCode")
        assert refused(videos.list(**chart, videoCategoryId="15")) == (404, "videoChartNotFound")
        assert refused(videos.list(**chart, pageToken="x")) == (400, "invalidPageToken")
        assert refused(videos.list(part="id")) == (400, "missingRequiredParameter")
        assert refused(channels.list(part="id", mine=True)) == (401, "authorizationRequired")
    with youtube(url, "wrong") as service:
        assert refused(service.videos().list(**chart)) == (400, "API_KEY_INVALID")


def test_refresh_token_opens_the_own_channel_and_its_reports(url: str) -> None:
    credentials = granted(url)
    with analytics(url, credentials) as service:
        answer = (
            service.reports()
            .query(
                ids="channel==MINE", startDate="2026-01-10", endDate="2026-01-20",
                metrics="views,estimatedMinutesWatched,averageViewDuration", dimensions="day",
                sort="day",
            )
            .execute()
        )  # fmt: skip
    assert [header["name"] for header in answer["columnHeaders"]] == [
        "day", "views", "estimatedMinutesWatched", "averageViewDuration",
    ]  # fmt: skip
    assert [row[0] for row in answer["rows"]] == [f"2026-01-{day}" for day in range(10, 18)]
    assert credentials.token
    assert credentials.token.startswith("ya29.")
    assert credentials.expiry is not None
    with build(
        "youtube", "v3", credentials=credentials, static_discovery=True,
        client_options={
            "api_endpoint": f"{url}/youtube.googleapis.com/", "scopes": credentials.scopes,
        },
    ) as service:  # fmt: skip
        (own,) = service.channels().list(part="snippet", mine=True).execute()["items"]
    assert own["snippet"]["title"]


def test_unsupported_report_and_dead_token_are_refused(url: str) -> None:
    with analytics(url, granted(url)) as service:
        query = service.reports().query(
            ids="channel==MINE", startDate="2026-01-10", endDate="2026-01-20", metrics="views",
            dimensions="video",
        )  # fmt: skip
        assert refused(query) == (400, "badRequest")
    dead = analytics(url, granted(url, "revoked"))
    with dead as service, pytest.raises(RefreshError, match="expired or revoked"):
        service.reports().query(
            ids="channel==MINE", startDate="2026-01-10", endDate="2026-01-20", metrics="views"
        ).execute()
