"""What the world's TikTok answers, against what `providers.tiktok_api` cites."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import shorts
from ml.world.server import create_app

KEY = "wire-key"
TIKTOK = "/open.tiktokapis.com/v2"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
FORM = {"client_key": KEY, "client_secret": KEY, "grant_type": "client_credentials"}
FIELDS = "id,video_description,create_time,region_code,view_count,like_count,hashtag_names"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr(KEY), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings)) as test_client:
        yield test_client


def sign_in(client: TestClient, headers: dict[str, str] | None = None, **form: str) -> Response:
    given = {**NOW, **(headers or {})}
    return client.post(f"{TIKTOK}/oauth/token/", data={**FORM, **form}, headers=given)


def where(field: str, *values: str, operation: str = "IN") -> dict[str, Any]:
    return {"operation": operation, "field_name": field, "field_values": list(values)}


def query(
    client: TestClient, headers: dict[str, str] | None = None, fields: str = FIELDS, **body: Any
) -> Response:
    token = sign_in(client).json()["access_token"]
    asked = {
        "query": {"and": [where("region_code", "US")]},
        "start_date": "20260111",
        "end_date": "20260111",
        **body,
    }
    return client.post(
        f"{TIKTOK}/research/video/query/",
        params={"fields": fields},
        json=asked,
        headers={**NOW, "Authorization": f"Bearer {token}", **(headers or {})},
    )


def videos(client: TestClient, **body: Any) -> list[dict[str, Any]]:
    answer = query(client, max_count=100, **body)
    assert answer.json()["error"]["code"] == "ok", answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["videos"]
    return found


def test_token_has_the_documented_shape(client: TestClient) -> None:
    body = sign_in(client).json()
    assert body["access_token"].startswith("clt.")
    assert (body["expires_in"], body["token_type"]) == (7200, "Bearer")
    assert KEY not in body["access_token"]


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_key": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_refused_tokens_have_oauths_shape(
    client: TestClient, form: dict[str, str], status: int, error: str
) -> None:
    answer = sign_in(client, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description", "log_id"}


def test_query_has_the_documented_shape(client: TestClient) -> None:
    body = query(client).json()
    assert set(body) == {"data", "error"}
    assert body["error"]["code"] == "ok"
    assert set(body["data"]) == {"videos", "cursor", "has_more", "search_id"}
    assert body["data"]["cursor"] == 20
    assert body["data"]["has_more"] is True
    for video in body["data"]["videos"]:
        assert set(video) == set(FIELDS.split(","))
        assert video["region_code"] == "US"
        made = datetime.fromtimestamp(video["create_time"], UTC)
        assert made.date().isoformat() == "2026-01-11"
        assert video["id"] >> 32 == video["create_time"]


def test_pages_link_up_to_all_videos_of_the_day_newest_first(client: TestClient) -> None:
    seen: list[int] = []
    following: dict[str, Any] = {}
    more = True
    while more:
        data = query(client, max_count=100, **following).json()["data"]
        assert len(data["videos"]) <= 100
        seen += [video["id"] for video in data["videos"]]
        following = {"cursor": data["cursor"], "search_id": data["search_id"]}
        more = data["has_more"]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen) > 700
    day = shorts.shorts_of_day(7, 10)
    there = (day.region == 0) & (day.gone_at > 11 * 24.0)
    assert set(seen) == set(day.number[there].tolist())
    assert (day.gone_at <= 11 * 24.0).any()


def test_a_search_goes_on_as_of_its_start(client: TestClient) -> None:
    morning = {"X-World-Now": "2026-01-11T22:30:00Z"}
    first = query(client, morning).json()["data"]
    following = {"cursor": first["cursor"], "search_id": first["search_id"]}
    token_from_then = sign_in(client, morning).json()["access_token"]
    late = {"X-World-Now": "2026-01-11T23:30:00Z", "Authorization": f"Bearer {token_from_then}"}
    assert (
        query(client, late, **following).json()["data"]["videos"]
        == (query(client, morning, cursor=20).json()["data"]["videos"])
    )
    assert query(client, late).json()["data"]["videos"] != first["videos"]


@pytest.mark.parametrize(
    "body",
    [
        {"query": {}},
        {"query": {"and": []}},
        {"query": {"and": [where("nonsense", "x")]}},
        {"query": {"and": [where("region_code", "US", operation="LIKE")]}},
        {"query": {"and": [where("region_code", "US", operation="GT")]}},
        {"query": {"and": [where("region_code")]}},
        {"query": {"and": ["US"]}},
        {"start_date": "2026-01-11"},
        {"start_date": "20260112"},
        {"end_date": "20260211"},
        {"end_date": None},
        {"max_count": 101},
        {"max_count": "20"},
        {"cursor": -1},
        {"search_id": "123"},
        {"search_id": "1000015840000000000"},
    ],
)
def test_wrong_queries_are_refused(client: TestClient, body: dict[str, Any]) -> None:
    answer = query(client, **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_params"
    assert answer.json()["error"]["message"]


def test_fields_are_wanted_and_known(client: TestClient) -> None:
    for fields in ("", "id,mood"):
        assert query(client, fields=fields).json()["error"]["code"] == "invalid_params"


def test_conditions_select(client: TestClient) -> None:
    both = videos(client, query={"and": [where("region_code", "US", "GB")]})
    assert {video["region_code"] for video in both} == {"US", "GB"}
    other = videos(client, query={"not": [where("region_code", "US")]})
    assert "US" not in {video["region_code"] for video in other}
    tagged = videos(client, query={"and": [where("hashtag_name", "gaming")]})
    assert tagged
    assert all("gaming" in video["hashtag_names"] for video in tagged)
    spoken = videos(client, query={"and": [where("keyword", "part 2", operation="EQ")]})
    assert spoken
    assert all("part 2" in video["video_description"] for video in spoken)
    either = videos(client, query={"or": [where("region_code", "NG"), where("region_code", "NL")]})
    assert {video["region_code"] for video in either} == {"NG", "NL"}
    wanted = [str(video["id"]) for video in both[:2]]
    by_id = videos(client, query={"and": [where("video_id", *wanted)]})
    assert [str(video["id"]) for video in by_id] == wanted
    before = where("create_date", "20260111", operation="LT")
    assert videos(client, query={"and": [before]}) == []
    assert len(videos(client, query={"and": [where("video_length", "SHORT")]})) == 100


def test_credentials_and_failures_have_tiktoks_shape(client: TestClient) -> None:
    refused = query(client, {"Authorization": f"Bearer {KEY}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "access_token_invalid")
    codes = {"429": "rate_limit_exceeded", "500": "internal_error", "503": "internal_error"}
    for fault, code in codes.items():
        answer = query(client, {"X-World-Faults": f"{fault};path=query"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (int(fault), code)


def test_a_token_runs_out_after_two_hours(client: TestClient) -> None:
    assert query(client, {"X-World-Now": "2026-01-12T01:59:00Z"}).status_code == 200
    assert query(client, {"X-World-Now": "2026-01-12T02:00:00Z"}).status_code == 401


def test_a_thousand_requests_a_day(client: TestClient) -> None:
    token = sign_in(client).json()["access_token"]
    headers = {**NOW, "Authorization": f"Bearer {token}"}
    url = f"{TIKTOK}/research/video/query/"
    for _ in range(1000):
        assert client.post(url, headers=headers).status_code == 400
    answer = client.post(url, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        429, "daily_quota_limit_exceeded",
    )  # fmt: skip


def test_counts_only_grow() -> None:
    day = shorts.shorts_of_day(7, 10)
    before = shorts.counts(day, 240.0)
    for hours in (250.0, 264.0, 300.0, 700.0):
        now = shorts.counts(day, hours)
        for name in ("views", "likes", "comments", "shares"):
            assert (getattr(now, name) >= getattr(before, name)).all()
        assert (now.likes <= now.views).all()
        before = now
    assert np.median(before.views) > 100
