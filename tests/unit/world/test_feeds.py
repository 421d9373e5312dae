"""The world's feeds on the wire, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.sources.feed_list import load_feeds
from ml.world import feed_entries
from ml.world import parameters as p
from ml.world.providers.feeds_api import habits
from ml.world.server import create_app
from ml.world.vocabulary import vocabulary

SEED = 7
BBC = "/feeds.bbci.co.uk/news/world/rss.xml"
POLYGON = "/www.polygon.com/rss/index.xml"
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(build(tmp_path)) as test_client:
        yield test_client


def build(state: Path, **changes: object) -> object:
    values = {"world_key": SecretStr("k"), "state_dir": state, "world_faults": ""} | changes
    return create_app(Settings(**values))


def xml(body: bytes) -> ET.Element:
    return ET.fromstring(body)  # noqa: S314 - the world's own document


def get(client: TestClient, path: str, **headers: str) -> Response:
    return client.get(path, headers={**NOW, **{k.replace("_", "-"): v for k, v in headers.items()}})


def test_rss_has_the_elements_of_the_specification(client: TestClient) -> None:
    answer = get(client, BBC)
    assert answer.headers["Content-Type"] == "application/rss+xml; charset=UTF-8"
    root = xml(answer.content)
    assert (root.tag, root.get("version")) == ("rss", "2.0")
    channel = root.find("channel")
    assert channel is not None
    assert all(channel.findtext(name) for name in ("title", "link", "description", "language"))
    items = channel.findall("item")
    assert len(items) == p.FEED_LENGTH
    for item in items:
        names = {child.tag for child in item}
        assert {"title", "link", "description", "guid", "pubDate", "category"} <= names


def test_atom_has_the_elements_of_the_specification(client: TestClient) -> None:
    answer = get(client, POLYGON)
    assert answer.headers["Content-Type"] == "application/atom+xml; charset=UTF-8"
    root = xml(answer.content)
    assert root.tag == f"{ATOM}feed"
    assert all(root.findtext(f"{ATOM}{name}") for name in ("id", "title", "updated"))
    for entry in root.findall(f"{ATOM}entry"):
        assert all(entry.findtext(f"{ATOM}{name}") for name in ("id", "title", "updated"))
        assert entry.findtext(f"{ATOM}author/{ATOM}name")


def test_same_seed_and_time_give_the_same_bytes(client: TestClient, tmp_path: Path) -> None:
    first = get(client, BBC).content
    with TestClient(build(tmp_path)) as other:
        assert get(other, BBC).content == first
    with TestClient(build(tmp_path, world_seed=8)) as other:
        assert get(other, BBC).content != first


def test_conditional_requests_follow_rfc_9110(client: TestClient) -> None:
    first = get(client, BBC)
    tag, date = first.headers["ETag"], first.headers["Last-Modified"]
    for known in (
        {"If_None_Match": tag},
        {"If_None_Match": f'"a", {tag}'},
        {"If_Modified_Since": date},
        {"If_None_Match": tag, "If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ):
        answer = get(client, BBC, **known)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == tag
    for known in (
        {"If_None_Match": '"a"', "If_Modified_Since": date},
        {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If_Modified_Since": "yesterday"},
    ):
        assert get(client, BBC, **known).status_code == 200


def test_last_modified_is_never_later_than_what_the_feed_shows(client: TestClient) -> None:
    entries = feed_entries.shown(SEED, "feed_bbc_world", "news", 24.0 * 11)
    changed = feed_entries.changed_at(entries, 24.0 * 11)
    assert entries.published.max() <= changed <= 24.0 * 11


def test_a_corrected_entry_changes_the_feed(client: TestClient) -> None:
    entries = feed_entries.shown(SEED, "feed_bbc_world", "news", 24.0 * 11)
    corrected = entries.corrected[entries.corrected <= 24.0 * 11]
    assert len(corrected)
    at = float(corrected.max())
    before, after = (feed_entries.shown(SEED, "feed_bbc_world", "news", at + d) for d in (-0.01, 0))
    row = int(np.flatnonzero(after.corrected == at)[0])
    there = int(np.flatnonzero(before.ids == after.ids[row])[0])
    said = feed_entries.wording(SEED, "feed_bbc_world", "en", before, there, at - 0.01)
    says = feed_entries.wording(SEED, "feed_bbc_world", "en", after, row, at)
    assert said[0] == says[0]
    assert says[1] == f"{said[1]} This article has been corrected."


def test_addresses_that_are_no_feeds_are_unknown(client: TestClient) -> None:
    assert get(client, "/feeds.bbci.co.uk/news/other.xml").status_code == 404
    assert get(client, f"{BBC}?format=json").status_code == 404
    cna = "/www.channelnewsasia.com/api/v1/rss-outbound-feed"
    assert get(client, cna).status_code == 404
    assert get(client, f"{cna}?_format=xml").status_code == 200
    assert client.get("/health").json()["status"] == "ok"


def test_a_list_of_ones_own_is_served_too(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "- {id: feed_own, url: 'https://own.example/a.xml', title: Own, language: xx, region: ZZ,"
        " category: gaming, homepage: 'https://own.example', found_at: 'https://own.example'}"
    )
    with TestClient(build(tmp_path, feeds_file=path)) as client:
        assert get(client, "/own.example/a.xml").status_code == 200
        assert get(client, BBC).status_code == 404


def test_injected_failures_have_their_status(client: TestClient) -> None:
    limited = get(client, BBC, X_World_Faults="429;retry_after=3")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3")
    assert get(client, BBC, X_World_Faults="503").status_code == 503
    cut = get(client, BBC, X_World_Faults="cut").content
    assert len(cut) == len(get(client, BBC).content) // 2


def test_malformed_and_repeated_entries_are_as_documented(client: TestClient) -> None:
    body = get(client, BBC, X_World_Faults="malformed;rows=5, duplicate;rows=2").content
    items = xml(body).findall("channel/item")
    assert len(items) == p.FEED_LENGTH + 2
    guids = [item.findtext("guid") for item in items]
    assert len([guid for guid in guids if guid and guids.count(guid) == 2]) == 4
    assert any(item.findtext("pubDate") == "yesterday" for item in items)
    assert any(item.find("title") is None and item.find("description") is None for item in items)
    assert any(item.text and item.text.startswith("row ") for item in items)
    ledger = client.get("/admin/ledger", headers={"Authorization": "Bearer k"}).json()
    assert [(r["items"], r["broken"], r["duplicates"]) for r in ledger["rows"]] == [(32, 5, 2)]
    assert ledger["rows"][0]["route"] == "feeds.bbci.co.uk/news/world/rss.xml"


def test_feeds_with_a_habit_are_feeds_of_the_list() -> None:
    from ml.world.providers.feeds_api import _HABITS

    assert set(_HABITS) <= {feed.id for feed in load_feeds()}
    assert {habit for each in _HABITS for habit in habits(each)} == {
        "atom", "latin-1", "undated", "entity", "no-etag", "no-date",
    }  # fmt: skip


def test_every_language_of_the_list_has_headlines_of_its_own() -> None:
    assert {feed.language for feed in load_feeds()} <= set(feed_entries._headlines())


@pytest.mark.parametrize(
    ("category", "niches"),
    [
        ("gaming", {"gaming"}),
        ("sports", {"sport"}),
        ("science", {"science", "education"}),
        ("entertainment", {"entertainment", "film", "music"}),
    ],
)
def test_feeds_write_about_their_category(category: str, niches: set[str]) -> None:
    names = [niche.name for niche in vocabulary().niches]
    for day in range(3, 20):
        entries = feed_entries.entries_of_day(SEED, "feed_x", category, day)
        assert {names[niche] for niche in entries.niche} <= niches
        assert np.all(np.diff(entries.published) > 0)


def test_feeds_take_topics_up_after_hacker_news() -> None:
    assert p.SOURCE_LAG_H["hackernews"][0] < p.SOURCE_LAG_H["feeds"][0]
