"""Hacker News' updates and its search as the world answers them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.server import create_app

ITEMS = "/hacker-news.firebaseio.com/v0"
SEARCH = "/hn.algolia.com/api/v1"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
BEFORE = {"X-World-Now": "2026-01-11T23:55:00Z"}
DAY = "created_at_i>=1768089600,created_at_i<1768176000"  # 2026-01-11


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    values = {"world_key": SecretStr("k"), "state_dir": tmp_path, "world_faults": ""}
    with TestClient(create_app(Settings(**values))) as test_client:
        yield test_client


def item(client: TestClient, number: int, headers: dict[str, str] = NOW) -> Any:
    return client.get(f"{ITEMS}/item/{number}.json", headers=headers).json()


def search(
    client: TestClient,
    path: str = "search_by_date",
    headers: dict[str, str] = NOW,
    **params: str,
) -> Response:
    query = {"tags": "story", "numericFilters": DAY, **params}
    return client.get(f"{SEARCH}/{path}", params=query, headers=headers)


# --- Updates -------------------------------------------------------------------------------------


def test_updates_are_the_stories_that_have_changed(client: TestClient) -> None:
    updates = client.get(f"{ITEMS}/updates.json", headers=NOW).json()
    assert set(updates) == {"items", "profiles"}
    changed = updates["items"]
    assert len(changed) == len(set(changed)) > 10
    assert changed == sorted(changed, reverse=True)
    for number in changed:
        before = item(client, number, BEFORE)
        assert before is None or before != item(client, number)
    assert {item(client, number)["by"] for number in changed} == set(updates["profiles"])


def test_stories_that_are_not_in_the_updates_have_not_changed(client: TestClient) -> None:
    changed = set(client.get(f"{ITEMS}/updates.json", headers=NOW).json()["items"])
    top = client.get(f"{ITEMS}/topstories.json", headers=NOW).json()[:60]
    still = [number for number in top if number not in changed]
    assert still
    assert all(item(client, number) == item(client, number, BEFORE) for number in still)
    assert set(top[:10]) & changed  # the front page moves


# --- Search --------------------------------------------------------------------------------------


def test_answer_has_the_documented_shape(client: TestClient) -> None:
    body = search(client, hitsPerPage="50").json()
    assert {"hits", "nbHits", "nbPages", "page", "hitsPerPage", "query", "params",
            "processingTimeMS", "exhaustiveNbHits"} <= set(body)  # fmt: skip
    assert (len(body["hits"]), body["page"], body["hitsPerPage"]) == (50, 0, 50)
    assert body["nbPages"] == -(-body["nbHits"] // 50)
    for hit in body["hits"]:
        assert {"objectID", "title", "author", "points", "num_comments", "created_at",
                "created_at_i", "_tags", "_highlightResult"} <= set(hit)  # fmt: skip
        assert hit["objectID"].isdigit()
        assert ("url" in hit) != ("story_text" in hit)
        assert 1768089600 <= hit["created_at_i"] < 1768176000


def test_hits_say_what_the_items_say(client: TestClient) -> None:
    for hit in search(client, hitsPerPage="5").json()["hits"]:
        found = item(client, int(hit["objectID"]))
        assert (hit["title"], hit["author"], hit["points"], hit["num_comments"]) == (
            found["title"], found["by"], found["score"], found["descendants"],
        )  # fmt: skip
        assert hit["created_at_i"] == found["time"]


def test_one_orders_by_date_and_the_other_by_points(client: TestClient) -> None:
    dates = [hit["created_at_i"] for hit in search(client, hitsPerPage="99").json()["hits"]]
    assert dates == sorted(dates, reverse=True)
    points = [hit["points"] for hit in search(client, "search", hitsPerPage="99").json()["hits"]]
    assert points == sorted(points, reverse=True)


def test_pages_end_after_a_thousand_hits(client: TestClient) -> None:
    long = "created_at_i>=1768003200,created_at_i<1768176000"
    pages = [
        search(client, numericFilters=long, hitsPerPage="300", page=str(page)).json()
        for page in range(5)
    ]
    assert [len(page["hits"]) for page in pages] == [300, 300, 300, 100, 0]
    assert [page["nbHits"] > 1900 for page in pages] == [True] * 4 + [False]
    assert pages[0]["nbPages"] == 4
    assert pages[4]["nbHits"] == 0
    assert "you can only fetch the 1000 hits" in pages[4]["message"]
    ids = [hit["objectID"] for page in pages for hit in page["hits"]]
    assert len(ids) == len(set(ids)) == 1000
    most = search(client, numericFilters=long, hitsPerPage="99999").json()
    assert (len(most["hits"]), most["hitsPerPage"]) == (1000, 1000)


def test_halves_of_an_interval_hold_what_the_whole_does(client: TestClient) -> None:
    parts = ("created_at_i>=1768089600,created_at_i<1768132800",
             "created_at_i>=1768132800,created_at_i<1768176000")  # fmt: skip
    halves = [search(client, numericFilters=part).json()["nbHits"] for part in parts]
    assert min(halves) > 400
    assert sum(halves) == search(client).json()["nbHits"]


def test_words_must_all_begin_words_of_the_title(client: TestClient) -> None:
    hits = search(client, query="RUST tear", hitsPerPage="100").json()["hits"]
    assert hits
    for hit in hits:
        assert "rust" in hit["title"].lower()
        assert "tear" in hit["title"].lower()
    assert search(client, query="nothing of the kind").json()["nbHits"] == 0


@pytest.mark.parametrize(
    ("tags", "prefixes"),
    [
        ("story,show_hn", ("Show HN",)),
        ("story,(show_hn,ask_hn)", ("Show HN", "Ask HN")),
        ("ask_hn", ("Ask HN",)),
    ],
)
def test_tags_are_joined_by_and_and_or(
    client: TestClient, tags: str, prefixes: tuple[str, ...]
) -> None:
    hits = search(client, tags=tags, hitsPerPage="200").json()["hits"]
    assert {hit["title"].split(":")[0] for hit in hits} == set(prefixes)


def test_author_story_and_front_page_are_tags(client: TestClient) -> None:
    hit = search(client, hitsPerPage="1").json()["hits"][0]
    for tag in (f"author_{hit['author']}", f"story_{hit['objectID']}"):
        found = search(client, tags=tag).json()["hits"]
        assert hit["objectID"] in {each["objectID"] for each in found}
    top = client.get(f"{ITEMS}/topstories.json", headers=NOW).json()[:30]
    front = search(client, tags="front_page", numericFilters="", hitsPerPage="50").json()["hits"]
    assert {int(each["objectID"]) for each in front} == set(top)
    assert search(client, tags="comment").json()["nbHits"] == 0


def test_points_and_comments_can_be_compared(client: TestClient) -> None:
    hits = search(client, numericFilters=f"{DAY},points>50,num_comments<=30").json()["hits"]
    assert hits
    assert all(hit["points"] > 50 and hit["num_comments"] <= 30 for hit in hits)


def test_stories_of_the_future_are_not_found(client: TestClient) -> None:
    later = search(client, numericFilters="created_at_i>=1768176000").json()
    assert later["nbHits"] <= 1  # one of the last half second may be dated into the next
    noon = {"X-World-Now": "2026-01-11T12:00:00Z"}
    assert search(client, headers=noon).json()["nbHits"] < 600


@pytest.mark.parametrize(
    "params",
    [
        {"hitsPerPage": "many"}, {"page": "-1"}, {"numericFilters": "created_at_i>now"},
        {"numericFilters": "karma>1"}, {"tags": "(story"},
    ],
)  # fmt: skip
def test_refusals_have_algolias_shape(client: TestClient, params: dict[str, str]) -> None:
    answer = search(client, **params)
    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert answer.json()["message"]


def test_injected_failures_have_their_status(client: TestClient) -> None:
    faults = {**NOW, "X-World-Faults": "429;retry_after=2"}
    answer = search(client, headers=faults)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["status"] == 429
