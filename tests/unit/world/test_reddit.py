"""What the world's Reddit answers, against what `providers.reddit_api` cites."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import parameters as p
from ml.world import posts
from ml.world.providers.reddit_resources import base36
from ml.world.server import create_app
from ml.world.social import social, text

KEY = "wire-key"
AGENT = {"User-Agent": "python:ytempire.tests:v1"}
NOW = {**AGENT, "X-World-Now": "2026-01-12T00:00:00Z"}
HOURS = 11 * 24.0
EVERY = frozenset(range(len(social().subreddits)))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr(KEY), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings), follow_redirects=False) as test_client:
        yield test_client


def sign_in(client: TestClient, secret: str = KEY, grant: str = "client_credentials") -> Response:
    return client.post(
        "/www.reddit.com/api/v1/access_token",
        data={"grant_type": grant},
        auth=(KEY, secret),
        headers=NOW,
    )


def listing(
    client: TestClient, path: str = "r/popular/hot", headers: dict[str, str] | None = None,
    **params: str | int,
) -> Response:  # fmt: skip
    token = sign_in(client).json()["access_token"]
    given = {**NOW, "Authorization": f"bearer {token}", **(headers or {})}
    return client.get(f"/oauth.reddit.com/{path}", params={"raw_json": 1, **params}, headers=given)


def posts_of(answer: Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [child["data"] for child in answer.json()["data"]["children"]]


def test_token_has_the_documented_shape(client: TestClient) -> None:
    body = sign_in(client).json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["scope"], body["expires_in"]) == ("bearer", "*", 86_400)
    assert KEY not in body["access_token"]


def test_listing_has_the_documented_shape(client: TestClient) -> None:
    body = listing(client, limit=100).json()
    assert body["kind"] == "Listing"
    assert {"after", "before", "children", "dist"} <= set(body["data"])
    assert body["data"]["dist"] == len(body["data"]["children"]) == 100
    assert body["data"]["before"] is None
    for child in body["data"]["children"]:
        post = child["data"]
        assert child["kind"] == "t3"
        assert re.fullmatch(r"[0-9a-z]{5,12}", post["id"])
        assert post["name"] == f"t3_{post['id']}"
        assert isinstance(post["created_utc"], float)
        assert 0.5 <= post["upvote_ratio"] <= 1
        assert post["is_self"] == post["url"].startswith("https://www.reddit.com/r/")


def test_pages_link_up_to_the_end_of_the_listing(client: TestClient) -> None:
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = listing(client, limit=100, **({"after": after} if after else {})).json()["data"]
        seen += [child["data"]["name"] for child in page["children"]]
        assert page["after"] in (None, seen[-1])
        after = page["after"]
    assert len(seen) == len(set(seen)) == 1000
    back = listing(client, limit=10, before=seen[30], count=31)
    assert [post["name"] for post in posts_of(back)] == seen[20:30]
    assert posts_of(listing(client, after="t3_nothing")) == []


def test_limit_is_25_by_default_and_100_at_most(client: TestClient) -> None:
    assert len(posts_of(listing(client))) == 25
    assert len(posts_of(listing(client, limit=1024))) == 100


def test_text_is_escaped_unless_it_is_asked_for_raw(client: TestClient) -> None:
    raw = posts_of(listing(client, limit=100))
    escaped = posts_of(listing(client, limit=100, raw_json=0))
    titles = [(a["title"], b["title"]) for a, b in zip(raw, escaped, strict=True)]
    assert any("&" in title or "<" in title for title, _ in titles)
    for title, shown in titles:
        assert shown == title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_a_post_by_its_id_comes_with_a_listing_of_comments(client: TestClient) -> None:
    first = posts_of(listing(client, limit=1))[0]
    post, comments = listing(client, f"comments/{first['id']}").json()
    assert post["data"]["children"][0]["data"] == first
    assert comments["kind"] == "Listing"


@pytest.mark.parametrize(
    ("path", "status"),
    [("r/popular/nonsense", 404), ("r/there_is_none/hot", 302), ("comments/zzzz", 404)],
)
def test_unknown_paths(client: TestClient, path: str, status: int) -> None:
    answer = listing(client, path)
    assert answer.status_code == status
    assert answer.json()["error"] == status
    assert ("location" in answer.headers) == (status == 302)


def test_credentials_are_wanted(client: TestClient) -> None:
    refused = sign_in(client, secret="wrong")
    assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized", "error": 401})
    # This one comes with status 200, as the provider's does.
    assert sign_in(client, grant="password").json() == {"error": "unsupported_grant_type"}
    for given in (
        {},
        {"Authorization": f"bearer {KEY}"},
        {"Authorization": "bearer 9-" + "0" * 40},
    ):
        answer = client.get("/oauth.reddit.com/r/popular/hot", headers={**NOW, **given})
        assert answer.status_code == 401


def test_a_token_runs_out_after_a_day(client: TestClient) -> None:
    late = {"X-World-Now": "2026-01-12T23:59:00Z"}
    assert listing(client, headers=late).status_code == 200
    later = {"X-World-Now": "2026-01-13T00:00:00Z"}
    assert listing(client, headers=later).status_code == 401


def test_default_user_agents_are_limited(client: TestClient) -> None:
    assert listing(client, headers={"User-Agent": "python-requests/2.32"}).status_code == 429


def test_a_thousand_queries_in_ten_minutes(client: TestClient) -> None:
    token = sign_in(client).json()["access_token"]
    headers = {**NOW, "Authorization": f"bearer {token}"}
    for number in range(1, 1001):
        answer = client.get("/oauth.reddit.com/comments/1", headers=headers)
        assert answer.status_code == 404
        assert answer.headers["x-ratelimit-used"] == str(number)
    assert answer.headers["x-ratelimit-remaining"] == "0.0"
    assert answer.headers["x-ratelimit-reset"] == "600"
    assert client.get("/oauth.reddit.com/comments/1", headers=headers).status_code == 429
    later = {**headers, "X-World-Now": "2026-01-12T00:10:00Z"}
    assert client.get("/oauth.reddit.com/comments/1", headers=later).status_code == 404


def test_injected_failures_have_reddits_shape(client: TestClient) -> None:
    for fault in (429, 500, 503):
        answer = listing(client, headers={"X-World-Faults": f"{fault};path=/r/"})
        assert answer.status_code == answer.json()["error"] == fault
    assert "x-ratelimit-reset" in answer.headers


def test_hot_is_ordered_by_the_published_formula() -> None:
    found = posts.listing(7, int(HOURS * 60), EVERY, "hot")
    score, _ = posts.scores(found, HOURS)
    weight = np.log10(np.maximum(score, 1)) + found.created * 3600.0 / 45_000.0
    assert (np.diff(weight) <= 1e-9).all()


def test_rising_posts_are_young_and_new_ones_in_order() -> None:
    rising = posts.listing(7, int(HOURS * 60), EVERY, "rising")
    assert (HOURS - rising.created < 8.0).all()
    new = posts.listing(7, int(HOURS * 60), EVERY, "new")
    assert (np.diff(new.created) <= 0).all()


def test_ids_grow_with_time_and_lead_back_to_their_posts() -> None:
    day = posts.posts_of_day(7, 10)
    order = np.argsort(day.created, kind="stable")
    assert (np.diff(day.number[order]) > 0).sum() > 0.98 * len(order)
    assert len(np.unique(day.number)) == len(day.number)
    found = posts.find_post(7, int(day.number[5]), 300.0)
    assert found is not None
    assert found.ids[0] == day.ids[5]
    assert posts.find_post(7, int(day.number[5]), float(day.created[5]) - 0.1) is None


def test_scores_never_fall_and_stop_when_a_post_is_gone() -> None:
    day = posts.posts_of_day(7, 10)
    before = np.zeros(len(day.ids), dtype=np.int64)
    for hours in np.linspace(240.0, 300.0, 7):
        score, comments = posts.scores(day, float(hours))
        assert (score >= before).all()
        assert (comments >= 0).all()
        before = score
    gone = np.isfinite(day.gone_at)
    late = posts.scores(day, 400.0)[0]
    assert (late[gone] == posts.scores(day, 500.0)[0][gone]).all()


def test_what_is_gone_leaves_a_shell_and_then_disappears_from_listings(client: TestClient) -> None:
    day = posts.posts_of_day(7, 10)
    gone = np.flatnonzero(day.gone_at < HOURS)
    shells = [
        listing(client, f"comments/{base36(int(number))}").json()[0]["data"]["children"][0]["data"]
        for number in day.number[gone[:40]]
    ]
    assert {post["removed_by_category"] for post in shells} == {"moderator", "deleted"}
    for post in shells:
        deleted = post["removed_by_category"] == "deleted"
        assert (post["author"] == "[deleted]") == deleted
        mark = "[deleted]" if deleted else "[removed]"
        assert post["selftext"] == (mark if post["is_self"] else "")
        assert post["title"]
    recent = posts.recent(7, int(HOURS * 60))
    assert (recent.gone_at > HOURS - p.REDDIT_GONE_LISTED_H).all()
    assert (recent.gone_at < HOURS).any()


def test_crossposts_repeat_an_earlier_post_of_another_subreddit() -> None:
    day = posts.posts_of_day(7, 10)
    crossed = np.flatnonzero(day.crosspost_of)
    assert 0.02 < len(crossed) / len(day.ids) < 0.06
    place = {int(number): index for index, number in enumerate(day.number)}
    for row in crossed[:50]:
        original = place[int(day.crosspost_of[row])]
        assert day.created[original] < day.created[row]
        assert day.subreddit[original] != day.subreddit[row]
        assert not day.crosspost_of[original]
        assert text("reddit", int(day.wording[row]), int(day.template[row])) == text(
            "reddit", int(day.wording[original]), int(day.template[original])
        )


def test_every_niche_has_somewhere_to_be_talked_about() -> None:
    day = posts.posts_of_day(7, 10)
    niches = social().subreddits
    assert len(set(day.subreddit)) == len(niches)
