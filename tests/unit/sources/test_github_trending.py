from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.exceptions import ProviderError
from ml.sources.archives import github_trending as archive
from ml.sources.base import Interval, Page, Record, Rejected
from ml.sources.github_trending import GitHubTrendingSource

from .conftest import LiveWorld, fetch, world_settings

SOURCE = GitHubTrendingSource(world_settings("http://127.0.0.1:1"))
NOON = datetime(2026, 1, 11, 12, 30, tzinfo=UTC)
DAY = datetime(2026, 1, 11, tzinfo=UTC)
# Markup of https://github.com/trending (2026-11), shortened.
ROW = """
<article class="Box-row">
  <div class="float-right d-flex">
    <a href="/login?return_to=%2Fowner%2Frepo" rel="nofollow" class="tooltipped btn">Star</a>
  </div>
  <h2 class="h3 lh-condensed">
    <a data-hydro-click="{}" href="/owner/repo" class="Link">
      <svg></svg> <span class="text-normal">owner /</span> repo</a>
  </h2>
  <p class="col-9 color-fg-muted my-1 tmp-pr-4">
    Examples &amp; <em>more</em>
  </p>
  <div class="f6 color-fg-muted mt-2">
    <span class="d-inline-block ml-0 tmp-mr-3">
      <span class="repo-language-color" style="background-color: #f1e05a"></span>
      <span itemprop="programmingLanguage">Jupyter Notebook</span>
    </span>
    <a href="/owner/repo/stargazers" class="Link Link--muted"><svg></svg>
        12,345</a>
    <a href="/owner/repo/forks" class="Link Link--muted"><svg></svg>
        678</a>
    <span class="d-inline-block mr-3">Built by <a href="/someone"><img alt="@someone"></a></span>
    <span class="d-inline-block float-sm-right"><svg></svg>
        1,040 stars today</span>
  </div>
</article>
"""
BARE = """
<article class="Box-row"><h2><a href="/a/b.c"><span>a /</span> b.c</a></h2><div></div></article>
"""


def page(
    *rows: str, request: str = "GET https://github.com/trending?since=daily#language="
) -> Page:
    body = f"<!DOCTYPE html><html><body><main>{''.join(rows)}</main></body></html>".encode()
    return Page("trending", "ZZ", 0, body, request, NOON)


def parsed(*pages: Page) -> list[dict[str, Any]]:
    rows = [row for each in pages for row in SOURCE.parse(each)]
    return [dict(row.values) for row in rows if isinstance(row, Record)]


def test_a_repository_gives_a_listing_and_a_snapshot() -> None:
    listing, snapshot = parsed(page(ROW))
    assert (listing["kind"], listing["record_id"]) == ("listing", "owner/repo")
    assert (listing["event_at"], listing["available_at"]) == (DAY, NOON)
    assert listing["payload"] == {
        "position": 1, "lang": "Jupyter Notebook", "desc": "Examples & more",
        "title": "owner/repo", "url": "https://github.com/owner/repo", "author": "owner",
        "stars": 12345, "forks": 678, "stars_today": 1040,
    }  # fmt: skip
    assert (snapshot["kind"], snapshot["record_id"]) == ("snapshot", "owner/repo")
    assert snapshot["event_at"] == NOON
    assert snapshot["payload"] == {"stars": 12345, "forks": 678, "stars_today": 1040}


def test_live_rows_fit_the_staging_model_of_the_archives() -> None:
    listing, _ = parsed(page(ROW))
    assert SOURCE.id == archive.SOURCE
    assert listing["kind"] == archive.KIND
    assert {"position", "lang", "desc"} <= set(listing["payload"])


def test_what_the_page_does_not_say_is_null() -> None:
    listing = parsed(page(ROW, BARE))[2]
    assert listing["record_id"] == "a/b.c"
    assert listing["payload"]["position"] == 2
    for name in ("lang", "desc", "stars", "forks", "stars_today"):
        assert listing["payload"][name] is None


def test_the_list_of_a_language_does_not_mix_with_that_of_all() -> None:
    request = "GET https://github.com/trending/c%2B%2B?since=daily#language=c%2B%2B"
    listing, snapshot = parsed(page(ROW, request=request))
    assert (listing["kind"], listing["record_id"]) == ("language_listing", "c++:owner/repo")
    assert listing["payload"]["list"] == "c++"
    assert snapshot["record_id"] == "owner/repo"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('href="/owner/repo" class', 'href="/owner" class', "no repository"),
        ('href="/owner/repo" class', 'href="https://x.example/a/b" class', "no repository"),
        ("<h2", "<h3", "no repository"),
        ("12,345", "12,34", "stars is not a number"),
        ("678", "many", "forks is not a number"),
        ("1,040 stars today", "1,040 stars this week", "stars of a day"),
    ],
)
def test_changed_markup_is_a_dead_letter(old: str, new: str, reason: str) -> None:
    changed = ROW.replace(old, new)
    assert changed != ROW
    rejected, *kept = SOURCE.parse(page(changed, BARE))
    assert isinstance(rejected, Rejected)
    assert reason in rejected.reason
    assert "Box-row" in rejected.payload
    assert len(kept) == 2


def test_an_empty_list_is_empty_and_another_page_a_dead_letter() -> None:
    assert list(SOURCE.parse(page('<h3 class="blankslate-heading">Nothing</h3>'))) == []
    (row,) = SOURCE.parse(page("<h1>Sign in to GitHub</h1>"))
    assert isinstance(row, Rejected)


def test_every_configured_list_is_read(world: LiveWorld, day: Interval) -> None:
    languages = ("", "C++", "jupyter notebook", "cobol")
    settings = world.settings.model_copy(update={"github_languages": languages})
    pages = fetch(GitHubTrendingSource(settings), day)
    assert [p.number for p in pages] == [0, 1, 2, 3]
    found = parsed(*pages)
    assert sum(row["kind"] == "listing" for row in found) == 25
    listed = [row for row in found if row["kind"] == "language_listing"]
    assert {row["payload"]["lang"] for row in listed} == {"C++", "Jupyter Notebook"}
    assert parsed(pages[3]) == []
    assert {row["event_at"] for row in found if row["kind"] == "listing"} == {day.end}


def test_failures_on_the_way_change_nothing(world: LiveWorld, day: Interval) -> None:
    source = GitHubTrendingSource(world.settings)
    clean = fetch(source, day)
    world.set_faults("429;times=1;retry_after=0, cut;times=3")
    assert fetch(source, day) == clean


def test_a_page_that_keeps_failing_stops_the_fetch(world: LiveWorld, day: Interval) -> None:
    world.set_faults("429;retry_after=0")
    with pytest.raises(ProviderError):
        fetch(GitHubTrendingSource(world.settings), day)


def test_malformed_and_repeated_rows_lose_nothing_else(world: LiveWorld, day: Interval) -> None:
    source = GitHubTrendingSource(world.settings)
    good = {row["record_id"] for row in parsed(*fetch(source, day))}
    world.set_faults("malformed;rows=5, duplicate;rows=2")
    (damaged,) = fetch(source, day)
    rejected = [row for row in source.parse(damaged) if isinstance(row, Rejected)]
    kept = {row["record_id"] for row in parsed(damaged)}
    assert len(rejected) + len(kept) == 25
    assert 4 <= len(rejected) <= 5  # a row may lose no more than its description
    assert kept <= good


def test_without_a_list_it_is_unavailable_and_names_the_variable() -> None:
    settings = world_settings("http://127.0.0.1:1", github_languages=())
    state = GitHubTrendingSource(settings).availability()
    assert not state.available
    assert "GITHUB_LANGUAGES" in state.reason


def test_only_the_present_is_known_of_the_real_page() -> None:
    assert not GitHubTrendingSource.spec.replayable


WORD = st.text(max_size=12).map(escape)
ROWS = st.builds(
    lambda href, desc, stars, today, lang: (
        f'<article class="Box-row"><h2><a href="{href}">x</a></h2><p>{desc}</p>'
        f'<span itemprop="programmingLanguage">{lang}</span>'
        f'<a href="/a/b/stargazers">{stars}</a><span class="float-sm-right">{today}</span>'
        "</article>"
    ),
    st.sampled_from(["/a/b", "/owner-1/repo.x_y", "/a", "", "//a/b"]) | WORD,
    WORD,
    st.integers(0, 10**9).map("{:,}".format) | WORD,
    st.sampled_from(["5 stars today", "1 star today", "1,234 stars today"]) | WORD,
    WORD,
)


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_parser_accounts_for_every_repository(rows: list[str]) -> None:
    found = list(SOURCE.parse(page(*rows)))
    listings = [r for r in found if isinstance(r, Record) and r.values["kind"] == "listing"]
    snapshots = [r for r in found if isinstance(r, Record) and r.values["kind"] == "snapshot"]
    rejected = [r for r in found if isinstance(r, Rejected)]
    assert len(listings) == len(snapshots) == len(rows) - len(rejected)
    places = [r.values["payload"]["position"] for r in listings] + [r.position for r in rejected]
    assert sorted(places) == list(range(1, len(rows) + 1))


@given(st.binary() | st.text().map(str.encode), st.text(max_size=20))
def test_parser_never_raises_on_any_body(body: bytes, request: str) -> None:
    for row in SOURCE.parse(Page("trending", "ZZ", 0, body, request, NOON)):
        assert isinstance(row, Rejected)


@given(st.text(alphabet='<>/="abBoxrow -articlehp2', max_size=200))
def test_parser_never_raises_on_broken_markup(text: str) -> None:
    body = f'<html><article class="Box-row">{text}</html>'.encode()
    assert list(SOURCE.parse(Page("trending", "ZZ", 0, body, "GET http://x", NOON)))
