"""What the world's X answers, against the documentation that `x_api` and `x_stream` name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import x_posts
from ml.world.providers.x_query import QueryError, parse, read_text
from ml.world.server import create_app

KEY = "wire-key"
X = "/api.x.com/2"
AUTH = {"Authorization": f"Bearer {KEY}"}
NOW = {**AUTH, "X-World-Now": "2026-01-12T00:00:00Z"}
RULES = f"{X}/tweets/search/stream/rules"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr(KEY), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings)) as test_client:
        yield test_client


def counts(client: TestClient, **params: str) -> Response:
    return client.get(f"{X}/tweets/counts/recent", params={"query": "AI", **params}, headers=NOW)


def trends(client: TestClient, woeid: object = 1, **params: str) -> Response:
    return client.get(f"{X}/trends/by/woeid/{woeid}", params=params, headers=NOW)


def test_counts_have_the_documented_shape(client: TestClient) -> None:
    body = counts(client, start_time="2026-01-11T20:00:00Z", end_time="2026-01-11T23:00:00Z").json()
    assert [bucket["start"] for bucket in body["data"]] == [
        "2026-01-11T20:00:00.000Z", "2026-01-11T21:00:00.000Z", "2026-01-11T22:00:00.000Z",
    ]  # fmt: skip
    assert body["data"][-1]["end"] == "2026-01-11T23:00:00.000Z"
    assert body["meta"] == {"total_tweet_count": sum(b["tweet_count"] for b in body["data"])}
    assert body["meta"]["total_tweet_count"] > 0


def test_seven_days_come_in_one_page_by_default(client: TestClient) -> None:
    body = counts(client).json()
    assert len(body["data"]) == 168
    assert body["data"][0]["start"] == "2026-01-05T00:00:00.000Z"
    assert body["data"][-1]["end"] == "2026-01-11T23:59:30.000Z"
    assert "next_token" not in body["meta"]


def test_buckets_are_cut_where_the_asked_time_is(client: TestClient) -> None:
    body = counts(
        client, start_time="2026-01-11T20:30:00Z", end_time="2026-01-11T22:15:00Z"
    ).json()["data"]
    assert [(b["start"][11:16], b["end"][11:16]) for b in body] == [
        ("20:30", "21:00"), ("21:00", "22:00"), ("22:00", "22:15"),
    ]  # fmt: skip


def test_granularities_agree(client: TestClient) -> None:
    span = {"start_time": "2026-01-10T00:00:00Z", "end_time": "2026-01-11T00:00:00Z"}
    totals = {
        name: counts(client, granularity=name, **span).json()["meta"]["total_tweet_count"]
        for name in ("minute", "hour", "day")
    }
    assert len(set(totals.values())) == 1


def test_a_narrower_query_counts_no_more(client: TestClient) -> None:
    def total(query: str) -> int:
        return int(counts(client, query=query).json()["meta"]["total_tweet_count"])

    assert 0 < total("gaming -is:retweet") < total("gaming") < total("gaming OR football")
    assert total("gaming lang:en") == total("gaming")
    assert total("gaming lang:de") == 0


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"query": ""}, "query"),
        ({"query": "x" * 513}, "query"),
        ({"query": "(AI"}, "query"),
        ({"query": "is:retweet"}, "query"),
        ({"query": "AI nonsense:here"}, "query"),
        ({"start_time": "2026-01-04T23:59:00Z"}, "start_time"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"end_time": "2026-01-11T23:59:51Z"}, "end_time"),
        ({"start_time": "2026-01-11T10:00:00Z", "end_time": "2026-01-11T10:00:00Z"}, "start_time"),
        ({"granularity": "week"}, "granularity"),
        ({"next_token": "abc"}, "next_token"),
        ({"search_count.fields": "start,likes"}, "search_count.fields"),
        ({"nonsense": "1"}, "nonsense"),
    ],
)
def test_refused_parameters_have_xs_shape(
    client: TestClient, params: dict[str, str], name: str
) -> None:
    answer = counts(client, **params)
    body = answer.json()
    assert answer.status_code == 400
    assert (body["title"], body["type"]) == (
        "Invalid Request", "https://api.x.com/2/problems/invalid-request",
    )  # fmt: skip
    assert list(body["errors"][0]["parameters"]) == [name]


def test_credentials_and_failures_have_xs_shape(client: TestClient) -> None:
    url = f"{X}/trends/by/woeid/1"
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = client.get(url, headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {
            "title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized",
        }  # fmt: skip
    limited = client.get(url, headers={**NOW, "X-World-Faults": "429;retry_after=30"})
    assert (limited.status_code, limited.json()["status"]) == (429, 429)
    assert limited.headers["x-rate-limit-remaining"] == "0"
    assert 25 <= int(limited.headers["x-rate-limit-reset"]) - time.time() <= 31
    assert "Retry-After" not in limited.headers
    assert client.get(url, headers={**NOW, "X-World-Faults": "503"}).status_code == 503


def test_75_trend_requests_in_fifteen_minutes(client: TestClient) -> None:
    left = [trends(client).headers["x-rate-limit-remaining"] for _ in range(75)]
    assert left == [str(number) for number in range(74, -1, -1)]
    assert trends(client).status_code == 429
    assert counts(client).status_code == 200
    later = {**NOW, "X-World-Now": "2026-01-12T00:15:00Z"}
    assert client.get(f"{X}/trends/by/woeid/1", headers=later).status_code == 200


def test_trends_have_the_documented_shape(client: TestClient) -> None:
    assert len(trends(client).json()["data"]) == 20
    named = trends(client, max_trends="50").json()["data"]
    assert all(set(trend) == {"trend_name"} for trend in named)
    both = trends(client, max_trends="50", **{"trend.fields": "trend_name,tweet_count"}).json()
    names = [trend["trend_name"] for trend in both["data"]]
    assert names == [trend["trend_name"] for trend in named]
    assert len(set(names)) == len(names) == 50
    assert any("tweet_count" in trend for trend in both["data"])
    assert any("tweet_count" not in trend for trend in both["data"])


def test_places_differ_and_unknown_ones_are_a_partial_error(client: TestClient) -> None:
    world, states = (trends(client, place).json()["data"] for place in (1, 23424977))
    assert [t["trend_name"] for t in world] != [t["trend_name"] for t in states]
    unknown = trends(client, 4711)
    assert unknown.status_code == 200
    assert unknown.json()["errors"][0]["type"].endswith("/resource-not-found")
    assert "data" not in unknown.json()
    assert trends(client, "here").status_code == 400
    assert trends(client, max_trends="51").status_code == 400


def test_counts_are_those_of_the_posts() -> None:
    edges = np.arange(240.0, 265.0)
    found = x_posts.counts(7, "#gaming", edges, known=1000.0)
    posts = x_posts.between(7, 240.0, 264.0)
    texts = [
        x_posts.post_text(int(w), int(t))
        for w, t in zip(posts.wording, posts.template, strict=True)
    ]
    assert found.sum() == sum("#gaming" in text.lower().split() for text in texts)
    assert x_posts.counts(7, "#gaming", edges, known=250.0)[10:].sum() == 0


def test_ids_hold_the_time_of_their_post() -> None:
    posts = x_posts.posts_of_hour(7, 250)
    times = [x_posts.time_of(int(number)) for number in posts.number]
    assert np.allclose(times, posts.created, atol=1e-5)
    assert len(np.unique(posts.number)) == len(posts.number)


TEXT = read_text("Just saw the Elden Ring boss fight. Wow. #gaming #AI", is_repost=False)


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("ring", True),
        ("RING wow", True),
        ("ring missing", False),
        ("missing OR ring", True),
        ("missing OR ring wow", True),
        ("(missing OR ring) saw", True),
        ('"boss fight"', True),
        ('"fight boss"', False),
        ("bos", False),
        ("#gaming", True),
        ("#game", False),
        ("gaming", True),
        ("ring -wow", False),
        ("ring -missing", True),
        ("ring -#gaming", False),
        ("ring is:retweet", False),
        ("ring has:hashtags -has:links", True),
    ],
)
def test_queries(query: str, matches: bool) -> None:
    assert parse(query)(TEXT) == matches


@pytest.mark.parametrize(
    "query",
    ["", "(", ")", "a OR", "OR a", "(a", "a)", "-a", "-a -b", "is:retweet", "a OR lang:en",
     "-(a b)", '"a', "#a has:wings", "...", "a ()"],
)  # fmt: skip
def test_refused_queries(query: str) -> None:
    with pytest.raises(QueryError):
        parse(query)


# --- The stream ----------------------------------------------------------------------------------


def add_rules(client: TestClient | httpx.Client, *rules: dict[str, str], **params: str) -> Response:
    return client.post(RULES, json={"add": list(rules)}, params=params, headers=AUTH)


def test_rules_are_added_listed_and_deleted(client: TestClient) -> None:
    added = add_rules(
        client, {"value": "gaming", "tag": "games"}, {"value": "gaming"}, {"value": "is:retweet"}
    )
    assert added.status_code == 201
    body = added.json()
    assert body["meta"]["summary"] == {"created": 1, "not_created": 2, "valid": 2, "invalid": 1}
    kinds = [error["type"].rpartition("/")[2] for error in body["errors"]]
    assert kinds == ["duplicate-rules", "invalid-rules"]
    listed = client.get(RULES, headers=AUTH).json()
    assert listed["data"] == body["data"]
    assert listed["meta"]["result_count"] == 1
    gone = client.post(RULES, json={"delete": {"ids": [body["data"][0]["id"]]}}, headers=AUTH)
    assert (gone.status_code, gone.json()["meta"]["summary"]["deleted"]) == (200, 1)
    assert "data" not in client.get(RULES, headers=AUTH).json()


def test_a_dry_run_and_a_wrong_body_add_nothing(client: TestClient) -> None:
    assert add_rules(client, {"value": "gaming"}, dry_run="true").status_code == 201
    assert client.post(RULES, json=["gaming"], headers=AUTH).status_code == 400
    assert client.post(RULES, content=b"{", headers=AUTH).status_code == 400
    assert "data" not in client.get(RULES, headers=AUTH).json()


def test_the_stream_wants_a_rule_and_known_parameters(client: TestClient) -> None:
    url = f"{X}/tweets/search/stream"
    refused = client.get(url, headers=AUTH)
    assert refused.status_code == 409
    assert refused.json()["connection_issue"] == "RuleConfigurationIssue"
    add_rules(client, {"value": "gaming"})
    for params in ({"backfill_minutes": "6"}, {"tweet.fields": "mood"}, {"nonsense": "1"}):
        assert client.get(url, params=params, headers=AUTH).status_code == 400
    assert client.get(url).status_code == 401


@contextmanager
def stream(
    url: str, headers: dict[str, str] | None = None, **params: str
) -> Iterator[Iterator[str]]:
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
        http.stream(
            "GET", f"{X}/tweets/search/stream", params=params, headers={**AUTH, **(headers or {})}
        ) as answer,
    ):
        assert answer.status_code == 200
        yield answer.iter_lines()


@pytest.fixture
def url(live_world: Callable[..., str]) -> str:
    """A world that runs an hour in three seconds, with two rules."""
    url = live_world(world_speed=1200.0, world_start=datetime(2026, 1, 10, 12, tzinfo=UTC))
    with httpx.Client(base_url=url, trust_env=False) as http:
        add_rules(http, {"value": "gaming", "tag": "games"}, {"value": "Factorio OR tennis"})
    return url


def take(lines: Iterator[str], count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in lines:
        if line:
            found.append(json.loads(line))
        if len(found) == count:
            break
    return found


def test_the_stream_sends_the_matching_posts_as_they_are_made(url: str) -> None:
    fields = {"tweet.fields": "created_at,author_id,lang", "expansions": "author_id"}
    with stream(url, **fields) as lines:
        found = take(lines, 150)
    times = [datetime.fromisoformat(post["data"]["created_at"]) for post in found]
    assert times == sorted(times)
    assert times[-1] - times[0] > timedelta(minutes=10)
    assert len({post["data"]["id"] for post in found}) == 150
    for post in found:
        assert set(post) == {"data", "includes", "matching_rules"}
        assert post["data"]["edit_history_tweet_ids"] == [post["data"]["id"]]
        assert post["includes"]["users"][0]["id"] == post["data"]["author_id"]
        words = post["data"]["text"].lower()
        assert any(word in words for word in ("gaming", "factorio", "tennis"))
        assert all(("gaming" in words) == (r["tag"] == "games") or len(post["matching_rules"]) == 2
                   for r in post["matching_rules"])  # fmt: skip


def test_backfill_and_a_named_moment_give_the_posts_that_counts_count(url: str) -> None:
    now = {"X-World-Now": "2026-01-12T20:05:00Z"}
    with stream(url, now, backfill_minutes="5", **{"tweet.fields": "created_at"}) as lines:
        found = take(lines, 60)
    start = datetime(2026, 1, 12, 20, tzinfo=UTC)
    times = [datetime.fromisoformat(post["data"]["created_at"]) for post in found]
    assert start <= times[0] < start + timedelta(minutes=2)
    sent = [post for post, t in zip(found, times, strict=True) if t < start + timedelta(minutes=5)]
    hours = 11 * 24 + 20.0
    query = "gaming OR Factorio OR tennis"
    expected = x_posts.counts(7, query, np.array([hours, hours + 5 / 60]), known=1000.0)
    assert len(sent) == expected[0]


def test_fields_are_few_unless_asked_for(url: str) -> None:
    with stream(url) as lines:
        (post,) = take(lines, 1)
    assert set(post["data"]) == {"edit_history_tweet_ids", "id", "text"}
    assert "includes" not in post


def test_a_second_connection_is_refused_until_the_first_has_ended(url: str) -> None:
    # The body as users of X report it: https://github.com/tweepy/tweepy/issues/1962 (2026-11).
    path = f"{url}{X}/tweets/search/stream"
    with stream(url) as lines:
        take(lines, 1)
        refused = httpx.get(path, headers=AUTH, trust_env=False)
        assert refused.status_code == 429
        assert refused.json() == {
            "title": "ConnectionException",
            "detail": "This stream is currently at the maximum allowed connection limit.",
            "connection_issue": "TooManyConnections",
            "type": "https://api.x.com/2/problems/streaming-connection",
        }
        assert int(refused.headers["x-rate-limit-remaining"]) > 0
        assert len(take(lines, 3)) == 3
    deadline = time.monotonic() + 5
    while True:
        with httpx.stream("GET", path, headers=AUTH, trust_env=False) as answer:
            if answer.status_code == 200:
                break
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_rules_change_while_connected(url: str) -> None:
    with stream(url) as lines, httpx.Client(base_url=url, trust_env=False) as http:
        take(lines, 1)
        add_rules(http, {"value": "the", "tag": "all"})
        found = take(lines, 300)
    assert any(rule["tag"] == "all" for post in found for rule in post["matching_rules"])


def test_faults_strike_the_stream(url: str) -> None:
    with (
        stream(url, {"X-World-Faults": "truncate"}) as lines,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        list(lines)
    past = {"X-World-Now": "2026-01-12T20:05:00Z", "X-World-Faults": "malformed;rows=2, duplicate"}
    with stream(url, past, backfill_minutes="5") as lines:
        found = [next(lines) for _ in range(60)]
    assert len(set(found)) < len(found)
    assert not all('"matching_rules":[{"id":' in line and '"text":"' in line for line in found)


def test_keep_alive_is_a_blank_line(
    client: TestClient, live_world: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.world.providers.x_stream._KEEP_ALIVE_S", 0.2)
    url = live_world()
    with httpx.Client(base_url=url, trust_env=False) as http:
        add_rules(http, {"value": "nobody says this"})
    with stream(url) as lines:
        assert next(lines) == ""
