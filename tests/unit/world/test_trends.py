"""Google Trends' feed and SerpApi as the world answers them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import parameters as p
from ml.world.server import create_app
from ml.world.trends import interest, trending

SEED = 7
KEY = "k"
HT = "{https://trends.google.com/trending/rss}"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
WEEK = "2026-01-05T00 2026-01-11T23"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    values = {"world_key": SecretStr(KEY), "state_dir": tmp_path, "world_faults": ""}
    with TestClient(create_app(Settings(**values))) as test_client:
        yield test_client


def xml(body: bytes) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 - the world's own document


def feed(client: TestClient, geo: str = "US", **headers: str) -> Response:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    path = "/trends.google.com/trending/rss"
    return client.get(path, params={"geo": geo}, headers={**NOW, **more})


def search(client: TestClient, headers: dict[str, str] | None = None, **params: str) -> Response:
    query = {"engine": "google_trends", "q": "chess", "geo": "US", "tz": "0", "api_key": KEY}
    return client.get(
        "/serpapi.com/search", params={**query, **params}, headers={**NOW, **(headers or {})}
    )


def timeline(client: TestClient, **params: str) -> list[dict[str, Any]]:
    answer = search(client, **params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["interest_over_time"]["timeline_data"]
    return rows


# --- The feed ------------------------------------------------------------------------------------


def test_feed_has_the_recorded_shape(client: TestClient) -> None:
    answer = feed(client)
    assert answer.headers["Content-Type"].startswith("application/rss+xml")
    items = xml(answer.content).findall("channel/item")
    assert len(items) == p.TRENDS_LISTED
    for item in items:
        assert item.findtext("title")
        assert re.fullmatch(r"[125]0*[KM]?\+", item.findtext(f"{HT}approx_traffic") or "")
        assert re.fullmatch(
            r"\w{3}, \d\d \w{3} 20\d\d \d\d:\d0:00 -0800", item.findtext("pubDate") or ""
        )
        news = item.findall(f"{HT}news_item")
        assert 1 <= len(news) <= 3
        assert all(each.findtext(f"{HT}news_item_url") for each in news)


def test_regions_differ_and_unknown_ones_are_refused(client: TestClient) -> None:
    assert feed(client).content != feed(client, "GB").content
    assert feed(client, "Atlantis").status_code == 400
    assert feed(client, X_World_Faults="503").status_code == 503


def test_trends_come_and_go_within_two_days() -> None:
    lists = [trending(SEED, "US", 60 * hour) for hour in range(240, 400, 4)]
    seen: dict[tuple[str, float], list[int]] = {}
    for listed in lists:
        assert len({trend.title for trend in listed}) == len(listed)
        for trend in listed:
            seen.setdefault((trend.title, trend.started), []).append(trend.searches)
    assert all(len(looks) <= 48 / 4 + 1 for looks in seen.values())
    assert all(looks == sorted(looks) for looks in seen.values())
    assert len(seen) > 3 * p.TRENDS_LISTED


# --- Interest ------------------------------------------------------------------------------------


def test_hours_of_a_week_are_scaled_to_a_hundred(client: TestClient) -> None:
    rows = timeline(client, date=WEEK)
    assert len(rows) == 168
    start = datetime(2026, 1, 5, tzinfo=UTC)
    assert [int(row["timestamp"]) for row in rows] == [
        int((start + timedelta(hours=hour)).timestamp()) for hour in range(168)
    ]
    values = [row["values"][0]["extracted_value"] for row in rows]
    assert max(values) == 100
    assert min(values) >= 0
    assert {row["values"][0]["query"] for row in rows} == {"chess"}
    assert not any("partial_data" in row for row in rows)


@pytest.mark.parametrize(
    ("date", "count", "step_h"),
    [
        ("2025-12-01 2025-12-31", 31, 24),
        ("2024-12-01 2025-12-31", 57, 168),
        ("now 1-d", 24, 1),
        ("now 7-d", 168, 1),
        ("today 3-m", 90, 24),
        ("2026-01-03T00 2026-01-11T23", 216, 1),
    ],
)
def test_the_range_decides_the_resolution(
    client: TestClient, date: str, count: int, step_h: int
) -> None:
    rows = timeline(client, date=date)
    assert len(rows) == count
    times = np.array([int(row["timestamp"]) for row in rows])
    assert set(np.diff(times)) == {3600 * step_h}


def test_a_time_that_is_not_over_is_partial_and_the_future_absent(client: TestClient) -> None:
    half = {"X-World-Now": "2026-01-12T00:30:00Z"}
    answer = search(client, half, date="2026-01-11T20 2026-01-12T05").json()
    rows = answer["interest_over_time"]["timeline_data"]
    assert len(rows) == 5
    assert [row.get("partial_data", False) for row in rows] == [False] * 4 + [True]


def test_another_window_is_another_sample_of_the_same_course(client: TestClient) -> None:
    first = timeline(client, date=WEEK)
    second = timeline(client, date="2026-01-04T00 2026-01-10T23")
    by_time = {row["timestamp"]: row["values"][0]["extracted_value"] for row in second}
    pairs = np.array(
        [(row["values"][0]["extracted_value"], by_time[row["timestamp"]])
         for row in first if row["timestamp"] in by_time]
    )  # fmt: skip
    assert len(pairs) == 144
    large = pairs[pairs.min(axis=1) > 20]
    ratio = large[:, 0] / large[:, 1]
    assert 0 < ratio.std() / ratio.mean() < 0.1


def test_terms_share_a_scale(client: TestClient) -> None:
    document = search(client, date=WEEK, q="chess, quantum banana").json()["interest_over_time"]
    assert [each["query"] for each in document["averages"]] == ["chess", "quantum banana"]
    highest = {
        name: max(row["values"][place]["extracted_value"] for row in document["timeline_data"])
        for place, name in enumerate(("chess", "quantum banana"))
    }
    assert highest["chess"] == 100
    assert highest["quantum banana"] < 50  # no topic is about it


def test_topics_raise_the_interest_in_their_words() -> None:
    hours = 24 * 30
    quiet, busy = (interest(SEED, word, "US", 24 * 10, hours) for word in ("banana", "minecraft"))
    assert busy.max() / np.median(busy) > 1.5 * quiet.max() / np.median(quiet)
    assert np.array_equal(busy[24:48], interest(SEED, "Minecraft", "US", 24 * 11, 24))


def test_zone_shifts_the_window(client: TestClient) -> None:
    utc, pacific = (timeline(client, date=WEEK, tz=tz) for tz in ("0", "480"))
    assert int(pacific[0]["timestamp"]) - int(utc[0]["timestamp"]) == 8 * 3600


@pytest.mark.parametrize(
    ("params", "status", "message"),
    [
        ({"api_key": ""}, 401, "Invalid API key"),
        ({"api_key": "wrong"}, 401, "Invalid API key"),
        ({"engine": "google"}, 400, "engine"),
        ({"data_type": "GEO_MAP"}, 400, "data type"),
        ({"q": " , "}, 400, "Missing query"),
        ({"q": "a,b,c,d,e,f"}, 400, "Maximum of 5"),
        ({"geo": "US-CA-807x"}, 400, "geographic location"),
        ({"tz": "1440"}, 400, "time zone"),
        ({"date": "lately"}, 400, "date"),
        ({"date": "2026-01-11T00 2026-01-05T00"}, 400, "date"),
        ({"date": "2026-01-01T00 2026-01-11T00"}, 400, "date"),
        ({"date": "2026-02-30 2026-03-01"}, 400, "date"),
        ({"date": "2026-01-01T00 2026-01-05"}, 400, "date"),
    ],
)
def test_refusals_say_what_is_wrong(
    client: TestClient, params: dict[str, str], status: int, message: str
) -> None:
    answer = search(client, **({"date": WEEK} | params))
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_nothing_to_show_is_an_error_with_status_200(client: TestClient) -> None:
    answer = search(client, date="2027-01-01T00 2027-01-02T00")
    assert answer.status_code == 200
    assert "hasn't returned any results" in answer.json()["error"]
    assert answer.json()["search_metadata"]["status"] == "Success"


def test_key_is_not_repeated_in_the_answer(client: TestClient) -> None:
    values = {"world_key": SecretStr("a-long-secret-key"), "world_faults": ""}
    with TestClient(create_app(Settings(**values))) as other:
        answer = search(other, date=WEEK, api_key="a-long-secret-key")
        assert answer.status_code == 200
        assert "a-long-secret-key" not in answer.text


def test_used_up_searches_are_429(client: TestClient) -> None:
    answer = search(client, {"X-World-Faults": "429;retry_after=9"}, date=WEEK)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "9")
    assert answer.json()["error"] == "Your account has run out of searches."
