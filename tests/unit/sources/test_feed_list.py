from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ml.exceptions import ConfigurationError
from ml.settings import Settings
from ml.sources.catalog import all_sources, get_source
from ml.sources.feed_list import load_feeds
from ml.sources.feeds import feed_sources

ENTRY = """
- id: feed_one
  url: https://one.example/rss.xml
  title: One
  language: en
  region: GB
  category: news
  homepage: https://one.example
  found_at: https://lists.example/feeds
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "feeds.yaml"
    path.write_text(text, "utf-8")
    return path


def test_shipped_list_is_broad_and_claims_no_check() -> None:
    feeds = load_feeds()
    assert len(feeds) >= 45
    assert all(feed.verified_at is None for feed in feeds)
    assert len({feed.language for feed in feeds}) >= 10
    assert len({feed.region for feed in feeds}) >= 15
    assert min(Counter(feed.category for feed in feeds).values()) >= 3
    assert all(feed.found_at != feed.url for feed in feeds)


def test_every_feed_is_a_source_and_there_are_more_than_fifty() -> None:
    ids = [source.id for source in all_sources(Settings())]
    assert len(ids) == len(set(ids)) > 50
    assert {feed.id for feed in load_feeds()} <= set(ids)
    source = get_source("feed_bbc_world", Settings())
    assert source.spec.family == "feeds"
    assert source.availability().available


def test_another_list_takes_the_place_of_ours(tmp_path: Path) -> None:
    settings = Settings(feeds_file=write(tmp_path, ENTRY))
    assert [source.id for source in feed_sources(settings)] == ["feed_one"]


def test_changed_list_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY)
    assert len(load_feeds(path)) == 1
    path.write_text(ENTRY + ENTRY.replace("one", "two"), "utf-8")
    assert [feed.id for feed in load_feeds(path)] == ["feed_one", "feed_two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.replace("https://one.example/rss.xml", "one"), r"entry 1 \(feed_one\): url: .*http"),
        (ENTRY.replace("  title: One\n", ""), r"entry 1 \(feed_one\): title: Field required"),
        (ENTRY.replace("news", "gossip"), r"entry 1 \(feed_one\): category: "),
        (ENTRY.replace("feed_one", "One Feed"), r"entry 1 \(One Feed\): id: "),
        (ENTRY.replace("GB", "uk"), r"entry 1 \(feed_one\): region: "),
        (ENTRY.replace("language: en", "language: english"), r"\(feed_one\): language: "),
        (ENTRY + "  colour: red\n", r"entry 1 \(feed_one\): colour: "),
        (ENTRY + "- 5\n", "entry 2: "),
        (ENTRY + ENTRY, "id feed_one is there 2 times; url .* is there 2 times"),
        ("a: [", "is not YAML: "),
        ("a: b", "must be a list of feeds"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_feeds(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_missing_list_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="YTEMPIRE_FEEDS"):
        load_feeds(tmp_path / "none.yaml")
