"""The stream of Hacker News, from a world whose clock the tests move to the online store."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pybreaker
import pytest

from ml import features
from ml.exceptions import MissingFeatureError, ServiceUnavailableError
from ml.runtime import health
from ml.settings import Settings
from ml.sources.access import Access, new_breaker
from ml.sources.base import Page
from ml.sources.hackernews import HackerNewsSource
from ml.storage.postgres import connect, copy_rows
from ml.storage.replay import replay_bronze
from ml.streaming import pipeline as pipelines
from ml.streaming import tables
from ml.streaming.base import Look
from ml.streaming.consumer import consume
from ml.streaming.hackernews import HackerNewsUpdates
from ml.streaming.pipeline import LANDED, PUSHED, Pipeline
from ml.streaming.tables import STORIES

COLUMNS = (
    "source", "kind", "record_id", "event_at", "available_at", "payload", "bronze_key",
)  # fmt: skip
VIEW = "story_momentum"
API = "hacker-news.firebaseio.com/v0"


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[Pipeline]:
    """A consumer's pipeline on empty tables."""
    with connect(settings.database_url) as conn:
        conn.execute("truncate raw.records, features.story_momentum, ops.dead_letters, ops.cursors")
    return Pipeline(settings, updates(settings))


def updates(settings: Settings) -> HackerNewsUpdates:
    """The stream with a circuit breaker of its own: what fails here must not stop later tests."""
    storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
    access = Access(settings, breaker=lambda host: new_breaker(host, storage))
    return HackerNewsUpdates(settings, access)


def fetch(settings: Settings, query: str, *values: object) -> list[tuple]:
    with connect(settings.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def offset(settings: Settings, name: str) -> dict:
    rows = fetch(settings, "select cursor from ops.cursors where stream = %s", name)
    return rows[0][0] if rows else {}


_STORES: dict[str, object] = {}


def online(settings: Settings, *story_ids: str) -> dict[str, dict]:
    """Features by story; each open store holds connections, so there is one."""
    if settings.database_url not in _STORES:
        _STORES[settings.database_url] = features.open_store(settings)
    store = _STORES[settings.database_url]
    rows = features.online_features("story_v1", story_ids, store=store, entity="story")
    return {row["story_id"]: row for row in rows}


def touched(settings: Settings) -> list[str]:
    query = "select distinct record_id from raw.records where kind = 'snapshot' order by 1"
    return [row[0] for row in fetch(settings, query)]


def sight(story: str, at: datetime, upvotes: int | None, comments: int | None = 0, rank=None):
    payload = {"upvotes": upvotes, "comments": comments, "rank": rank}
    return ("hackernews", "snapshot", story, at, at, json.dumps(payload), "raw/run=batch/x")


def load(settings: Settings, rows: list[tuple]) -> None:
    with connect(settings.database_url) as conn:
        copy_rows(conn, "raw.records", COLUMNS, rows)


def compute(settings: Settings, stories_: list[str] | None, since: datetime) -> list[dict]:
    query = "select * from features.story_momentum_of(%s, %s) order by story_id, event_at"
    with (
        connect(settings.database_url) as conn,
        conn.cursor(row_factory=psycopg.rows.dict_row) as c,
    ):
        return c.execute(query, (stories_, since)).fetchall()


# The SQL function


AT = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday


def test_rates_compare_with_the_newest_sight_of_at_least_a_quarter_of_an_hour(pipeline, settings):
    ago = lambda **past: AT - timedelta(**past)  # noqa: E731 - reads as the sentence it is
    load(
        settings,
        [
            ("hackernews", "item", "1", ago(hours=10), AT, '{"title": "t"}', "raw/x"),
            sight("1", ago(hours=27), 1),
            sight("1", ago(hours=2), 20, 10),
            sight("1", ago(minutes=30), 40, 18),
            sight("1", ago(minutes=10), 55, None),
            sight("1", AT, 60, 30, 4),
            sight("2", ago(hours=27), 5),
            sight("2", AT, 50, None),
            sight("3", AT, None),
        ],
    )  # fmt: skip
    first, second = compute(settings, None, AT)
    assert {name: first[name] for name in ("story_id", "upvotes", "comments", "rank")} == {
        "story_id": "1", "upvotes": 60, "comments": 30, "rank": 4,
    }  # fmt: skip
    assert (first["age_h"], first["hours_since_previous"]) == (10.0, 0.5)
    assert (first["upvotes_per_h"], first["comments_per_h"]) == (40.0, 24.0)
    assert (first["comments_per_upvote"], first["observed_hour"], first["observed_dow"]) == (
        0.5, 12, 2,
    )  # fmt: skip
    assert second["story_id"] == "2"
    absent = ("comments", "rank", "age_h", "hours_since_previous", "upvotes_per_h",
              "comments_per_h", "comments_per_upvote")  # fmt: skip
    assert {second[name] for name in absent} == {None}
    # What a sight says does not depend on where the reading starts.
    whole = compute(settings, ["1"], ago(days=30))
    assert [row["event_at"] for row in whole] == [
        ago(hours=27), ago(hours=2), ago(minutes=30), ago(minutes=10), AT,
    ]  # fmt: skip
    assert whole[-1] == first
    assert whole[1]["hours_since_previous"] == 25.0


def test_row_made_of_a_late_sight_is_not_available_before_it(pipeline, settings):
    late = AT + timedelta(hours=5)
    early = list(sight("1", AT - timedelta(hours=1), 10))
    early[4] = late
    load(settings, [tuple(early), sight("1", AT, 30)])
    assert compute(settings, ["1"], AT)[0]["available_at"] == late


def test_batch_appends_what_is_new_and_changes_nothing(pipeline, settings):
    load(settings, [sight("1", AT, 10), sight("1", AT + timedelta(hours=1), 20)])
    assert STORIES.append_new(settings) == 2
    assert STORIES.append_new(settings) == 0
    before = fetch(settings, "select * from features.story_momentum order by event_at")
    late = sight("1", AT + timedelta(minutes=30), 12)
    load(settings, [late, sight("1", AT + timedelta(hours=2), 30)])
    assert STORIES.append_new(settings) == 2
    after = fetch(settings, "select * from features.story_momentum order by event_at")
    assert [row for row in after if row in before] == before
    # The row of one o'clock stays as it was known; the next ones see the late one too.
    assert len(after) == 4


# From the world to the online store


def test_story_that_changes_is_readable_online(pipeline, settings, world):
    pipeline.step()
    before = online(settings, *touched(settings))
    assert len(before) > 20
    for story in list(before)[:5]:
        item = world.item(story)
        seen = (before[story]["upvotes"], before[story]["comments"])
        assert seen == (item["score"], item["descendants"])
    world.now += 120
    pipeline.step()
    moved = [
        story for story in before
        if world.item(story)["score"] != before[story]["upvotes"] and story in world.changed()
    ]  # fmt: skip
    assert moved
    after = online(settings, *moved)
    assert all(after[each]["upvotes"] == world.item(each)["score"] for each in moved)
    assert fetch(settings, "select bool_and(is_synthetic) from features.story_momentum") == [
        (True,)
    ]


def test_place_on_the_front_page_is_that_of_the_front_page(pipeline, settings, world):
    top = httpx.get(f"{world.url}/{API}/topstories.json", trust_env=False).json()[:60]
    pipeline.step()
    ranks = {each: row["rank"] for each, row in online(settings, *touched(settings)).items()}
    listed = {story for story, rank in ranks.items() if rank is not None}
    assert listed == {str(each) for each in top} & set(ranks)
    assert listed
    assert all(top[ranks[story] - 1] == int(story) for story in listed)


def test_stream_and_batch_give_the_same_numbers(pipeline, settings, world):
    pipeline.land()
    earlier = datetime.now(UTC) - timedelta(minutes=40)
    load(settings, [sight(story, earlier, 1, 0) for story in touched(settings)])
    assert pipeline.push() == len(touched(settings))
    query = "select * from features.story_momentum where event_at > %s order by 1, 2"
    from_stream = fetch(settings, query, earlier)
    assert from_stream
    assert all(row[11] is not None for row in from_stream)  # upvotes_per_h
    with connect(settings.database_url) as conn:
        conn.execute("truncate features.story_momentum")
    STORIES.append_new(settings)
    assert fetch(settings, query, earlier) == from_stream
    # Online as offline.
    story = touched(settings)[0]
    now = datetime.now(UTC).isoformat()
    wanted = f"select '{story}' as story_id, timestamptz '{now}' as event_timestamp"
    offline = features.training_frame(wanted, "story_v1", settings).iloc[0]
    for name, value in online(settings, story)[story].items():
        if value is None:
            assert offline[name] != offline[name] or offline[name] is None, name
        else:
            assert offline[name] == (value if name == "story_id" else pytest.approx(value)), name


def test_only_what_is_young_enough_goes_online_from_a_batch(pipeline, settings):
    features.apply(settings)
    load(settings, [sight("901", AT, 10), sight("902", AT - timedelta(days=2), 10)])
    STORIES.append_new(settings)
    assert set(features.materialise(None, AT, settings, only=[VIEW])) == {VIEW}
    assert online(settings, "901")["901"]["upvotes"] == 10
    with pytest.raises(MissingFeatureError, match="story 902"):
        online(settings, "902")


# Offsets, and processes that end


def test_list_that_is_the_same_brings_no_rows(pipeline, settings, world):
    pipeline.step()
    rows, landed = touched(settings), offset(settings, LANDED)
    assert landed["through"] == offset(settings, PUSHED)["through"]
    [[before]] = fetch(settings, "select updated_at from ops.cursors where stream = %s", LANDED)
    assert pipeline.land() is None
    assert pipeline.push() == 0
    assert touched(settings) == rows
    assert offset(settings, LANDED) == landed
    [[after]] = fetch(settings, "select updated_at from ops.cursors where stream = %s", LANDED)
    assert after > before  # it has looked


def test_known_items_keep_the_time_at_which_they_were_known(pipeline, settings, world):
    pipeline.step()
    query = "select record_id, available_at from raw.records where kind = 'item' order by 1"
    before = dict(fetch(settings, query))
    world.now += 60
    pipeline.step()
    after = dict(fetch(settings, query))
    assert {story: after[story] for story in before} == before


def test_killed_between_commit_and_push_it_pushes_after_the_restart(pipeline, settings, world):
    world.now += 300
    pipeline.land()
    stale = {story: world.item(story)["score"] for story in touched(settings)}
    assert offset(settings, PUSHED)["through"] < offset(settings, LANDED)["through"]
    # The next process finds the list unchanged, and pushes.
    Pipeline(settings, updates(settings)).step()
    assert {each: row["upvotes"] for each, row in online(settings, *stale).items()} == stale
    assert offset(settings, PUSHED)["through"] == offset(settings, LANDED)["through"]


def test_killed_between_the_table_and_the_online_store_it_pushes_too(pipeline, settings, world):
    world.now += 300
    pipeline.land()
    since = datetime.fromisoformat(offset(settings, PUSHED)["through"])
    with connect(settings.database_url) as conn:
        appended = STORIES.append(conn, touched(settings), since)
    assert appended == len(touched(settings))
    Pipeline(settings, updates(settings)).step()
    [story, *_] = touched(settings)
    assert online(settings, story)[story]["upvotes"] == world.item(story)["score"]
    assert fetch(settings, "select count(*) from features.story_momentum") == [(appended,)]


def test_killed_between_bronze_and_commit_it_loads_from_bronze(
    pipeline, settings, world, monkeypatch
):
    pipeline.step()
    before = fetch(settings, "select max(event_at) from raw.records where kind = 'snapshot'")[0][0]
    world.now += 60

    def killed(*_: object) -> None:
        raise ServiceUnavailableError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(pipelines, "load_pages", killed)
        with pytest.raises(ServiceUnavailableError, match="killed"):
            pipeline.land()
    query = "select distinct record_id from raw.records where kind = 'snapshot' and event_at > %s"
    assert fetch(settings, query, before) == []
    # In the meantime the provider's list goes on, so that what it said is in bronze alone.
    seen = world.changed()
    world.now += 1200
    revived = Pipeline(settings, updates(settings))
    assert revived.recover() == 1
    assert {row[0] for row in fetch(settings, query, before)} == seen
    assert revived.push() == len(seen)
    assert revived.recover() == 0


# The gate


@dataclass
class Told:
    """A stream that says what it is told to."""

    settings: Settings
    stories: list[dict] = field(default_factory=list)
    table = STORIES
    every_s = 0.0

    @property
    def source(self) -> HackerNewsSource:
        return HackerNewsSource(self.settings)

    def look(self, seen: str) -> Look:
        now = datetime.now(UTC)
        entries = [
            {"id": item["id"], "observed_at": now.isoformat(), "body": json.dumps(item)}
            for item in self.stories
        ]
        body = json.dumps({"stories": entries}).encode()
        request = f"GET {self.settings.world_url}/{API}/updates.json#items"
        return Look(f"{now}", (Page("stories", "ZZ", 0, body, request, now),))


def story(number: int, score: int, **changes: object) -> dict:
    at = int(time.time()) - 3600
    return {
        "id": number, "type": "story", "title": f"Story {number}", "score": score,
        "descendants": 2, "time": at, "by": "somebody", **changes,
    }  # fmt: skip


def test_rows_that_cannot_be_become_dead_letters_and_the_others_go_on(pipeline, settings):
    stream = Told(settings, [story(1, 100), story(2, 100), story(3, 7)])
    told = Pipeline(settings, stream)
    told.step()
    tomorrow = int(time.time()) + 86_400
    stream.stories = [
        story(1, 101), story(2, 3), story(3, 8, time=tomorrow), story(4, 5, title=None),
    ]  # fmt: skip
    told.step()
    letters = fetch(
        settings, "select kind, reason, payload, bronze_key from ops.dead_letters order by reason"
    )
    assert [(kind, reason) for kind, reason, *_ in letters] == [
        ("snapshot", "gate keeps_upvotes: most upvotes are gone within an hour"),
        ("item", "gate not_ahead: it happened after it arrived"),
        ("story", "title is not a text: None"),
    ]
    assert json.loads(letters[0][2])["payload"]["upvotes"] == 3
    assert "/run=stream-" in letters[0][3]
    values = {each: row["upvotes"] for each, row in online(settings, "1", "2", "3").items()}
    assert values == {"1": 101, "2": 100, "3": 8}
    with pytest.raises(MissingFeatureError, match="story 4 "):
        online(settings, "4")


def test_replay_judges_as_the_stream_has(pipeline, settings):
    stream = Told(settings, [story(1, 100), story(2, 100)])
    told = Pipeline(settings, stream)
    time.sleep(1)  # the names of intervals know seconds: what lay there before is no part of this
    started = datetime.now(UTC).replace(microsecond=0)
    told.step()
    stream.stories = [story(1, 3), story(2, 101)]
    told.step()
    columns = "kind, record_id, event_at, available_at, payload, bronze_key"
    rows = f"select {columns} from raw.records order by 1, 2, 3"
    letters = "select kind, reason, payload, status from ops.dead_letters order by dead_letter_id"
    before = fetch(settings, rows), fetch(settings, letters)
    assert len(before[1]) == 1
    replayed = replay_bronze(stream.source, started, datetime.now(UTC))
    assert (replayed.pages, replayed.rejected, replayed.mended) == (2, 1, 0)
    assert (fetch(settings, rows), fetch(settings, letters)) == before


def test_wrong_sight_is_outlived_after_an_hour(pipeline, settings):
    now = datetime.now(UTC)
    load(settings, [sight("1", now - timedelta(minutes=61), 1_000_000)])
    Pipeline(settings, Told(settings, [story(1, 100)])).step()
    assert fetch(settings, "select count(*) from ops.dead_letters") == [(0,)]
    assert online(settings, "1")["1"]["upvotes"] == 100


# What does not answer


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_dead_online_store_is_waited_for_and_loses_nothing(pipeline, settings, world):
    world.now += 300
    tables.open_store(settings)
    dead = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{closed_port()}/0"})
    waiting = Pipeline(dead, updates(dead))
    for _ in range(2):
        with pytest.raises(ServiceUnavailableError, match="online store"):
            waiting.step()
        world.now += 60
    assert offset(settings, PUSHED)["through"] < offset(settings, LANDED)["through"]
    assert pipeline.push() == len(touched(settings))
    assert set(online(settings, *touched(settings))) == set(touched(settings))


@pytest.mark.parametrize("part", ["database_url", "world_url"])
def test_dead_service_does_not_end_the_consumer(pipeline, settings, part):
    address = f"127.0.0.1:{closed_port()}"
    urls = {"database_url": f"postgresql://x:y@{address}/z", "world_url": f"http://{address}"}
    dead = settings.model_copy(update={part: urls[part]})
    waiting, stop = Pipeline(dead, updates(dead)), threading.Event()
    thread = threading.Thread(target=consume, args=(waiting, stop, 0.1), daemon=True)
    thread.start()
    time.sleep(3)
    assert thread.is_alive()
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


# The service


def test_check_says_how_far_the_stream_is(pipeline, settings, world):
    check = health.stream("hackernews")
    with pytest.raises(ServiceUnavailableError, match="has not brought anything yet"):
        check(settings)
    pipeline.waiting("no route")
    with pytest.raises(health.ProviderAwaitedError, match="waiting for provider: no route"):
        check(settings)
    pipeline.step()
    rows = offset(settings, LANDED)["rows"]
    assert check(settings).endswith(f"s ago, {rows} rows so far")
    with connect(settings.database_url) as conn:
        conn.execute("update ops.cursors set updated_at = updated_at - interval '2 minutes'")
    with pytest.raises(ServiceUnavailableError, match="has not answered for 12"):
        check(settings)
    pipeline.waiting("no route")
    with pytest.raises(health.ProviderAwaitedError, match="no route"):
        check(settings)
    assert pipeline.land() is None
    assert check(settings).startswith("pushed 12")  # nothing has changed since
    world.now += 60
    pipeline.land()
    with pytest.raises(ServiceUnavailableError, match="nothing has been pushed online for 12"):
        check(settings)


def test_process_consumes_until_it_is_asked_to_stop(pipeline, settings, world, tmp_path):
    known = json.loads((settings.state_dir / "settings.json").read_text())
    known.pop("data_dir", None)  # where the tests' shell names archives, `up` has remembered them
    (tmp_path / "settings.json").write_text(json.dumps(known))
    environment = dict(
        os.environ, YTEMPIRE_STATE_DIR=str(tmp_path), DATABASE_URL=settings.database_url,
        YTEMPIRE_WORLD_URL=world.url,
    )  # fmt: skip
    environment.pop("YTEMPIRE_DATA_DIR", None)
    command = [sys.executable, "-m", "ml.streaming.consumer", "--source", "hackernews"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait(lambda: offset(settings, PUSHED).get("entities"), process, 120)
        assert " rows so far" in health.stream("hackernews")(settings)
        first = offset(settings, PUSHED)["through"]
        world.now += 60
        wait(lambda: offset(settings, PUSHED)["through"] > first, process, 60)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 5
    finally:
        process.kill()
        process.communicate()


def test_process_refuses_to_mix_with_archives(settings, tmp_path):
    environment = dict(
        os.environ, YTEMPIRE_STATE_DIR=str(settings.state_dir), YTEMPIRE_DATA_DIR=str(tmp_path)
    )
    command = [sys.executable, "-m", "ml.streaming.consumer", "--source", "hackernews"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "YTEMPIRE_DATA_DIR" in done.stderr


def wait(call, process: subprocess.Popen, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not call():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
