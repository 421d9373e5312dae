"""What the world's keeper sees and sets, and that the same world comes back after a restart."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient
from httpx import Response
from pydantic import SecretStr

from ml.settings import Settings
from ml.world.answers import answer, encode, read_call
from ml.world.clock import WorldClock, iso
from ml.world.faults import damage
from ml.world.ledger import Ledger, Tally
from ml.world.parameters import WORLD_START
from ml.world.server import create_app

KEY = "fault-key"
CHART = "/www.googleapis.com/youtube/v3/videos"
QUERY = {
    "part": "snippet,statistics", "chart": "mostPopular", "regionCode": "US", "maxResults": "20",
    "key": KEY,
}  # fmt: skip
TOP = "/hacker-news.firebaseio.com/v0/topstories.json"
NOW = datetime(2026, 1, 12, 6, tzinfo=UTC)
CHART_ROUTE = CHART.lstrip("/")
ADMIN = {"Authorization": f"Bearer {KEY}"}


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


def ledger(client: TestClient) -> dict[str, Any]:
    report: dict[str, Any] = client.get("/admin/ledger", headers=ADMIN).json()
    return report


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
from test_keeper import ADMIN, CHART, NOW, QUERY, TOP, build
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


def test_the_keeper_shifts_a_running_world_and_takes_it_back(client: TestClient) -> None:
    def views(at: datetime) -> list[int]:
        items = ask(client, at=at).json()["items"]
        return [int(item["statistics"]["viewCount"]) for item in items]

    later = NOW + timedelta(days=9)
    usual = views(NOW), views(later)
    shift = f"at={NOW + timedelta(days=1):%Y-%m-%d};views=5"
    assert client.put("/admin/shift", content=shift).status_code == 401
    answered = client.put("/admin/shift", content=shift, headers=ADMIN)
    assert answered.json() == {"is_shifted": True}
    client.put("/admin/scale", content="1", headers=ADMIN)
    assert views(NOW) == usual[0]
    assert sum(views(later)) > 2 * sum(usual[1])
    wrong = client.put("/admin/shift", content="views=5", headers=ADMIN)
    assert wrong.status_code == 400
    assert "needs the day" in wrong.text
    client.put("/admin/shift", content="", headers=ADMIN)
    assert views(later) == usual[1]
