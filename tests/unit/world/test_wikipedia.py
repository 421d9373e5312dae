"""Wikimedia's page views of the world, against the shapes in the documentation.

https://wikitech.wikimedia.org/wiki/Analytics/AQS/Pageview_API and
https://wikitech.wikimedia.org/wiki/Analytics/Data_Lake/Traffic/Pageviews (2026-11).
"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import articles, topics
from ml.world import parameters as p
from ml.world.server import create_app

SEED = 7
API = "/wikimedia.org/api/rest_v1/metrics/pageviews"
DUMPS = "/dumps.wikimedia.org/other/pageviews"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr("wire-key"), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings)) as test_client:
        yield test_client


def get(client: TestClient, path: str, **headers: str) -> Response:
    return client.get(path, headers={**NOW, **headers})


def listed(client: TestClient, path: str = "en.wikipedia/all-access/2026/01/10") -> dict[str, Any]:
    (item,) = get(client, f"{API}/top/{path}").json()["items"]
    return dict(item)


def test_top_has_the_documented_shape(client: TestClient) -> None:
    item = listed(client)
    assert {name: item[name] for name in ("project", "access", "year", "month", "day")} == {
        "project": "en.wikipedia", "access": "all-access", "year": "2026", "month": "01",
        "day": "10",
    }  # fmt: skip
    assert [a["rank"] for a in item["articles"]] == list(range(1, 1001))
    views = [a["views"] for a in item["articles"]]
    assert views == sorted(views, reverse=True)
    assert item["articles"][0]["article"] == "Main_Page"
    assert all(set(a) == {"article", "views", "rank"} for a in item["articles"])
    assert not any(" " in a["article"] for a in item["articles"])


def test_history_agrees_with_the_list(client: TestClient) -> None:
    article = listed(client)["articles"][40]
    path = f"per-article/en.wikipedia.org/all-access/user/{article['article']}/daily"
    items = get(client, f"{API}/{path}/2026010800/20260110").json()["items"]
    assert [i["timestamp"] for i in items] == ["2026010800", "2026010900", "2026011000"]
    assert items[-1] == {
        "project": "en.wikipedia", "article": article["article"], "granularity": "daily",
        "timestamp": "2026011000", "access": "all-access", "agent": "user",
        "views": article["views"],
    }  # fmt: skip


def test_ways_of_access_add_up(client: TestClient) -> None:
    def views(access: str) -> int:
        path = f"{API}/per-article/en.wikipedia/{access}/all-agents/Chess/daily/20260110/20260110"
        return int(get(client, path).json()["items"][0]["views"])

    ways = ("desktop", "mobile-web", "mobile-app")
    assert sum(map(views, ways)) == views("all-access")


def test_a_day_is_not_there_until_it_is_loaded(client: TestClient) -> None:
    assert articles.day_published(SEED, "en.wikipedia", 9) > 240
    path = f"{API}/top/en.wikipedia/all-access/2026/01/10"
    early = get(client, path, **{"X-World-Now": "2026-01-11T00:30:00Z"})
    assert early.status_code == 404
    assert "not loaded yet" in early.json()["detail"]
    assert get(client, path, **{"X-World-Now": "2026-01-11T23:30:00Z"}).status_code == 200
    history = f"{API}/per-article/en.wikipedia/all-access/user/Chess/daily/20260109/20260110"
    known = get(client, history, **{"X-World-Now": "2026-01-11T00:30:00Z"}).json()["items"]
    assert [item["timestamp"] for item in known] == ["2026010900"]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("top/en.wikipedia/all-access/2026/01", 404, "invalid route"),
        ("top/en.wikipedia/all-access/2026/01/10/all-days", 404, "invalid route"),
        ("per-article/en.wikipedia/all-access/user/Chess/hourly/20260101/20260102", 404, "invalid"),
        ("top/xx.wikipedia/all-access/2026/01/10", 404, "not loaded yet"),
        ("top/en.wikipedia/all-access/2014/01/10", 404, "not loaded yet"),
        ("top/en.wikipedia/all-access/2026/02/30", 400, "invalid date"),
        ("top/en.wikipedia/telephone/2026/01/10", 400, "allowed values"),
        ("per-article/en.wikipedia/all-access/nobody/Chess/daily/20260101/20260102", 400, "agent"),
        ("per-article/en.wikipedia/all-access/user/Chess/daily/2026/20260102", 400, "YYYYMMDD"),
        ("per-article/en.wikipedia/all-access/user/Chess/daily/20260102/20260101", 400, "before"),
        ("per-article/en.wikipedia/all-access/user/AC%2FDC/daily/20260101/20260102", 404, "loaded"),
        ("per-article/en.wikipedia/all-access/user/AC/DC/daily/20260101/20260102", 404, "invalid"),
    ],
)
def test_refusals_have_the_shape_of_a_problem(
    client: TestClient, path: str, status: int, detail: str
) -> None:
    answer = get(client, f"{API}/{path}")
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert detail in problem["detail"]
    assert problem["method"] == "get"
    assert problem["uri"].startswith("/metrics/pageviews/")


def test_clients_without_a_user_agent_are_refused(client: TestClient) -> None:
    path = f"{API}/top/en.wikipedia/all-access/2026/01/10"
    assert get(client, path, **{"User-Agent": ""}).status_code == 403


def test_faults_are_error_pages(client: TestClient) -> None:
    header = {"X-World-Faults": "429;retry_after=7"}
    hit = get(client, f"{API}/top/en.wikipedia/all-access/2026/01/10", **header)
    assert (hit.status_code, hit.headers["Retry-After"]) == (429, "7")
    assert hit.headers["Content-Type"].startswith("text/html")


def dump(client: TestClient, name: str, **headers: str) -> Response:
    return get(client, f"{DUMPS}/{name}", **headers)


def test_dumps_add_up_to_the_day(client: TestClient) -> None:
    path = f"{API}/per-article/de.wikipedia/{{}}/user/Rust/daily/20260110/20260110"
    for access, code in (("desktop", "de"), ("mobile-web", "de.m")):
        day = get(client, path.format(access)).json()["items"][0]["views"]
        total = 0
        for hour in range(24):
            views = articles.hourly_views(SEED, "de.wikipedia", 9)[hour]
            index = articles.articles(SEED).index("Rust")
            assert index is not None
            expected = int(articles.by_access(views, access)[index])
            total += expected
            if hour in (0, 23):  # the file is named by the end of the hour
                name = "20260110-01" if hour == 0 else "20260111-00"
                content = dump(client, f"2026/2026-01/pageviews-{name}0000.gz").content
                assert f"\n{code} Rust {expected} 0\n" in gzip.decompress(content).decode()
        assert abs(day - total) <= 48  # rounded each hour


def test_a_dump_is_gzip_of_sorted_lines(client: TestClient) -> None:
    answer = dump(client, "2026/2026-01/pageviews-20260110-120000.gz")
    lines = [line.split(" ") for line in gzip.decompress(answer.content).decode().splitlines()]
    assert all(len(line) == 4 and line[3] == "0" and int(line[2]) > 0 for line in lines)
    codes = [code for code, _ in itertools.groupby(line[0] for line in lines)]
    assert codes == sorted(codes)
    assert {"en", "en.m"} <= set(codes)
    assert dump(client, "2026/2026-01/pageviews-20260110-120000.gz").content == answer.content


@pytest.mark.parametrize(
    "name",
    [
        "2026/2026-01/pageviews-20260112-000000.gz",  # ends now
        "2026/2026-02/pageviews-20260110-120000.gz",
        "2026/2026-01/pageviews-20260132-120000.gz",
        "2026/2026-01/",
    ],
)
def test_missing_dumps_are_404(client: TestClient, name: str) -> None:
    answer = dump(client, name)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_malformed_lines_lose_their_numbers(client: TestClient) -> None:
    header = {"X-World-Faults": "malformed;rows=3"}
    answer = dump(client, "2026/2026-01/pageviews-20260110-120000.gz", **header)
    lines = gzip.decompress(answer.content).decode().splitlines()
    assert sum(len(line.split(" ")) == 2 for line in lines) == 3


def test_articles_are_named_like_the_subjects_and_follow_their_topics() -> None:
    table = articles.articles(SEED)
    assert len(set(table.titles)) == len(table.titles) > 1000
    alive = topics.topics_alive(SEED, 10)
    strength = topics.intensity(alive, topics.phase(SEED, alive, "wikipedia", np.array([252.0])))
    hot = int(strength[0].argmax())
    where = table.of_angle[alive.niche[hot], alive.subject[hot], alive.angle[hot]]
    views = [articles.daily_views(SEED, "en.wikipedia", day)[where] for day in (10, 80)]
    assert views[0] > 2 * views[1]


def test_some_articles_are_new_to_a_list_every_day() -> None:
    def best(day: int) -> set[int]:
        views = articles.daily_views(SEED, "en.wikipedia", day)
        return set(np.argsort(-views, kind="stable")[: p.TOP_ARTICLES].tolist())

    for day in range(4, 10):
        assert 10 < len(best(day + 1) - best(day)) < 200
