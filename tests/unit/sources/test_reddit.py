from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import RateLimitedError, SourceUnavailableError
from ml.sources import reddit
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.http import Fetched
from ml.sources.reddit import RedditSource

from .conftest import KEY, LiveWorld, fetch, world_settings
from .test_youtube import ANY_JSON

SOURCE = RedditSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
# A link as https://www.reddit.com/dev/api#listings and PRAW's list of typical attributes have it
# (https://praw.readthedocs.io/en/stable/code_overview/models/submission.html, read 2026-11).
POST: dict[str, Any] = {
    "id": "15bfi0", "name": "t3_15bfi0", "title": "A title", "author": "spez",
    "subreddit": "technology", "selftext": "", "created_utc": 1356077113.0,
    "permalink": "/r/technology/comments/15bfi0/a_title/", "url": "https://a.example/",
    "score": 111, "ups": 111, "downs": 0, "upvote_ratio": 0.93, "num_comments": 7,
    "over_18": False, "hide_score": False, "removed_by_category": None, "is_self": False,
    "edited": False, "stickied": False,
}  # fmt: skip
REQUEST = "GET https://oauth.reddit.com/r/technology/hot?limit=100&raw_json=1#rank=101"


def page(*children: Any, request: str = REQUEST) -> Page:
    listing = {"kind": "Listing", "data": {"after": None, "children": list(children)}}
    return Page("hot", "ZZ", 0, json.dumps(listing).encode(), request, NOON)


def parse(**changes: Any) -> list[Record | Rejected]:
    return list(SOURCE.parse(page({"kind": "t3", "data": {**POST, **changes}})))


def payloads(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    post, snapshot = parse(**changes)
    assert isinstance(post, Record)
    assert isinstance(snapshot, Record)
    return post.values["payload"], snapshot.values["payload"]


def rows(source: RedditSource, pages: list[Page]) -> list[Record | Rejected]:
    return [row for one in pages for row in source.parse(one)]


def settings(world: LiveWorld, *subreddits: str) -> Any:
    return world_settings(world.url, reddit_subreddits=subreddits or ("technology", "gaming"))


def test_every_listing_gives_posts_and_snapshots(world: LiveWorld, day: Interval) -> None:
    source = RedditSource(settings(world))
    pages = fetch(source, day)
    found = rows(source, pages)
    records = [row.values for row in found if isinstance(row, Record)]
    snapshots = [v for v in records if v["kind"] == "snapshot"]
    assert len(records) == len(found) == 2 * len(snapshots)
    assert [one.number for one in pages] == list(range(len(pages)))
    for name in ("technology/hot", "technology/rising", "gaming/hot", "gaming/new"):
        ranks = [v["payload"]["rank"] for v in snapshots if v["payload"]["listing"] == name]
        assert ranks == list(range(1, len(ranks) + 1))
        assert ranks
    assert {v["event_at"] for v in snapshots} == {day.end}
    assert all(v["event_at"] <= v["available_at"] == day.end for v in records)
    posts = [v["payload"] for v in records if v["kind"] == "post"]
    assert {post["subreddit"] for post in posts} == {"technology", "gaming"}
    assert all(post["title"] and post["permalink"] for post in posts)


def test_new_posts_are_read_back_to_the_start_of_the_interval(
    world: LiveWorld, day: Interval
) -> None:
    hour = Interval(day.end - timedelta(hours=2), day.end)
    source = RedditSource(settings(world, "popular"), pages={"new": 9})
    pages = fetch(source, hour)
    times = [
        row.values["event_at"]
        for row in rows(source, pages)
        if isinstance(row, Record) and row.values["kind"] == "post"
    ]
    assert times == sorted(times, reverse=True)
    assert times[-1] < hour.start <= times[-101]
    assert 1 < len(pages) < 9


def test_same_interval_gives_the_same_pages(world: LiveWorld, day: Interval) -> None:
    source = RedditSource(settings(world), pages={"hot": 2})
    assert fetch(source, day) == fetch(source, day)


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = RedditSource(settings(world), pages={"hot": 1, "new": 1})
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=2;p=0.5, 503;times=1;p=0.3")
    assert fetch(source, day) == clean


def test_malformed_posts_become_dead_letters(world: LiveWorld, day: Interval) -> None:
    source = RedditSource(settings(world, "gaming"), pages={"hot": 1})
    world.set_faults("malformed;rows=5;path=/r/")
    found = rows(source, fetch(source, day))
    assert sum(isinstance(row, Rejected) for row in found) == 5
    assert sum(isinstance(row, Record) for row in found) == 2 * 95


def test_a_refused_subreddit_costs_its_own_posts_only(world: LiveWorld, day: Interval) -> None:
    source = RedditSource(settings(world, "there_is_none", "gaming"), pages={"hot": 1})
    found = rows(source, fetch(source, day))
    (refused,) = [row for row in found if isinstance(row, Rejected)]
    assert "there_is_none" in refused.payload
    assert "REDDIT_SUBREDDITS" in refused.reason
    assert sum(isinstance(row, Record) for row in found) == 200


def test_when_all_are_refused_so_is_the_fetch(world: LiveWorld, day: Interval) -> None:
    with pytest.raises(SourceUnavailableError, match="REDDIT_SUBREDDITS"):
        fetch(RedditSource(settings(world, "there_is_none", "nor_this")), day)


def test_refused_credentials_name_the_variables_and_no_secret(
    world: LiveWorld, day: Interval
) -> None:
    world.set_faults("401;path=access_token")
    with pytest.raises(SourceUnavailableError, match="REDDIT_CLIENT_ID") as caught:
        fetch(RedditSource(settings(world)), day)
    assert KEY not in str(caught.value)


def test_an_error_with_status_200_is_a_refusal(
    world: LiveWorld, day: Interval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ml.world.providers.reddit_api._token", lambda *_: {"error": "invalid_grant"}
    )
    with pytest.raises(SourceUnavailableError, match="REDDIT_CLIENT_SECRET"):
        fetch(RedditSource(settings(world)), day)


def test_without_credentials_the_variables_are_named() -> None:
    state = RedditSource(world_settings("", world_url=None)).availability()
    assert not state.available
    assert state.reason == "set REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET"
    nothing = RedditSource(world_settings("http://127.0.0.1:1", reddit_subreddits=()))
    assert "REDDIT_SUBREDDITS" in nothing.availability().reason


def test_pages_hold_no_secret(world: LiveWorld, day: Interval) -> None:
    for one in fetch(RedditSource(settings(world), pages={"hot": 1}), day):
        assert KEY not in one.request
        assert KEY.encode() not in one.body
        assert b"access_token" not in one.body


def fetched(left: str, reset: str) -> Fetched:
    headers = {"x-ratelimit-remaining": left, "x-ratelimit-reset": reset}
    return Fetched("GET http://x", b"{}", {}, False, NOON, headers)


def test_an_empty_window_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("ml.sources.reddit.time.sleep", slept.append)
    for left, reset in (("2.0", "300"), ("0.0", "7"), ("1.0", "300"), ("soon", "x")):
        reddit._heed(fetched(left, reset))
    assert slept == [7.0]
    with pytest.raises(RateLimitedError) as caught:
        reddit._heed(fetched("0.0", "300"))
    assert caught.value.retry_after_s == 300.0


def test_documented_post_parses() -> None:
    post, snapshot = parse()
    assert isinstance(post, Record)
    assert isinstance(snapshot, Record)
    assert post.values["record_id"] == snapshot.values["record_id"] == "15bfi0"
    assert post.values["event_at"] == datetime(2012, 12, 21, 8, 5, 13, tzinfo=UTC)
    assert post.values["payload"] == {
        "title": "A title", "url": "https://a.example/", "author": "spez", "text": None,
        "subreddit": "technology", "permalink": "/r/technology/comments/15bfi0/a_title/",
        "nsfw": False, "removed": None, "crosspost_of": None,
    }  # fmt: skip
    assert snapshot.values["event_at"] == NOON
    assert snapshot.values["payload"] == {
        "rank": 101, "listing": "technology/hot", "upvotes": 111, "upvote_ratio": 0.93,
        "comments": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "removed", "author", "text"),
    [
        ({"removed_by_category": "moderator", "selftext": "[removed]"}, "moderator", "spez", None),
        ({"author": "[deleted]", "selftext": "[deleted]"}, "deleted", None, None),
        ({"author": "[deleted]", "selftext": "still here"}, "deleted", None, "still here"),
        ({"selftext": "[removed]"}, "removed", "spez", None),
        ({"author": None}, None, None, None),
    ],
)
def test_what_is_gone_is_said_and_not_kept(
    changes: dict[str, Any], removed: str | None, author: str | None, text: str | None
) -> None:
    post, _ = payloads(**changes)
    assert (post["removed"], post["author"], post["text"]) == (removed, author, text)


def test_hidden_scores_nsfw_and_crossposts() -> None:
    post, snapshot = payloads(hide_score=True, over_18=True, crosspost_parent="t3_abc")
    assert snapshot["upvotes"] is None
    assert snapshot["comments"] == 7
    assert post["nsfw"] is True
    assert post["crosspost_of"] == "abc"


@pytest.mark.parametrize(
    "changes",
    [{"id": None}, {"title": ""}, {"created_utc": None}, {"created_utc": 1.5},
     {"created_utc": "yesterday"}, {"score": "many"}, {"upvote_ratio": 1.01},
     {"upvote_ratio": True}, {"subreddit": None}, {"num_comments": -1}, {"over_18": "no"}],
)  # fmt: skip
def test_wrong_fields_are_refused(changes: dict[str, Any]) -> None:
    (row,) = parse(**changes)
    assert isinstance(row, Rejected)
    assert next(iter(changes)) in row.reason


def test_other_things_in_a_listing_are_refused() -> None:
    (row,) = SOURCE.parse(page({"kind": "t1", "data": POST}))
    assert isinstance(row, Rejected)
    assert "t1" in row.reason


# NaN and Infinity are no JSON: they reject a page as a whole.
FINITE = ANY_JSON.filter(lambda value: not re.search("NaN|Infinity", json.dumps(value)))
CHILDREN = st.dictionaries(st.sampled_from(sorted(POST)), FINITE, max_size=3).map(
    lambda changes: {"kind": "t3", "data": {**POST, **changes}}
)


@given(st.lists(CHILDREN | FINITE, max_size=4), st.text(max_size=40))
def test_parser_accounts_for_every_post_and_never_raises(children: list[Any], end: str) -> None:
    body = json.dumps({"data": {"children": children}})
    one = Page("hot", "ZZ", 0, body.encode("utf-8", "backslashreplace"), REQUEST + end, NOON)
    found = list(SOURCE.parse(one))
    snapshots = [r for r in found if isinstance(r, Record) and r.values["kind"] == "snapshot"]
    rejected = [r for r in found if isinstance(r, Rejected)]
    assert len(snapshots) + len(rejected) == len(children)


@given(
    st.sampled_from(["hot", "refused"]),
    st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode()),
)
def test_parser_never_raises_on_any_body(stream: str, body: bytes) -> None:
    for row in SOURCE.parse(Page(stream, "ZZ", 0, body, "GET http://x", NOON)):
        assert isinstance(row, Rejected)
