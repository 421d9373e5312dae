"""What each fault does to an answer, the same for every provider that answers JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.faults import FaultPlan, Strikes, damage, parse_plan
from ml.world.server import create_app

KEY = "fault-key"
CHART = "/www.googleapis.com/youtube/v3/videos"
QUERY = {
    "part": "snippet,statistics", "chart": "mostPopular", "regionCode": "US", "maxResults": "20",
    "key": KEY,
}  # fmt: skip
TOP = "/hacker-news.firebaseio.com/v0/topstories.json"
NOW = datetime(2026, 1, 12, 6, tzinfo=UTC)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(world_key=SecretStr(KEY), state_dir=tmp_path, world_faults="")
    with TestClient(create_app(settings)) as test_client:
        yield test_client


def ask(
    client: TestClient, plan: str = "", at: datetime = NOW, path: str = CHART, **params: str
) -> Response:
    headers = {"X-World-Now": at.isoformat(), "X-World-Faults": plan}
    query = {**QUERY, **params} if path == CHART else {}
    return client.get(path, params=query, headers=headers)


def items(response: Response) -> list[Any]:
    assert response.status_code == 200
    return list(response.json()["items"])


def leaves(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(leaves(item) for item in value)) if value else set()
    if isinstance(value, dict):
        inner = [leaves(item) or {name} for name, item in value.items()]
        return set().union(*inner) if inner else set()
    return set()


@pytest.mark.parametrize("path", [CHART, TOP])
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_status_comes_with_the_providers_error(
    client: TestClient, path: str, status: int
) -> None:
    refused = ask(client, str(status), path=path)
    assert refused.status_code == status
    assert "error" in refused.json()


def test_late_shows_what_was_known_then(client: TestClient) -> None:
    then = NOW - timedelta(hours=6)
    assert ask(client, "late;hours=6").content == ask(client, at=then).content
    late, fresh = ask(client, "late;hours=6", path=TOP), ask(client, path=TOP)
    assert late.json() == ask(client, at=then, path=TOP).json()
    assert late.json() != fresh.json()
    assert late.headers["Date"] == fresh.headers["Date"]  # the clock is right, the news are old


def test_unordered_is_the_same_in_another_order(client: TestClient) -> None:
    clean, mixed = (items(ask(client, plan)) for plan in ("", "unordered"))
    assert [i["id"] for i in clean] != [i["id"] for i in mixed]
    assert sorted(i["id"] for i in clean) == sorted(i["id"] for i in mixed)


@pytest.mark.parametrize("seconds", [-90, 3600])
def test_skew_moves_the_date_and_every_time(client: TestClient, seconds: int) -> None:
    clean, moved = ask(client), ask(client, f"skew;seconds={seconds}")
    shift = timedelta(seconds=seconds)
    assert parsedate_to_datetime(clean.headers["Date"]) == NOW
    assert parsedate_to_datetime(moved.headers["Date"]) == NOW + shift
    for before, after in zip(items(clean), items(moved), strict=True):
        times = [datetime.fromisoformat(i["snippet"]["publishedAt"]) for i in (before, after)]
        assert times[1] - times[0] == shift
        assert after["statistics"] == before["statistics"]


def test_drift_changes_the_same_fields_in_every_answer(client: TestClient) -> None:
    pages = [items(ask(client, "drift", regionCode=region)) for region in ("US", "IN")]
    for page, region in zip(pages, ("US", "IN"), strict=True):
        clean = items(ask(client, regionCode=region))
        assert len(page) == len(clean)
        assert all(item["contentSignals"] for item in page)
        lost, gained = (leaves(clean) - leaves(page), leaves(page) - leaves(clean))
        assert len(lost) == 2  # one renamed, one gone
        assert len(gained - {"version", "labels"}) >= 1
    assert leaves(pages[0]) - leaves(pages[1]) <= {"tags", "defaultLanguage"}


def test_drift_adds_a_field_to_a_lone_object_too(client: TestClient) -> None:
    story = ask(client, path=TOP).json()[0]
    path = f"/hacker-news.firebaseio.com/v0/item/{story}.json"
    clean, changed = (ask(client, plan, path=path).json() for plan in ("", "drift;how=new"))
    assert set(changed) - set(clean) == {"contentSignals"}


def test_a_definition_breaks_on_its_day(client: TestClient) -> None:
    plan = "break;at=2026-01-12;factor=3;field=viewCount"
    before, after = NOW - timedelta(days=1), NOW
    assert ask(client, plan, at=before).content == ask(client, at=before).content
    for clean, broken in zip(
        items(ask(client, at=after)), items(ask(client, plan, at=after)), strict=True
    ):
        views = [int(item["statistics"]["viewCount"]) for item in (clean, broken)]
        assert views[1] == 3 * views[0]
        assert clean["snippet"] == broken["snippet"]


def test_any_fault_can_have_a_season(client: TestClient) -> None:
    plan = "503;at=2026-01-12T00:00:00Z;until=2026-01-13"
    days = [NOW + timedelta(days=n) for n in (-1, 0, 1)]
    assert [ask(client, plan, at=day).status_code for day in days] == [200, 503, 200]


def test_two_faults_of_a_kind_both_strike(client: TestClient) -> None:
    plan = "break;factor=2;field=viewCount, break;factor=0;field=likeCount"
    clean, changed = (items(ask(client, each))[0]["statistics"] for each in ("", plan))
    assert int(changed["viewCount"]) == 2 * int(clean["viewCount"])
    assert changed["likeCount"] == "0"


@pytest.mark.parametrize(
    "plan",
    [
        "explode",
        "500;when=now",
        "break;factor=2",
        "drift;how=sideways",
        "late;hours=soon",
        "skew;at=x",
    ],
)
def test_a_plan_that_is_not_understood_is_refused(plan: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are those of many readers
        parse_plan(plan)


@given(
    st.lists(st.dictionaries(st.just("id"), st.integers(), min_size=1), max_size=12),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_damage_accounts_for_every_row(rows: list[Any], broken: int, twice: int) -> None:
    plan = f"malformed;rows={broken}, duplicate;rows={twice}, unordered"
    strikes = Strikes(parse_plan(plan))
    sent = damage(rows, strikes, 7, "here")
    tally = strikes.tally
    assert tally is not None
    assert tally.items == len(sent) == len(rows) + tally.duplicates
    assert tally.broken == min(broken, len(rows))
    good = [r for r in sent if isinstance(r, dict) and isinstance(r.get("id"), int)]
    assert len(good) == len(rows) - tally.broken + tally.duplicates


def test_p_and_times_hold_by_address() -> None:
    plan = FaultPlan(7, parse_plan("500;times=2"))
    assert [bool(plan.strike("a")) for _ in range(3)] == [True, True, False]
    assert bool(plan.strike("b"))
    often = FaultPlan(7, parse_plan("500;p=0.25"))
    hits = sum(bool(often.strike(f"address {n}")) for n in range(2000))
    assert 400 < hits < 600
