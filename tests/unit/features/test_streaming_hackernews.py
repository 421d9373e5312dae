"""One look at what has changed at Hacker News, over real HTTP against answers of its documentation.

Shapes: https://github.com/HackerNews/API, "Changed Items and Profiles", story and comment (read
2026-11).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pybreaker
import pytest

from ml.exceptions import ProviderError
from ml.settings import Settings
from ml.sources.access import Access, new_breaker
from ml.sources.base import Record, Rejected
from ml.streaming.hackernews import HackerNewsUpdates

STORY = {
    "by": "dhouston", "descendants": 71, "id": 8863, "score": 111, "time": 1175714200,
    "title": "My YC app: Dropbox - Throw away your USB drive", "type": "story",
    "url": "http://www.getdropbox.com/u/2/screencast.html",
}  # fmt: skip
COMMENT = {
    "by": "norvig", "id": 2921983, "kids": [2922097], "parent": 2921506,
    "text": "Aw shucks, guys", "time": 1314211127, "type": "comment",
}  # fmt: skip


class Provider:
    """Answers what it is told to, by path; a number is a status."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        self.url = ""


@pytest.fixture
def provider() -> Iterator[Provider]:
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            value = told.answers.get(self.path.removesuffix(".json").removeprefix("/v0/"))
            is_status = isinstance(value, int)
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(value if is_status else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture
def stream(provider: Provider) -> HackerNewsUpdates:
    settings = Settings(provider_urls={"hacker-news.firebaseio.com": provider.url})
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    access = Access(settings, breaker=lambda host: new_breaker(host, storage))
    return HackerNewsUpdates(settings, access)


def parsed(stream: HackerNewsUpdates) -> list[Record | Rejected]:
    look = stream.look("")
    assert look is not None
    return [row for page in look.pages for row in stream.source.parse(page)]


def test_stories_are_read_with_their_place_and_comments_are_kept_apart(provider, stream):
    provider.answers = {
        "updates": {"items": [8863, 2921983, 8863], "profiles": ["thefox"]},
        "topstories": [9129911, 8863],
        "item/8863": STORY, "item/2921983": COMMENT,
    }  # fmt: skip
    item, snapshot = parsed(stream)
    assert item.values["payload"]["title"] == STORY["title"]
    assert snapshot.values["payload"] == {"rank": 2, "upvotes": 111, "comments": 71}
    assert provider.asked.count("/v0/item/8863.json") == 1
    body = json.loads(stream.look("").pages[0].body)
    assert json.loads(body["updates"]) == provider.answers["updates"]
    assert [json.loads(entry["body"]) for entry in body["others"]] == [COMMENT]


def test_story_below_the_places_that_are_read_has_none(provider, stream):
    provider.answers = {
        "updates": {"items": [8863]}, "topstories": [*range(1, 61), 8863], "item/8863": STORY,
    }  # fmt: skip
    _, snapshot = parsed(stream)
    assert snapshot.values["payload"]["rank"] is None


def test_list_that_was_seen_is_not_read_again(provider, stream):
    provider.answers = {"updates": {"items": []}, "topstories": []}
    look = stream.look("")
    asked = len(provider.asked)
    assert stream.look(look.seen) is None
    assert provider.asked[asked:] == ["/v0/updates.json"]
    provider.answers["updates"] = {"items": [], "profiles": ["pg"]}
    assert stream.look(look.seen) is not None


def test_nothing_on_the_list_is_lost_without_a_word(provider, stream):
    provider.answers = {
        "updates": {"items": [8863, "x", None, 7, 8, 9]}, "topstories": [8863],
        "item/8863": STORY, "item/7": None, "item/9": 503,
        "item/8": {**STORY, "id": 8, "title": None},
    }  # fmt: skip
    rows = parsed(stream)
    assert [row.values["kind"] for row in rows if isinstance(row, Record)] == ["item", "snapshot"]
    letters = {json.loads(row.payload)["id"]: row for row in rows if isinstance(row, Rejected)}
    assert set(letters) == {"x", None, 7, 8, 9}
    assert "HTTP 503" in letters[9].payload
    assert len({row.position for row in letters.values()}) == 5


@pytest.mark.parametrize("broken", [[], {"items": None}, {"items": {"1": 2}}, "text", None])
def test_answer_without_a_list_is_a_failure_of_the_provider(provider, stream, broken):
    provider.answers = {"updates": broken, "topstories": []}
    with pytest.raises(ProviderError, match="retry later"):
        stream.look("")


def test_front_page_without_a_list_is_not_taken_for_an_empty_one(provider, stream):
    provider.answers = {"updates": {"items": [8863]}, "topstories": {}, "item/8863": STORY}
    with pytest.raises(ProviderError, match="topstories"):
        stream.look("")
