"""GDELT's DOC API of the world, against its documentation.

https://blog.gdeltproject.org/gdelt-doc-2-0-api-debuts/ (2026-11).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import news
from ml.world.server import create_app

SEED = 7
PATH = "/api.gdeltproject.org/api/v2/doc/doc"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
DAY = {"startdatetime": "20260110000000", "enddatetime": "20260110235959"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr("wire-key"), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings)) as test_client:
        yield test_client


def ask(client: TestClient, query: str, headers: dict[str, str] = NOW, **params: str) -> Response:
    asked = {"query": query, "mode": "artlist", "format": "json", **params}
    return client.get(PATH, params=asked, headers={**NOW, **headers})


def found(client: TestClient, query: str, **params: str) -> list[dict[str, Any]]:
    answer = ask(client, query, **{"maxrecords": "250", **DAY, **params})
    assert answer.headers["Content-Type"].startswith("application/json"), answer.text
    return list(answer.json().get("articles", []))


def test_list_has_the_documented_shape(client: TestClient) -> None:
    articles = found(client, "technology", sort="datedesc")
    assert 75 < len(articles) <= 250
    assert len(found(client, "technology", maxrecords="75")) == 75
    for article in articles:
        assert set(article) == {
            "url", "url_mobile", "title", "seendate", "socialimage", "domain", "language",
            "sourcecountry",
        }  # fmt: skip
        assert re.fullmatch(r"20260110T\d\d(00|15|30|45)00Z", article["seendate"])
        assert article["url"].startswith(f"https://{article['domain']}/")
    dates = [article["seendate"] for article in articles]
    assert dates == sorted(dates, reverse=True)
    assert len({article["url"] for article in articles}) == len(articles)


def urls(client: TestClient, query: str) -> set[str]:
    """All that a query finds in a day, by hours: a list is cut after 250."""
    hours = [f"20260110{hour:02d}" for hour in range(24)]
    lists = [
        found(client, query, startdatetime=f"{hour}0000", enddatetime=f"{hour}5959")
        for hour in hours
    ]
    assert all(len(articles) < 250 for articles in lists)
    return {article["url"] for articles in lists for article in articles}


def test_queries_mean_what_the_documentation_says(client: TestClient) -> None:
    science, rest = urls(client, "science"), urls(client, "-science")
    everything = urls(client, "(science OR -science)")
    assert science
    assert science | rest == everything
    assert not science & rest
    either = urls(client, "(science OR technology)")
    assert either == science | urls(client, "technology")
    assert urls(client, "science sourcecountry:india") | urls(
        client, "science -sourcecountry:india"
    ) == science  # fmt: skip
    assert urls(client, '"black holes"') == urls(client, "black holes")  # never apart here
    assert urls(client, "science sourcelang:french") == set()
    one = next(iter(science)).split("/")[2]
    assert all(url.split("/")[2] == one for url in urls(client, f"domain:{one}"))


def timeline(client: TestClient, query: str, **params: str) -> list[dict[str, Any]]:
    document = ask(client, query, mode="timelinevolraw", **params).json()
    assert document["query_details"]["title"] == query
    (series,) = document["timeline"]
    assert series["series"] == "Article Count"
    return list(series["data"])


def test_volume_counts_what_the_list_has(client: TestClient) -> None:
    points = timeline(client, "science", **DAY)
    assert len(points) == 96
    assert points[0]["date"] == "20260110T000000Z"
    assert sum(point["value"] for point in points) == len(urls(client, "science"))
    everything = urls(client, "(science OR -science)")
    assert sum(point["norm"] for point in points) == len(everything)


@pytest.mark.parametrize(
    ("start", "resolution", "count"),
    [("20260109000001", "15m", 287), ("20260105000000", "hour", 168), ("20260103000000", "day", 9)],
)
def test_resolution_follows_the_length(
    client: TestClient, start: str, resolution: str, count: int
) -> None:
    answer = ask(
        client, "science", mode="TimelineVolRaw",
        STARTDATETIME=start, ENDDATETIME="20260111235959",
    )  # fmt: skip
    assert answer.json()["query_details"]["date_resolution"] == resolution
    assert len(answer.json()["timeline"][0]["data"]) == count


def test_nothing_found_is_an_empty_object(client: TestClient) -> None:
    assert ask(client, "zebra", **DAY).text == "{}"


def test_articles_are_found_within_half_an_hour_and_stay(client: TestClient) -> None:
    window = {"startdatetime": "20260110100000", "enddatetime": "20260110105959"}

    def at(time: str) -> list[dict[str, Any]]:
        asked = {"maxrecords": "250", "sort": "datedesc", **window}
        return list(ask(client, "sports", {"X-World-Now": time}, **asked).json()["articles"])

    early, settled = at("2026-01-10T10:45:00Z"), at("2026-01-10T11:30:00Z")
    assert len(early) < len(settled)
    assert at("2026-01-10T23:00:00Z") == settled


@pytest.mark.parametrize(
    ("query", "params", "text"),
    [
        ("x", {}, "too short or too long"),
        ("word " * 60, {}, "too short or too long"),
        ("gold OR silver", {}, "surrounded by ()"),
        ("science", {"mode": "nonsense"}, "mode"),
        ("science", {"format": "html"}, "format"),
        ("science", {"maxrecords": "1000"}, "number of records"),
        ("science", {"startdatetime": "yesterday"}, "start date"),
        ("science", {"timespan": "15min"}, "Timespan is too short"),
        ("science nonsense:yes", DAY, "operator"),
    ],
)
def test_refusals_are_text_with_status_200(
    client: TestClient, query: str, params: dict[str, str], text: str
) -> None:
    answer = ask(client, query, **params)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert text in answer.text


def test_too_many_requests_are_text(client: TestClient) -> None:
    answer = ask(client, "science", {"X-World-Faults": "429"})
    assert answer.status_code == 429
    assert "one every 5 seconds" in answer.text


def test_spans_end_now(client: TestClient) -> None:
    articles = ask(client, "science", timespan="2h", maxrecords="250").json()["articles"]
    assert articles
    assert min(article["seendate"] for article in articles) >= "20260111T220000Z"


@given(st.text(max_size=60))
def test_any_query_is_read_or_refused(query: str) -> None:
    articles = news.news_of_day(SEED, 3)
    # Any other error fails the test.
    with contextlib.suppress(news.QueryError):
        assert len(news.matches(SEED, query, articles)) == len(articles.ids)
