"""PRAW, unmodified, against the world's Reddit.

Only its own configuration is used: `reddit_url`, `oauth_url` (with a slash at its end, because PRAW
joins paths to it as a browser would) and a session that names the moment and ignores proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import praw
import prawcore
import pytest
import requests

KEY = "wire-key"
NOW = "2026-01-12T00:00:00Z"


def connect(url: str, secret: str = KEY, **headers: str) -> praw.Reddit:
    session = requests.Session()
    session.trust_env = False
    session.headers.update({"X-World-Now": NOW, **headers})
    return praw.Reddit(
        client_id=KEY,
        client_secret=secret,
        user_agent="python:ytempire.tests:v1 (by /u/nobody)",
        reddit_url=f"{url}/www.reddit.com",
        oauth_url=f"{url}/oauth.reddit.com/",
        requestor_kwargs={"session": session},
        check_for_updates=False,
    )


@pytest.fixture
def url(live_world: Callable[..., str]) -> Iterator[str]:
    return live_world()


def test_hot_posts_over_two_pages(url: str) -> None:
    reddit = connect(url)
    found = list(reddit.subreddit("popular").hot(limit=150))
    assert len({post.id for post in found}) == 150
    assert all(post.fullname == f"t3_{post.id}" for post in found)
    assert reddit.auth.limits["used"] == 2
    assert len({post.subreddit.display_name for post in found}) > 5
    assert [post.id for post in reddit.subreddit("popular").hot(limit=3)] == [
        post.id for post in found[:3]
    ]


def test_fields_of_a_submission(url: str) -> None:
    reddit = connect(url)
    listed = next(reddit.subreddit("technology").hot(limit=1))
    assert listed.subreddit == "technology"
    assert listed.title
    assert listed.author.name.startswith("user_")
    assert listed.score > 0
    assert 0.5 <= listed.upvote_ratio <= 1
    assert listed.num_comments >= 0
    assert listed.permalink.startswith("/r/technology/comments/")
    assert datetime.fromtimestamp(listed.created_utc, UTC) < datetime.fromisoformat(NOW)
    fetched = reddit.submission(listed.id)
    assert (fetched.title, fetched.score) == (listed.title, listed.score)
    assert list(fetched.comments) == []


def test_new_posts_come_newest_first(url: str) -> None:
    found = list(connect(url).subreddit("gaming+videos").new(limit=40))
    times = [post.created_utc for post in found]
    assert times == sorted(times, reverse=True)
    assert {post.subreddit.display_name for post in found} == {"gaming", "videos"}


def test_listing_ends(url: str) -> None:
    found = list(connect(url).subreddit("technology").new(limit=None))
    assert 100 < len(found) == len({post.id for post in found}) < 1000


def test_wrong_secret_is_refused(url: str) -> None:
    with pytest.raises(prawcore.exceptions.ResponseException, match="401"):
        next(connect(url, secret="wrong").subreddit("popular").hot(limit=1))


def test_unknown_subreddit_is_a_redirect_to_the_search(url: str) -> None:
    with pytest.raises(prawcore.exceptions.Redirect):
        next(connect(url).subreddit("there_is_no_such_thing").hot(limit=1))


def test_unknown_submission_is_not_found(url: str) -> None:
    with pytest.raises(prawcore.exceptions.NotFound):
        _ = connect(url).submission("zzzzzz").title


def test_failures_are_understood(url: str) -> None:
    passing = connect(url, **{"X-World-Faults": "503;times=1;path=/r/"})
    assert next(passing.subreddit("popular").hot(limit=1)).title
    with pytest.raises(prawcore.exceptions.TooManyRequests):
        next(connect(url, **{"X-World-Faults": "429;path=/r/"}).subreddit("popular").hot(limit=1))
