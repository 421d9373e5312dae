from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from ml import warehouse
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows
from ml.topics import TopicCounts, assign_topics, current_topic

START = datetime(2031, 3, 1, 6, tzinfo=UTC)
VIDEO_COLUMNS = (
    "source", "region", "video_id", "observed_at", "available_at", "chart_rank", "title",
    "channel_title",
    "published_at", "tags", "language", "views", "bronze_key",
)  # fmt: skip
RECORD_COLUMNS = (
    "source", "kind", "record_id", "event_at", "available_at", "payload", "bronze_key",
)  # fmt: skip
STORM = (
    "Hurricane Ada destroys the harbour of Portville",
    "Live footage of Hurricane Ada in Portville",
    "Hurricane Ada: drone flight over flooded Portville",
    "Tracking Hurricane Ada, 8 pm advisory",
    "Hurricane Ada death toll rises to ten",
)
PHONE = (
    "Nova Phone 9 hands-on and first impressions",
    "Nova Phone 9 unboxing: is the camera any good?",
    "Nova Phone 9 against Nova Phone 8",
)
CHESS = ("Grandmaster Lind wins the world chess title", "How Lind won the world chess championship")


def video(number: int, title: str, day: int, tags: tuple[str, ...] = ()) -> tuple:
    at = START + timedelta(days=day, minutes=number)
    return (
        "youtube-trending", "US", f"topicvid{number:03d}", at, at, number + 1, title,
        f"Channel {number}", at, list(tags), "en", 10_000 - number, "raw/test",
    )  # fmt: skip


def record(source: str, kind: str, number: str, day: int, **payload: object) -> tuple:
    at = START + timedelta(days=day, hours=1)
    return (source, kind, number, at, at, json.dumps(payload), "raw/test")


VIDEOS = [
    *(video(n, title, 0, ("hurricane ada", "weather")) for n, title in enumerate(STORM)),
    *(video(20 + n, title, 0, ("nova phone 9",)) for n, title in enumerate(PHONE)),
    video(40, "#shorts", 0),
    video(41, "LIVE 🔴", 0),
]
RECORDS = [
    record("hackernews", "item", "9001", 0, title="Hurricane Ada takes a data centre offline"),
    record("hackernews", "snapshot", "9001", 0, upvotes=300),
    record("reddit", "post", "p1", 0, title=CHESS[0], author="a", upvotes=50),
    record("gdelt", "article", "g1", 0, title=CHESS[1], language="en"),
    record(
        "github-trending", "listing", "acme/solar-roof", 0, desc="Simulates solar panels on roofs"
    ),
    record("youtube_channels", "channel", "c1", 0, title="A channel is no post"),
]


@pytest.fixture(scope="module")
def lake(own_database: Settings, tmp_path_factory) -> Settings:
    """Settings of a database with staging views."""
    settings = own_database.model_copy(update={"data_dir": tmp_path_factory.mktemp("archives")})
    warehouse.run_dbt(["run", "--select", "path:models/staging"], as_of=START, settings=settings)
    return settings


@pytest.fixture
def world(lake: Settings) -> Settings:
    """The same with the first day's items and no topics."""
    with connect(lake.database_url) as conn:
        conn.execute(
            "truncate ml.topics, ml.topic_assignments, ml.topic_changes, ml.content_embeddings,"
            " raw.youtube_videos, raw.records"
        )
    load(lake, VIDEOS, RECORDS)
    return lake


def load(lake: Settings, videos: list[tuple], records: list[tuple] | None = None) -> None:
    with connect(lake.database_url) as conn:
        copy_rows(conn, "raw.youtube_videos", VIDEO_COLUMNS, videos)
        copy_rows(conn, "raw.records", RECORD_COLUMNS, records or [])


def run(lake: Settings, day: int = 0) -> TopicCounts:
    return assign_topics(START + timedelta(days=day, hours=12), settings=lake)


def fetch(lake: Settings, query: str, *values: object) -> list[tuple]:
    with connect(lake.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def everything(lake: Settings) -> list[list[tuple]]:
    tables = {
        "ml.topics": "topic_id",
        "ml.topic_assignments": "source, content_id",
        "ml.topic_changes": "topic_id, other_topic_id",
        "ml.content_embeddings": "content_type, content_id",
    }
    return [fetch(lake, f"select * from {table} order by {key}") for table, key in tables.items()]


def outcome(lake: Settings) -> list[list[tuple]]:
    """What a run decides, without when it was written."""
    return [
        fetch(lake, "select topic_id, label, language, items, keywords from ml.topics order by 1"),
        fetch(lake, "select content_id, topic_id, similarity from ml.topic_assignments order by 1"),
    ]


def topic_of(lake: Settings, content_id: str) -> str:
    query = "select topic_id from ml.topic_assignments where content_id = %s"
    [[topic]] = fetch(lake, query, content_id)
    return topic


def test_items_of_all_sources_become_topics_and_junk_does_not(world):
    counts = run(world)
    assert counts.items == counts.assigned == counts.embedded == 12
    assert counts.junk == {"boilerplate": 1, "hashtags": 1}
    storm = topic_of(world, "topicvid000")
    assert {topic_of(world, f"topicvid{n:03d}") for n in range(5)} == {storm}
    assert topic_of(world, "9001") == storm
    assert topic_of(world, "p1") == topic_of(world, "g1") != storm
    assert fetch(world, "select 1 from ml.topic_assignments where content_id = 'c1'") == []
    [row] = fetch(
        world,
        "select label, language, items, status, keywords ->> 0 from ml.topics where topic_id = %s",
        storm,
    )
    assert row == ("Hurricane Ada", "en", 6, "active", "hurricane ada")
    assert counts.topics == counts.new_topics == len(fetch(world, "select 1 from ml.topics"))
    # Centroids are searched like items, through the same index.
    near = fetch(
        world,
        "select t.content_id from ml.content_embeddings as t, ml.content_embeddings as item"
        " where t.content_type = 'topic_centroid' and item.content_id = 'topicvid003'"
        " order by t.embedding <=> item.embedding limit 1",
    )
    assert near == [(storm,)]


def test_a_second_run_and_a_run_for_an_earlier_moment_change_nothing(world):
    run(world)
    before = everything(world)
    again = run(world)
    assert (again.assigned, again.embedded, again.new_topics, again.merged) == (0, 0, 0, 0)
    assert everything(world) == before
    load(world, [video(60, "Deep sea robots find a shipwreck", 1)])
    run(world, day=1)
    after = everything(world)
    assert run(world).assigned == 0
    assert everything(world) == after


def test_ids_stay_from_day_to_day(world):
    run(world)
    before = dict(fetch(world, "select content_id, topic_id from ml.topic_assignments"))
    for day in range(1, 4):
        news = [
            video(100 * day + n, f"{title}, day {day}", day, ("hurricane ada",))
            for n, title in enumerate(STORM)
        ]
        load(world, [*news, video(100 * day + 50, f"Recipe number {day} for lemon cake", day)])
        counts = run(world, day)
        assert counts.assigned == counts.embedded == 6
    after = dict(fetch(world, "select content_id, topic_id from ml.topic_assignments"))
    assert before.items() <= after.items()
    storm = topic_of(world, "topicvid000")
    assert sum(topic == storm for topic in after.values()) == 6 + 3 * 5
    assert fetch(world, "select * from ml.topic_changes") == []


def test_merge_is_recorded_and_the_merged_id_leads_to_the_other(world):
    run(world)
    storm = topic_of(world, "topicvid000")
    with connect(world.database_url) as conn:
        # A second topic about the storm, as if another source had brought it up by itself.
        conn.execute(
            "insert into ml.topics (topic_id, label, first_seen_at, last_seen_at, items)"
            " select 't_other', 'Ada', first_seen_at, last_seen_at, 2 from ml.topics"
            " where topic_id = %s",
            (storm,),
        )
        conn.execute(
            "update ml.topic_assignments set topic_id = 't_other' where content_id in"
            " ('topicvid001', '9001')"
        )
        conn.execute(
            "insert into ml.content_embeddings (content_id, content_type, embedding, model_version)"
            " select 't_other', 'topic_centroid', avg(embedding), 'all-MiniLM-L6-v2'"
            " from ml.content_embeddings where content_id in ('topicvid001', '9001')"
        )
    load(world, [video(61, "Hurricane Ada leaves Portville", 1, ("hurricane ada",))])
    counts = run(world, day=1)
    assert counts.merged == 1
    [change] = fetch(world, "select topic_id, kind, other_topic_id, items from ml.topic_changes")
    gone, left = change[0], change[2]
    assert {gone, left} == {"t_other", storm}
    assert change[1] == "merge"
    assert {topic_of(world, key) for key in ("topicvid000", "topicvid001", "9001")} == {left}
    assert fetch(
        world, "select status, merged_into, items from ml.topics where topic_id = %s", gone
    ) == [("merged", left, 0)]
    with connect(world.database_url) as conn:
        assert current_topic(conn, gone) == current_topic(conn, left) == left
        assert current_topic(conn, "t_never") is None
    state = everything(world)
    assert run(world, day=1).merged == 0
    assert everything(world) == state


def test_split_is_recorded_and_the_larger_part_keeps_the_id(world):
    run(world)
    storm = topic_of(world, "topicvid000")
    with connect(world.database_url) as conn:
        conn.execute(
            "update ml.topic_assignments set topic_id = %s where content_id like 'topicvid02%%'",
            (storm,),
        )
    load(world, [video(62, "Hurricane Ada is over, say Portville officials", 1)])
    counts = run(world, day=1)
    assert counts.split == 1
    [change] = fetch(world, "select topic_id, kind, other_topic_id, items from ml.topic_changes")
    assert (change[0], change[1], change[3]) == (storm, "split", 3)
    assert topic_of(world, "topicvid000") == topic_of(world, "topicvid062") == storm
    assert {topic_of(world, f"topicvid02{n}") for n in range(3)} == {change[2]}
    [[label]] = fetch(world, "select label from ml.topics where topic_id = %s", change[2])
    assert "Nova Phone 9" in label


def test_topic_that_is_not_seen_goes_dormant_and_takes_no_more_items(world):
    run(world)
    storm = topic_of(world, "topicvid000")
    load(world, [video(63, STORM[0], 40, ("hurricane ada", "weather"))])
    counts = run(world, day=40)
    assert counts.dormant > 0
    assert fetch(world, "select status from ml.topics where topic_id = %s", storm) == [("dormant",)]
    assert topic_of(world, "topicvid063") != storm
    # A late run for the first days finds the topic as it was then.
    load(world, [video(64, "Hurricane Ada: what we know", 1, ("hurricane ada",))])
    run(world, day=1)
    assert topic_of(world, "topicvid064") == storm
    assert fetch(world, "select status from ml.topics where topic_id = %s", storm) == [("dormant",)]


CALL = """
import sys
from datetime import datetime
from ml.topics import assign_topics
assign_topics(datetime.fromisoformat(sys.argv[1]))
"""


def test_a_run_killed_in_the_middle_leaves_nothing_but_embeddings(world):
    environment = dict(
        os.environ,
        YTEMPIRE_STATE_DIR=str(world.state_dir),
        DATABASE_URL=world.database_url,
        YTEMPIRE_DATA_DIR=str(world.data_dir),
    )
    as_of = (START + timedelta(hours=12)).isoformat()
    with connect(world.database_url) as blocker:
        # Holds the run up once its embeddings are kept and its topics are not.
        blocker.execute("lock table ml.topic_assignments in exclusive mode")
        process = subprocess.Popen([sys.executable, "-c", CALL, as_of], env=environment)
        deadline = time.monotonic() + 120
        waiting = "select count(*) from pg_locks where not granted"
        while fetch(world, waiting) == [(0,)]:
            assert process.poll() is None, "the run ended before it was held up"
            assert time.monotonic() < deadline
            time.sleep(0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert fetch(world, "select count(*) from ml.topics") == [(0,)]
    counts = run(world)
    assert (counts.embedded, counts.assigned) == (0, 12)
    killed = outcome(world)
    with connect(world.database_url) as conn:
        conn.execute(
            "truncate ml.topics, ml.topic_assignments, ml.topic_changes, ml.content_embeddings"
        )
    run(world)
    assert outcome(world) == killed


def test_topics_of_all_sources_reach_the_marts(world):
    run(world)
    with connect(world.database_url) as conn:
        conn.execute("analyze raw.youtube_videos")
    warehouse.run_dbt(
        ["build", "--select", "+dim_topic", "--exclude", "test_type:unit"],
        as_of=START + timedelta(hours=12),
        settings=world,
    )
    rows = fetch(
        world,
        "select label, items, videos, stories, posts, status from marts_build.dim_topic"
        " where topic_id in (%s, %s) order by items desc",
        topic_of(world, "topicvid000"),
        topic_of(world, "p1"),
    )
    assert rows[0] == ("Hurricane Ada", 6, 5, 1, 0, "active")
    assert rows[1][1:5] == (2, 0, 0, 2)
