"""GitHub's trending page in the world (https://github.com/trending, 2026-11)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from selectolax.lexbor import LexborHTMLParser

from ml.settings import Settings
from ml.world import parameters as p
from ml.world import repositories
from ml.world.server import create_app

SEED = 7
NOW = {"X-World-Now": "2026-01-12T00:00:00Z"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr("wire-key"), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings)) as test_client:
        yield test_client


def page(client: TestClient, path: str = "", **headers: str) -> LexborHTMLParser:
    answer = client.get(f"/github.com/trending{path}", headers={**NOW, **headers})
    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("</html>")
    return LexborHTMLParser(answer.text)


def names(tree: LexborHTMLParser) -> list[str]:
    links = (row.css_first("h2 a") for row in tree.css("article.Box-row"))
    return [str(link.attributes["href"]) for link in links if link]


def test_page_has_the_markup_of_the_real_one(client: TestClient) -> None:
    rows = page(client, "?since=daily").css("article.Box-row")
    assert len(rows) == p.TRENDING_SIZE
    for row in rows:
        (link,) = row.css("h2 a")
        name = link.attributes["href"]
        assert re.fullmatch(r"/[\w.-]+/[\w.-]+", str(name))
        assert link.text().replace(" ", "") == str(name)[1:]
        for what in ("stargazers", "forks"):
            (count,) = row.css(f'a[href="{name}/{what}"]')
            assert re.fullmatch(r"[\d,]+", count.text(strip=True))
        today = row.css_first(".float-sm-right")
        assert today is not None
        assert re.fullmatch(r"[\d,]+ stars today", today.text(strip=True))


def test_period_and_language_are_respected(client: TestClient) -> None:
    week = page(client, "?since=weekly")
    assert "stars this week" in week.css(".float-sm-right")[0].text()
    assert names(week) != names(page(client))
    assert names(page(client, "?since=nonsense")) == names(page(client))
    rust = page(client, "/rust")
    assert {n.text() for n in rust.css('[itemprop="programmingLanguage"]')} == {"Rust"}
    assert names(page(client, "/c%2B%2B"))
    assert names(page(client, "/jupyter-notebook"))


def test_a_list_without_repositories_says_so(client: TestClient) -> None:
    tree = page(client, "/cobol")
    assert names(tree) == []
    assert tree.css_first(".blankslate-heading") is not None


def test_faults_are_pages_too(client: TestClient) -> None:
    header = {**NOW, "X-World-Faults": "429;retry_after=3"}
    answer = client.get("/github.com/trending", headers=header)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_malformed_and_duplicate_rows_are_still_markup(client: TestClient) -> None:
    damaged = page(client, **{"X-World-Faults": "malformed;rows=6, duplicate;rows=2"})
    assert len(damaged.css("article.Box-row")) == p.TRENDING_SIZE + 2


def test_lists_turn_over_as_in_the_archive() -> None:
    # Archive, 2018-07 to 2021-12: 44 % (median) and 49 % (mean) of a list are on the next day's.
    lists = [
        set(repositories.trending(SEED, 60 * (24 * day + 12), 24, None)[0].ids.tolist())
        for day in range(20, 50)
    ]
    shared = [len(a & b) / p.TRENDING_SIZE for a, b in itertools.pairwise(lists)]
    assert 0.38 < np.median(shared) < 0.56


def test_stars_never_fall_and_names_are_unique() -> None:
    found = repositories.repositories_of_day(SEED, 9)
    times = [repositories.stars(found, hours) for hours in (200.0, 230.0, 260.0, 900.0)]
    assert all((a <= b).all() for a, b in itertools.pairwise(times))
    every = [
        repositories.full_name(SEED, int(entity), "Rust")
        for day in range(-5, 60)
        for entity in repositories.repositories_of_day(SEED, day).ids
    ]
    assert len(set(every)) == len(every)


def test_languages_have_the_shares_of_the_archive() -> None:
    drawn = np.concatenate([repositories.repositories_of_day(SEED, d).language for d in range(60)])
    share = np.bincount(drawn, minlength=len(p.REPOSITORY_LANGUAGES)) / len(drawn)
    wanted = np.array(list(p.REPOSITORY_LANGUAGES.values()))
    assert np.abs(share - wanted / wanted.sum()).max() < 0.03
