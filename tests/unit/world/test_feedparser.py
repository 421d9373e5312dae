"""A client that is not ours reads the feeds by their addresses: feedparser, unmodified.

It goes to the network itself here, over HTTP to the world server on loopback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import feedparser
import pytest

from ml.sources.feed_list import Feed, load_feeds
from ml.world.providers.feeds_api import habits

NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
LATER = {"X-World-Now": "2026-01-12T06:00:00Z"}


@pytest.fixture
def url(live_world: Callable[..., str]) -> str:
    return live_world()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def address(url: str, feed: Feed) -> str:
    parts = urlsplit(feed.url)
    return f"{url}/{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def read(url: str, feed: Feed, headers: dict[str, str] = NOW, **known: Any) -> Any:
    return feedparser.parse(address(url, feed), request_headers=headers, **known)


def feed_of(feed_id: str) -> Feed:
    return next(feed for feed in load_feeds() if feed.id == feed_id)


def complaints(feed: Feed, found: Any) -> list[str]:
    """What a reader would find wrong with a feed, beside its documented habits."""
    habit = habits(feed.id)
    bozo = str(found.get("bozo_exception") or "")
    dated = {dict.get(entry, "published_parsed") is not None for entry in found.entries}
    checks = {
        "status": found.status == 200,
        f"bozo: {bozo}": ("undefined entity" in bozo) if "entity" in habit else not found.bozo,
        "version": found.version == ("atom10" if "atom" in habit else "rss20"),
        "title": found.feed.get("title") == feed.title,
        "encoding": found.encoding.lower() == ("iso-8859-1" if "latin-1" in habit else "utf-8"),
        "entries": len({entry.id for entry in found.entries}) == len(found.entries) == 30,
        "titles": all(entry.title and entry.link == entry.id for entry in found.entries),
        "texts": all(entry.summary.startswith("<p>") for entry in found.entries),
        "authors": all(entry.author.startswith("Reporter ") for entry in found.entries),
        "tags": all(len(entry.tags) == 2 for entry in found.entries),
        "dates": dated == {"undated" not in habit},
    }
    return [name for name, is_right in checks.items() if not is_right]


def test_every_feed_is_read_without_complaint(url: str) -> None:
    found = {feed.id: complaints(feed, read(url, feed)) for feed in load_feeds()}
    assert len(found) >= 45
    assert {feed_id: wrong for feed_id, wrong in found.items() if wrong} == {}


def test_letters_beyond_ascii_arrive_in_each_encoding(url: str) -> None:
    for feed_id, letter in (("feed_folha", "\xe1"), ("feed_asahi", "\u3092"), ("feed_svt", "\xe4")):
        found = read(url, feed_of(feed_id))
        assert any(letter in entry.summary + entry.title for entry in found.entries)


def test_etag_and_date_answer_not_modified_until_something_changes(url: str) -> None:
    feed = feed_of("feed_bbc_world")
    first = read(url, feed)
    assert first.modified == first.feed.updated
    for known in ({"etag": first.etag}, {"modified": first.modified}):
        assert read(url, feed, **known).status == 304
        assert read(url, feed, LATER, **known).status == 200
    other = read(url, feed, etag='"other"', modified=first.modified)
    assert other.status == 200  # the tag decides where both are sent


@pytest.mark.parametrize("feed_id", ["feed_bbc_world", "feed_polygon"])
def test_entries_are_published_and_corrected_in_order(url: str, feed_id: str) -> None:
    found = read(url, feed_of(feed_id), LATER)
    published = [entry.published_parsed for entry in found.entries]
    assert published == sorted(published, reverse=True)
    if feed_id == "feed_polygon":
        late = [e for e in found.entries if e.updated_parsed != e.published_parsed]
        assert late
        assert all(entry.updated_parsed > entry.published_parsed for entry in late)
        assert all("has been corrected" in entry.summary for entry in late)


def test_feed_goes_on_where_it_was(url: str) -> None:
    feed = feed_of("feed_nature")
    before, after = (read(url, feed, headers) for headers in (NOW, LATER))
    ids = [[entry.id for entry in found.entries] for found in (before, after)]
    new = [each for each in ids[1] if each not in ids[0]]
    assert new
    assert ids[1] == new + ids[0][: 30 - len(new)]


def test_trending_feed_is_read_without_complaint(url: str) -> None:
    found = feedparser.parse(f"{url}/trends.google.com/trending/rss?geo=US", request_headers=NOW)
    assert not found.bozo, found.bozo_exception
    assert found.namespaces["ht"] == "https://trends.google.com/trending/rss"
    assert all(entry.ht_approx_traffic.endswith("+") for entry in found.entries)
    assert all(entry.published_parsed for entry in found.entries)
    assert len(found.entries) == 10
