"""What each fault does to an answer, the same for every provider that answers JSON."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ml.settings import Settings
from ml.world import reshape
from ml.world.answers import answer, encode, read_call
from ml.world.clock import WorldClock, iso
from ml.world.faults import FaultPlan, Strikes, damage, parse_plan
from ml.world.ledger import Ledger, Tally
from ml.world.parameters import WORLD_START
from ml.world.server import create_app

KEY = "fault-key"
CHART = "/www.googleapis.com/youtube/v3/videos"
CHART_ROUTE = "www.googleapis.com/youtube/v3/videos"
QUERY = {
    "part": "snippet,statistics", "chart": "mostPopular", "regionCode": "US", "maxResults": "20",
    "key": KEY,
}  # fmt: skip
TOP = "/hacker-news.firebaseio.com/v0/topstories.json"
NOW = datetime(2026, 1, 12, 6, tzinfo=UTC)
ADMIN = {"Authorization": f"Bearer {KEY}"}

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "title", "viewCount", "created_at", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def build(state: Path, **changes: object) -> FastAPI:
    values: dict[str, Any] = {
        "world_key": SecretStr(KEY), "state_dir": state, "world_faults": "", "world_seed": 7,
    }  # fmt: skip
    return create_app(Settings(**(values | changes)))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(build(tmp_path)) as test_client:
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


def ledger(client: TestClient) -> dict[str, Any]:
    report: dict[str, Any] = client.get("/admin/ledger", headers=ADMIN).json()
    return report


# --- Each kind -----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("rename", {"view_count": "7"}),
        ("missing", {}),
        ("retype", {"viewCount": 7}),
    ],
)
def test_drift_of_a_chosen_field(how: str, expected: dict[str, Any]) -> None:
    document = {"items": [{"id": "a", "statistics": {"viewCount": "7"}}]}
    changed = reshape.drifted(document, 7, how, "viewCount")
    assert changed == {"items": [{"id": "a", "statistics": expected}]}


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


# --- Any document --------------------------------------------------------------------------------


def leaves(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(leaves(item) for item in value)) if value else set()
    if isinstance(value, dict):
        inner = [leaves(item) or {name} for name, item in value.items()]
        return set().union(*inner) if inner else set()
    return set()


@given(documents, st.integers(0, 9))
def test_a_broken_row_is_another_one_and_still_json(item: Any, variant: int) -> None:
    damaged = reshape.broken(item, variant)
    assert damaged != item
    assert json.loads(encode(damaged)) == damaged


@given(documents, st.sampled_from(["", *reshape.HOWS]))
def test_drift_of_any_document_is_repeatable(document: Any, how: str) -> None:
    changed = reshape.drifted(document, 7, how)
    assert changed == reshape.drifted(document, 7, how)
    assert json.loads(encode(changed)) == changed


@given(documents)
def test_what_has_no_time_and_no_such_field_is_left_alone(document: Any) -> None:
    assert reshape.redefined(document, "upvotes", 3) == document
    assert reshape.skewed(document, 0) == document


@pytest.mark.parametrize(
    ("name", "value", "moved"),
    [
        ("publishedAt", "2026-01-12T00:00:00Z", "2026-01-12T01:00:00Z"),
        ("created_at", "2026-01-12T23:30:00.250+00:00", "2026-01-13T00:30:00.250+00:00"),
        ("seendate", "20260112T001500Z", "20260112T011500Z"),
        ("created_utc", 1768176000.0, 1768179600.0),
        ("time", 1768176000, 1768179600),
        ("timestamp_ms", 1768176000000, 1768179600000),
        ("score", 1768176000, 1768176000),
        ("title", "2026-01-12", "2026-01-12"),
    ],
)
def test_moments_are_recognised(name: str, value: Any, moved: Any) -> None:
    assert reshape.shifted(name, value, 3600) == moved


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


# --- The ledger ----------------------------------------------------------------------------------


def test_ledger_counts_each_complete_answer_once(client: TestClient) -> None:
    client.delete("/admin/ledger", headers=ADMIN)
    for plan in ("500", "cut", "", "malformed;rows=3, duplicate;rows=2", "429"):
        ask(client, plan)
    ask(client, regionCode="GB", maxResults="5")
    ask(client, at=NOW + timedelta(days=1))
    ask(client, at=NOW + timedelta(days=1, minutes=7))
    with pytest.raises(ConnectionAbortedError):
        ask(client, "truncate", regionCode="IN")
    rows = [row for row in ledger(client)["rows"] if row["route"] == CHART_ROUTE]
    assert rows == [
        {"route": CHART_ROUTE, "day": "2026-01-12", "answers": 2, "items": 27, "broken": 3,
         "duplicates": 2},
        {"route": CHART_ROUTE, "day": "2026-01-13", "answers": 2, "items": 40, "broken": 0,
         "duplicates": 0},
    ]  # fmt: skip


def test_ledger_knows_the_day_that_was_asked_about(client: TestClient) -> None:
    client.delete("/admin/ledger", headers=ADMIN)
    ask(client, "late;hours=12")
    (row,) = ledger(client)["rows"]
    assert row["day"] == f"{NOW:%Y-%m-%d}"


def test_ledger_names_routes_without_their_parameters(client: TestClient) -> None:
    client.delete("/admin/ledger", headers=ADMIN)
    for story in ask(client, path=TOP).json()[:3]:
        ask(client, path=f"/hacker-news.firebaseio.com/v0/item/{story}.json")
    counts = {row["route"].rpartition("/v0/")[2]: row for row in ledger(client)["rows"]}
    assert counts["item/{number}.json"]["items"] == 3
    assert counts["item/{number}.json"]["answers"] == 3


def test_ledger_forgets_whole_days_and_says_so() -> None:
    book = Ledger(remembered=10)
    for day in range(4):
        for number in range(4):
            book.book("host/path", day * 1440, str(number), Tally(items=2, broken=1))
    report = book.report()
    assert report["forgotten"] == 2
    assert [row["day"] for row in report["rows"]] == ["2026-01-03", "2026-01-04"]
    assert all((row["answers"], row["items"], row["broken"]) == (4, 8, 4) for row in report["rows"])


def test_posted_questions_are_told_apart(tmp_path: Path) -> None:
    app = build(tmp_path)
    world = app.state.world
    routes = APIRouter()

    @routes.post("/example.org/search/")
    async def search(request: Request) -> Any:
        call = read_call(request, world)
        rows = json.loads(await request.body())["rows"]
        return await answer(
            call, lambda: encode(damage(list(range(rows)), call.faults, 7, call.address))
        )

    app.include_router(routes)
    headers = {"X-World-Now": NOW.isoformat()}
    with TestClient(app) as client:
        for rows in (3, 5, 5):
            client.post("/example.org/search/", json={"rows": rows}, headers=headers)
        (row,) = ledger(client)["rows"]
    assert (row["route"], row["answers"], row["items"]) == ("example.org/search/", 2, 8)


def test_the_keepers_routes_want_the_key(client: TestClient) -> None:
    for method, path in (
        ("GET", "ledger"), ("DELETE", "ledger"), ("PUT", "scale"), ("PUT", "clock"),
    ):  # fmt: skip
        refused = client.request(method, f"/admin/{path}", content="1")
        assert refused.status_code == 401


# --- The same world again ------------------------------------------------------------------------


def test_scale_can_be_set_while_it_runs(client: TestClient) -> None:
    def newest() -> list[int]:
        path = "/hacker-news.firebaseio.com/v0/newstories.json"
        return list(ask(client, path=path).json())

    before = newest()
    assert client.put("/admin/scale", content="0.1", headers=ADMIN).json() == {"scale": 0.1}
    assert len(newest()) < len(before)
    assert client.get("/health").json()["scale"] == 0.1
    assert client.put("/admin/scale", content="1", headers=ADMIN).status_code == 200
    assert newest() == before
    for text in ("0", "many", "1e9"):
        assert client.put("/admin/scale", content=text, headers=ADMIN).status_code == 400


def test_the_clock_runs_as_fast_as_told_and_never_jumps() -> None:
    wall = [WORLD_START.timestamp()]
    clock = WorldClock(WORLD_START, 60.0, wall=lambda: wall[0])
    wall[0] += 60
    assert clock.minute() == 60
    clock.run_at(3600.0)
    assert clock.minute() == 60
    wall[0] += 1
    assert clock.minute() == 120
    for speed in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="speed"):
            clock.run_at(speed)


def test_clock_speed_is_set_over_the_wire(client: TestClient) -> None:
    assert client.put("/admin/clock", content="3600", headers=ADMIN).json() == {"speed": 3600.0}
    assert client.put("/admin/clock", content="0", headers=ADMIN).status_code == 400


def test_a_restarted_clock_goes_on_where_it_would_be() -> None:
    wall = WORLD_START.timestamp() + 86_400 * 3
    minutes = [WorldClock(None, 24.0, wall=lambda: wall).minute() for _ in range(2)]
    assert minutes == [3 * 24 * 1440] * 2
    assert iso(minutes[0] / 60) == "2026-03-14T00:00:00Z"


_SERVER = """
import hashlib, sys
from pathlib import Path
from fastapi.testclient import TestClient
sys.path.insert(0, sys.argv[2])
from test_faults import ADMIN, CHART, NOW, QUERY, TOP, build
digest = hashlib.sha256()
with TestClient(build(Path(sys.argv[1]))) as client:
    plan = "500;p=0.4, malformed;p=0.5;rows=4, duplicate, drift;p=0.3, unordered;p=0.5"
    client.put("/admin/faults", content=plan, headers=ADMIN)
    client.put("/admin/scale", content="2", headers=ADMIN)
    for path in (CHART, TOP) * 6:
        params = QUERY if path == CHART else {}
        found = client.get(path, params=params, headers={"X-World-Now": NOW.isoformat()})
        digest.update(str(found.status_code).encode() + found.content)
print(digest.hexdigest())
"""


def test_a_restarted_server_sends_the_same_bytes(tmp_path: Path) -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _SERVER, str(tmp_path), str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == hashlib.sha256().digest_size * 2


def test_p_and_times_hold_by_address() -> None:
    plan = FaultPlan(7, parse_plan("500;times=2"))
    assert [bool(plan.strike("a")) for _ in range(3)] == [True, True, False]
    assert bool(plan.strike("b"))
    often = FaultPlan(7, parse_plan("500;p=0.25"))
    hits = sum(bool(often.strike(f"address {n}")) for n in range(2000))
    assert 400 < hits < 600
