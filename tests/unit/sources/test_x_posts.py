"""Lines of X's filtered stream as rows.

Shapes: https://docs.x.com/x-api/posts/filtered-stream/quickstart,
https://docs.x.com/x-api/posts/filtered-stream/integrate/matching-returned-tweets and
https://docs.x.com/x-api/fundamentals/metrics (read 2026-11).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.settings import Settings
from ml.sources.base import Page, Record, Rejected
from ml.sources.catalog import all_sources, family, get_source, list_sources
from ml.sources.x_posts import XPostsSource

from .conftest import world_settings
from .test_youtube import ANY_JSON

SOURCE = XPostsSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, tzinfo=UTC)
POST: dict[str, Any] = {
    "data": {
        "author_id": "2244994945",
        "created_at": "2026-01-11T11:59:58.000Z",
        "edit_history_tweet_ids": ["1494687086603911170"],
        "id": "1494687086603911170",
        "lang": "en",
        "public_metrics": {
            "retweet_count": 7, "reply_count": 3, "like_count": 38, "quote_count": 1,
            "bookmark_count": 0, "impression_count": 1204,
        },
        "text": "Cats\u2028with images",
    },
    "includes": {"users": [{"id": "2244994945", "name": "X Dev", "username": "XDevelopers"}]},
    "matching_rules": [
        {"id": "1494682653400776704", "tag": "cats"},
        {"id": "1494682653400776705", "tag": "AI"},
        {"id": "1494682653400776706", "tag": ""},
    ],
}  # fmt: skip


def parse(*lines: bytes) -> list[Record | Rejected]:
    body = b"\r\n".join(lines)
    request = "GET https://api.x.com/2/tweets/search/stream?tweet.fields=lang"
    return list(SOURCE.parse(Page("posts", "ZZ", 0, body, request, NOON)))


def line(**changes: object) -> bytes:
    return json.dumps({**POST, **changes}, ensure_ascii=False).encode()


def post(**changes: object) -> bytes:
    return line(data={**POST["data"], **changes})


def test_a_post_of_the_documentation_is_a_row() -> None:
    (row,) = parse(line())
    assert isinstance(row, Record)
    assert row.values == {
        "kind": "post",
        "record_id": "1494687086603911170",
        "region": "ZZ",
        "event_at": datetime(2026, 1, 11, 11, 59, 58, tzinfo=UTC),
        "available_at": NOON,
        "payload": {
            "text": "Cats\u2028with images", "author": "2244994945", "language": "en",
            "queries": ["AI", "cats"], "likes": 38, "reposts": 7, "comments": 3, "quotes": 1,
            "bookmarks": 0, "views": 1204,
        },
    }  # fmt: skip


def test_blank_lines_say_nothing_and_what_was_not_asked_for_is_unknown() -> None:
    few = {name: POST["data"][name] for name in ("id", "text", "created_at")}
    (row,) = parse(b"", line(data=few, matching_rules=[]), b"", b"\r")
    assert isinstance(row, Record)
    known = {name: value for name, value in row.values["payload"].items() if value is not None}
    assert known == {"text": "Cats\u2028with images", "queries": []}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"data": {"id":', "not a JSON"),
        (b"[]", "line is not an object"),
        (line(data=None), "data is not an object"),
        (post(id=None), "id is not a text"),
        (post(text=" "), "text is not a text"),
        (post(text="\x00"), "cannot be stored"),
        (post(created_at=None), "created_at is absent"),
        (post(created_at="yesterday"), "created_at is not a time"),
        (post(public_metrics={"like_count": -1}), "like_count is not a count"),
        (line(matching_rules={"tag": "AI"}), "matching_rules is not a list"),
        (line(matching_rules=[{"tag": 7}]), "tag is not a text"),
    ],
)
def test_a_line_that_is_no_post_is_a_dead_letter_beside_the_others(bad: bytes, reason: str) -> None:
    found = parse(line(), bad, post(id="2"))
    assert [isinstance(row, Rejected) for row in found] == [False, True, False]
    letter = found[1]
    assert isinstance(letter, Rejected)
    assert reason in letter.reason
    assert letter.position == 1
    assert letter.payload == bad.decode()


@given(st.lists(st.one_of(ANY_JSON.map(json.dumps), st.just(line().decode())), max_size=5))
def test_every_line_is_a_row_or_a_dead_letter(lines: list[str]) -> None:
    said = [text.encode("utf-8", "surrogatepass") for text in lines]
    assert len(parse(*said)) == len(lines)


@given(st.binary(max_size=200))
def test_any_bytes_are_accounted_for(body: bytes) -> None:
    found = parse(body)
    assert all(isinstance(row, Rejected) for row in found)
    assert len(found) == sum(bool(each.strip()) for each in body.split(b"\n"))


def test_it_is_listed_and_found_and_no_interval_of_it_is_fetched() -> None:
    settings = Settings(x_bearer_token=None, world_url=None)
    (listed,) = [row for row in list_sources(settings) if row["id"] == "x_posts"]
    assert not listed["available"]
    assert "X_BEARER_TOKEN" in listed["reason"]
    assert get_source("x_posts", settings).spec.family == "x"
    assert "x_posts" not in {source.id for source in all_sources(settings)}
    assert "x_posts" not in {source.id for source in family("x", settings)}
    nothing = world_settings("http://127.0.0.1:1", x_queries=())
    assert "X_QUERIES" in XPostsSource(nothing).availability().reason
