"""Google's token endpoint and the YouTube Analytics API of the world.

The shapes are those of the pages that the modules of the world cite.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.own_channel import hours_of, own_day
from ml.world.server import create_app

KEY = "wire-key"
YOUTUBE = "/www.googleapis.com/youtube/v3"
REPORTS = "/youtubeanalytics.googleapis.com/v2/reports"
TOKEN = "/oauth2.googleapis.com/token"
NOW = "2026-01-20T12:00:00Z"
GRANT = {
    "grant_type": "refresh_token", "client_id": KEY, "client_secret": KEY, "refresh_token": KEY,
}  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr(KEY), state_dir=tmp_path, world_faults="", world_seed=7)
    with TestClient(create_app(settings), headers={"X-World-Now": NOW}) as test_client:
        yield test_client


@pytest.fixture
def bearer(client: TestClient) -> dict[str, str]:
    granted = client.post(TOKEN, data=GRANT).json()
    return {"Authorization": f"Bearer {granted['access_token']}"}


def reason(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


# --- Tokens ---------------------------------------------------------------------------------------


def test_grant_has_the_documented_shape(client: TestClient) -> None:
    granted = client.post(TOKEN, data=GRANT).json()
    assert set(granted) == {"access_token", "expires_in", "scope", "token_type"}
    assert granted["token_type"] == "Bearer"
    assert granted["expires_in"] == 3599
    assert granted["access_token"].startswith("ya29.")
    assert KEY not in granted["access_token"]


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"refresh_token": "old"}, 400, "invalid_grant"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_secret": "other"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"refresh_token": ""}, 400, "invalid_request"),
    ],
)
def test_wrong_grants_are_refused_as_rfc_6749_says(
    client: TestClient, changes: dict[str, str], status: int, error: str
) -> None:
    form = {name: value for name, value in {**GRANT, **changes}.items() if value}
    refused = client.post(TOKEN, data=form)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert set(refused.json()) == {"error", "error_description"}


def test_token_holds_for_an_hour(client: TestClient, bearer: dict[str, str]) -> None:
    query = {"part": "id", "mine": "true"}

    def at(time: str) -> int:
        headers = {**bearer, "X-World-Now": time}
        return client.get(f"{YOUTUBE}/channels", params=query, headers=headers).status_code

    assert at("2026-01-20T12:59:00Z") == 200
    assert at("2026-01-20T13:00:00Z") == 401
    for wrong in ("ya29.nonsense", "ya29.", KEY):
        headers = {"Authorization": f"Bearer {wrong}"}
        refused = client.get(f"{YOUTUBE}/channels", params=query, headers=headers)
        assert reason(refused) == (401, "authError")


# --- Analytics ------------------------------------------------------------------------------------

RANGE = {"ids": "channel==MINE", "startDate": "2026-01-10", "endDate": "2026-01-20"}


def report(client: TestClient, bearer: dict[str, str], **params: str) -> Response:
    query = {**RANGE, "metrics": "views,likes", **params}
    return client.get(REPORTS, params={k: v for k, v in query.items() if v}, headers=bearer)


def test_report_by_day_has_the_documented_shape(client: TestClient, bearer: dict[str, str]) -> None:
    metrics = "likes,views,averageViewPercentage"
    body = report(client, bearer, dimensions="day", metrics=metrics).json()
    assert body["kind"] == "youtubeAnalytics#resultTable"
    assert body["columnHeaders"] == [
        {"name": "day", "columnType": "DIMENSION", "dataType": "STRING"},
        {"name": "likes", "columnType": "METRIC", "dataType": "INTEGER"},
        {"name": "views", "columnType": "METRIC", "dataType": "INTEGER"},
        {"name": "averageViewPercentage", "columnType": "METRIC", "dataType": "FLOAT"},
    ]
    # At noon UTC the 18th has not been over for two days in California.
    assert [row[0] for row in body["rows"]] == [f"2026-01-{day}" for day in range(10, 18)]
    assert all(row[2] > row[1] >= 0 < row[3] < 100 for row in body["rows"])


def test_reports_agree_with_each_other(client: TestClient, bearer: dict[str, str]) -> None:
    days = report(client, bearer, dimensions="day").json()["rows"]
    (total,) = report(client, bearer).json()["rows"]
    videos = report(client, bearer, dimensions="video", sort="-views", maxResults="200").json()
    assert total == [sum(row[1] for row in days), sum(row[2] for row in days)]
    assert sum(row[1] for row in videos["rows"]) == total[0]
    views = [row[1] for row in videos["rows"]]
    assert views == sorted(views, reverse=True)
    best = videos["rows"][0][0]
    both = report(client, bearer, dimensions="day,video", filters=f"video=={best}").json()["rows"]
    assert sum(row[2] for row in both) == views[0]
    assert {row[1] for row in both} == {best}
    limited = report(client, bearer, dimensions="day", sort="-day", maxResults="2", startIndex="2")
    assert [row[0] for row in limited.json()["rows"]] == ["2026-01-16", "2026-01-15"]


def test_daily_views_are_what_the_videos_gained(client: TestClient, bearer: dict[str, str]) -> None:
    (best, gained), *_ = report(
        client, bearer, dimensions="video", sort="-views", maxResults="200", metrics="views",
        startDate="2026-01-15", endDate="2026-01-15",
    ).json()["rows"]  # fmt: skip
    counts = []
    for time in ("2026-01-15T08:00:00Z", "2026-01-16T08:00:00Z"):
        query = {"part": "statistics", "id": best, "key": KEY}
        headers = {"X-World-Now": time}
        items = client.get(f"{YOUTUBE}/videos", params=query, headers=headers).json()["items"]
        counts.append(int(items[0]["statistics"]["viewCount"]) if items else 0)
    assert counts[1] - counts[0] == gained > 0


def test_report_without_data_has_no_rows_at_all(client: TestClient, bearer: dict[str, str]) -> None:
    body = report(client, bearer, dimensions="day", startDate="2026-01-19").json()
    assert "rows" not in body
    assert [header["name"] for header in body["columnHeaders"]] == ["day", "views", "likes"]


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"metrics": ""}, 400, "Required"),
        ({"ids": ""}, 400, "Required"),
        ({"ids": "channel==UCsomebodyelse"}, 403, "Forbidden"),
        ({"metrics": "impressions"}, 400, "Unknown identifier (impressions) given in field"),
        ({"dimensions": "weather"}, 400, "Unknown identifier (weather) given in field"),
        ({"startDate": "07-06-2026"}, 400, "Could not parse content (07-06-2026) of field"),
        ({"startDate": "2026-01-21"}, 400, "did not conform"),
        ({"dimensions": "video"}, 400, "not supported"),
        ({"dimensions": "video", "sort": "-views", "maxResults": "500"}, 400, "not supported"),
        ({"dimensions": "day,video"}, 400, "not supported"),
        ({"dimensions": "day", "filters": "country==US"}, 400, "not supported"),
        ({"dimensions": "day", "sort": "comments"}, 400, "not supported"),
        ({"dimension": "day"}, 400, "Unknown name"),
    ],
)
def test_wrong_queries_are_refused(
    client: TestClient, bearer: dict[str, str], params: dict[str, str], status: int, message: str
) -> None:
    refused = report(client, bearer, **params)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (status, status)
    assert message in error["message"]


def test_reports_want_the_owners_token(client: TestClient) -> None:
    missing = client.get(REPORTS, params=RANGE)
    with_key = client.get(REPORTS, params={**RANGE, "key": KEY})
    wrong = client.get(REPORTS, params=RANGE, headers={"Authorization": "Bearer ya29.x"})
    assert reason(missing) == reason(with_key) == (401, "required")
    assert "API keys are not supported" in with_key.json()["error"]["message"]
    assert reason(wrong) == (401, "authError")
    assert {r.json()["error"]["status"] for r in (missing, with_key, wrong)} == {"UNAUTHENTICATED"}


def test_faults_reach_every_google_route(client: TestClient, bearer: dict[str, str]) -> None:
    for plan, status in (("429;retry_after=7", 429), ("503", 503), ("quota", 403)):
        headers = {**bearer, "X-World-Faults": plan}
        query = {**RANGE, "metrics": "views"}
        refused = client.get(REPORTS, params=query, headers=headers)
        assert refused.status_code == status
        assert refused.json()["error"]["code"] == status
    grant = client.post(TOKEN, data=GRANT, headers={"X-World-Faults": "429;retry_after=7"})
    assert (grant.status_code, grant.headers["Retry-After"]) == (429, "7")
    assert set(grant.json()) == {"error", "error_description"}
    headers = {**bearer, "X-World-Faults": "malformed;rows=2, duplicate;rows=3"}
    query = {**RANGE, "metrics": "views", "dimensions": "day"}
    rows = client.get(REPORTS, params=query, headers=headers).json()["rows"]
    assert len(rows) == 8 + 3
    assert sum(not isinstance(row, list) for row in rows) == 2


def test_days_of_the_own_channel_are_pacific_days() -> None:
    winter, summer = date(2026, 1, 7), date(2026, 7, 7)
    assert hours_of(winter) % 24 == 8
    assert hours_of(summer) % 24 == 7
    turn = date(2026, 3, 8)  # clocks are set forward
    assert hours_of(turn + timedelta(days=1)) - hours_of(turn) == 23
    for day in (winter, summer):
        watched = own_day(7, day)
        assert len(set(watched.videos)) == len(watched.videos) > 10
        assert (watched.counts["views"] > 0).all()
        assert (watched.counts["engagedViews"] <= watched.counts["views"]).all()
        assert (watched.counts["likes"] >= 0).all()
