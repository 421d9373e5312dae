"""The stream of X, from a world half an hour behind the machine to the online store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ml import features
from ml.exceptions import ProviderError, ServiceUnavailableError
from ml.runtime import health
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows
from ml.storage.replay import replay_bronze
from ml.streaming import pipeline as pipelines
from ml.streaming.pipeline import LANDED, PUSHED, Pipeline
from ml.streaming.tables import QUERIES
from ml.streaming.x import XPosts

COLUMNS = (
    "source", "kind", "record_id", "event_at", "available_at", "payload", "bronze_key",
)  # fmt: skip
NAMES = ("gaming", "the OR a OR to")
POSTS = (
    "select record_id, event_at, available_at, payload, is_synthetic from raw.records order by 1"
)


@pytest.fixture
def x_settings(settings: Settings, world) -> Settings:
    """With queries that much matches, on empty tables, in a world half an hour behind."""
    world.now = time.time() - 1800
    with connect(settings.database_url) as conn:
        conn.execute("truncate raw.records, features.query_momentum, ops.dead_letters, ops.cursors")
    return settings.model_copy(update={"x_queries": NAMES})


@pytest.fixture
def start(x_settings) -> Iterator[Callable[[], Pipeline]]:
    """Makes pipelines as a new process would; ends the connection of the one before."""
    made: list[XPosts] = []

    def new() -> Pipeline:
        for stream in made:
            stream.close()
        made.append(XPosts(x_settings))
        return Pipeline(x_settings, made[-1])

    yield new
    for stream in made:
        stream.close()


@pytest.fixture
def until(world) -> Callable[..., None]:
    """Repeats until it gives something, while the world goes on."""

    def repeat(call: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if call():
                    return
            except ProviderError as error:
                if "another connection" not in str(error):
                    raise
            assert time.monotonic() < deadline
            time.sleep(0.1)
            world.now += 10

    return repeat


def fetch(settings: Settings, query: str, *values: object) -> list[tuple]:
    with connect(settings.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def offset(settings: Settings, name: str) -> dict:
    rows = fetch(settings, "select cursor from ops.cursors where stream = %s", name)
    return rows[0][0] if rows else {}


def post(number: int, made_at: datetime, known_at: datetime, author: str, *queries: str, likes=0):
    payload = {"text": "t", "author": author, "queries": queries, "likes": likes, "reposts": None}
    return (
        "x_posts", "post", str(number), made_at, known_at, json.dumps(payload), "raw/run=stream-1/x"
    )  # fmt: skip


def load(settings: Settings, rows: list[tuple]) -> None:
    with connect(settings.database_url) as conn:
        copy_rows(conn, "raw.records", COLUMNS, rows)


def compute(settings: Settings, queries: list[str] | None, since: datetime) -> list[dict]:
    query = "select * from features.query_momentum_of(%s, %s) order by query_id, event_at"
    with (
        connect(settings.database_url) as conn,
        conn.cursor(row_factory=psycopg.rows.dict_row) as c,
    ):
        return c.execute(query, (queries, since)).fetchall()


# The SQL function


AT = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday


def test_counts_are_of_what_was_known_at_each_arrival(x_settings):
    ago = lambda **past: AT - timedelta(**past)  # noqa: E731 - reads as the sentence it is
    load(
        x_settings,
        [
            post(1, ago(hours=25), ago(hours=25), "z", "AI"),  # too long ago
            post(2, ago(hours=13), ago(hours=13), "a", "AI", likes=7),
            post(3, ago(hours=7), ago(hours=7), "b", "AI", "chess"),
            post(4, ago(hours=5), ago(hours=5), "b", "AI"),
            post(5, ago(minutes=90), ago(minutes=90), "a", "AI"),
            post(6, ago(minutes=59), ago(minutes=58), "c", "AI", likes=5),
            post(7, ago(seconds=3), AT, "c", "AI"),
            post(8, ago(seconds=2), AT, "a", "AI"),
            post(9, ago(seconds=1), AT + timedelta(hours=1), "d", "AI"),  # comes later
        ],
    )
    now, later = compute(x_settings, ["AI"], AT)
    assert (now["event_at"], later["event_at"]) == (AT, AT + timedelta(hours=1))
    assert {name: now[name] for name in ("posts_1h", "posts_6h", "posts_24h")} == {
        "posts_1h": 3, "posts_6h": 5, "posts_24h": 7,
    }  # fmt: skip
    assert (now["authors_1h"], now["authors_24h"]) == (2, 3)
    assert now["hours_covered"] == 13.0
    assert now["log_growth_1h"] == pytest.approx(0.6931, abs=1e-4)  # (3 + 1) / (1 + 1)
    assert now["log_growth_6h"] == pytest.approx(1.0986, abs=1e-4)  # (5 + 1) / (1 + 1)
    assert now["engagements_24h"] == 12
    assert now["engagements_per_post_24h"] == pytest.approx(12 / 7)
    assert (now["observed_hour"], now["observed_dow"], now["available_at"]) == (12, 2, AT)
    assert later["posts_1h"] == 0
    assert later["posts_24h"] == 8
    # What is known of a moment does not depend on where the reading starts.
    whole = compute(x_settings, None, ago(days=30))
    assert [row["event_at"] for row in whole if row["query_id"] == "chess"] == [ago(hours=7)]
    assert whole[-2:] == [later, next(r for r in whole if r["query_id"] == "chess")]
    assert now in whole
    young = next(r for r in whole if r["event_at"] == ago(hours=25))
    assert (young["posts_24h"], young["log_growth_1h"], young["log_growth_6h"]) == (1, None, None)


# From the world to the online store


def test_posts_become_features_that_are_readable_online(start, x_settings, until):
    pipeline = start()
    until(lambda: [pipeline.step(), len(fetch(x_settings, POSTS)) > 8][-1])
    rows = fetch(x_settings, POSTS)
    assert all(synthetic for *_, synthetic in rows)
    assert all(made < known for _, made, known, _, _ in rows)
    offline = fetch(x_settings, "select * from features.query_momentum order by 1, 2")
    assert offline
    touched = sorted({tag for *_, payload, _ in rows for tag in payload["queries"]})
    online = features.online_features("query_v1", touched, x_settings, entity="query")
    for row in online:
        of_query = [p for *_, p, _ in rows if row["query_id"] in p["queries"]]
        assert row["posts_1h"] == row["posts_24h"] == len(of_query)
        assert row["authors_1h"] == len({p["author"] for p in of_query})
    assert fetch(x_settings, "select bool_and(is_synthetic) from features.query_momentum") == [
        (True,)
    ]
    # The batch path, on the same rows, by the same function.
    with connect(x_settings.database_url) as conn:
        conn.execute("truncate features.query_momentum")
    assert QUERIES.append_new(x_settings) == len(offline)
    assert fetch(x_settings, "select * from features.query_momentum order by 1, 2") == offline
    assert QUERIES.append_new(x_settings) == 0
    # And as training joins it.
    now = datetime.now(UTC).isoformat()
    wanted = f"select '{touched[0]}' as query_id, timestamptz '{now}' as event_timestamp"
    joined = features.training_frame(wanted, "query_v1", x_settings).iloc[0]
    for name, value in online[0].items():
        same = joined[name] != joined[name] if value is None else joined[name] == value
        assert same or joined[name] == pytest.approx(value), name


def test_killed_between_bronze_and_commit_it_loads_from_bronze(
    start, x_settings, until, monkeypatch
):
    pipeline = start()
    until(lambda: [pipeline.step(), fetch(x_settings, POSTS)][-1])
    with connect(x_settings.database_url) as conn:  # a first batch that never got into the tables
        conn.execute("truncate raw.records, features.query_momentum")
    before = offset(x_settings, LANDED)
    landed: list[str] = []

    def killed(*found: object) -> None:
        landed.extend(each.key for each in found[2])
        raise ServiceUnavailableError("killed")

    def land() -> bool:
        try:
            return pipeline.land() is not None
        except ServiceUnavailableError as error:
            return "killed" in str(error)

    with monkeypatch.context() as patch:
        patch.setattr(pipelines, "load_pages", killed)
        until(land)
    assert landed
    assert offset(x_settings, LANDED) == before
    assert fetch(x_settings, POSTS) == []
    revived = start()
    assert revived.recover() == 1
    keys = {key for (key,) in fetch(x_settings, "select bronze_key from raw.records")}
    assert keys == set(landed)
    assert revived.push() > 0
    assert fetch(x_settings, "select count(*) from features.query_momentum") != [(0,)]
    assert revived.recover() == 0


def test_killed_before_the_first_commit_it_loads_from_bronze_too(start, x_settings, until):
    pipeline = start()
    until(lambda: [pipeline.step(), fetch(x_settings, POSTS)][-1])
    kept = fetch(x_settings, POSTS)
    with connect(x_settings.database_url) as conn:
        conn.execute("truncate raw.records, features.query_momentum, ops.cursors")
    revived = start()
    assert revived.recover() > 0
    # Whatever the stream has ever landed comes back.
    assert {row[0] for row in kept} <= {row[0] for row in fetch(x_settings, POSTS)}
    assert revived.push() > 0


def test_killed_between_commit_and_push_it_pushes_after_the_restart(start, x_settings, until):
    pipeline = start()
    until(pipeline.land)
    assert offset(x_settings, PUSHED)["through"] < offset(x_settings, LANDED)["through"]
    assert fetch(x_settings, "select count(*) from features.query_momentum") == [(0,)]
    assert start().push() > 0
    assert offset(x_settings, PUSHED)["through"] == offset(x_settings, LANDED)["through"]


def test_posts_that_come_again_keep_the_time_at_which_they_were_known(start, x_settings, until):
    pipeline = start()
    until(pipeline.land)
    before = {row[0]: row for row in fetch(x_settings, POSTS)}
    revived = start()  # asks for the last minute again
    until(lambda: [revived.step(), len(fetch(x_settings, POSTS)) > len(before)][-1])
    after = {row[0]: row for row in fetch(x_settings, POSTS)}
    assert {number: after[number] for number in before} == before
    pages = fetch(x_settings, "select distinct bronze_key from raw.records")
    assert len(pages) > 1


def test_posts_from_the_future_are_dead_letters_in_a_replay_too(start, x_settings, until, world):
    pipeline = start()
    until(pipeline.land)
    began = datetime.fromisoformat(offset(x_settings, LANDED)["through"]).replace(microsecond=0)
    world.now = time.time() + 3600
    until(pipeline.land)
    letters = "select reason, payload, status from ops.dead_letters order by dead_letter_id"
    before = fetch(x_settings, POSTS), fetch(x_settings, letters)
    assert before[1]
    assert {reason for reason, *_ in before[1]} == {"gate not_ahead: it happened after it arrived"}
    replayed = replay_bronze(XPosts(x_settings).source, began, datetime.now(UTC))
    assert (replayed.rejected, replayed.mended) == (len(before[1]), 0)
    assert (fetch(x_settings, POSTS), fetch(x_settings, letters)) == before


# The service


def test_process_consumes_and_says_how_far_it_is(x_settings, tmp_path, until, world):
    known = json.loads((x_settings.state_dir / "settings.json").read_text())
    known.pop("data_dir", None)
    (tmp_path / "settings.json").write_text(json.dumps(known))
    environment = dict(
        os.environ, YTEMPIRE_STATE_DIR=str(tmp_path), DATABASE_URL=x_settings.database_url,
        YTEMPIRE_WORLD_URL=world.url, X_QUERIES=json.dumps(NAMES),
    )  # fmt: skip
    environment.pop("YTEMPIRE_DATA_DIR", None)
    command = [sys.executable, "-m", "ml.streaming.consumer", "--source", "x_posts"]

    def check() -> tuple[int, str]:
        done = subprocess.run(
            [*command, "--check"], env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert check()[0] == 1
    with connect(x_settings.database_url) as conn:  # so that there is nothing to recover
        conn.execute(
            "insert into ops.cursors (source, stream, cursor) values ('x_posts', 'updates', %s),"
            " ('x_posts', 'pushed', %s)",
            (json.dumps({"through": datetime.now(UTC).isoformat()}),) * 2,
        )
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: process.poll() is None and offset(x_settings, PUSHED).get("entities"), 120)
        assert "rows so far" in health.stream("x_posts")(x_settings)
        code, said = check()
        assert code == 0
        assert "rows so far" in said
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_process_without_a_token_says_what_to_set_and_does_not_end(x_settings, tmp_path):
    environment = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("X_", "YTEMPIRE_"))
    } | {"YTEMPIRE_STATE_DIR": str(tmp_path), "DATABASE_URL": x_settings.database_url}  # fmt: skip
    command = [sys.executable, "-m", "ml.streaming.consumer", "--source", "x_posts"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "does not run: set X_BEARER_TOKEN" in process.stderr.readline()
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()
