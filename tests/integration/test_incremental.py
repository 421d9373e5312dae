"""Incremental models: whatever comes in late, they hold the rows of a full refresh."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from ml import warehouse
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows

START = datetime(2026, 3, 1, 5, tzinfo=UTC)
DAYS, VIDEOS = 30, 8
FIRST = START + timedelta(days=20, hours=12)
SECOND = START + timedelta(days=DAYS)
# Of the last days before the first build.
SLOW_HOUR = 20 * 24
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
VIDEO_COLUMNS = (
    "source", "region", "video_id", "observed_at", "available_at", "ingested_at", "chart_rank",
    "title", "channel_id", "channel_title", "views", "bronze_key",
)  # fmt: skip
RECORD_COLUMNS = (
    "source", "kind", "record_id", "event_at", "available_at", "payload", "bronze_key",
)  # fmt: skip
COMMAND = [
    "build", "--select", "+int_topic_observations", "+int_source_hours", "+int_item_days",
    "+int_video_momentum", "+int_channel_histories", "+dim_channel",
    "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test",
]  # fmt: skip
TABLES = (
    "int_video_days", "int_videos", "int_video_momentum", "int_channel_histories",
    "int_observations", "int_source_hours", "int_item_days", "int_topic_observations",
)  # fmt: skip
# Videos that are gone long before the first build: channel, first day, and days that show it.
GONE = {8: ("channel8", 0, 3), 9: ("channel8", 3, 3), 10: ("channel9", 0, 3)}
# One of the same channel that is only heard of after it.
FOUND_LATE = 11
# Topics of videos and stories: before the first build, and what clustering said after it.
TOPICS = {
    **{("youtube", f"video{video:06d}"): f"topic{video % 2}" for video in range(VIDEOS - 1)},
    **{("hackernews", str(story)): "topic0" for story in range(4)},
}
LATER_TOPICS = {("youtube", "video000005"): "topic0", ("hackernews", "4"): "topic1"}
LOST_TOPIC = ("hackernews", "1")


def video_row(video: int, day: int, region: str = "US", **changes: object) -> tuple:
    seen = START + timedelta(days=day, seconds=video)
    row = {
        "source": "youtube-trending",
        "region": region,
        "video_id": f"video{video:06d}",
        "observed_at": seen,
        "available_at": seen,
        "ingested_at": datetime.now(UTC),
        "chart_rank": video + 1,
        "title": f"Title {video}",
        "channel_id": f"channel{video}",
        "channel_title": "Old name" if day <= 20 else "New name",
        "views": 1000 * (video + 1) * (day + 1),
        "bronze_key": "raw/run=first/page.json.gz",
    }
    return tuple((row | changes)[name] for name in VIDEO_COLUMNS)


def record_row(kind: str, story: int, hours: int, payload: dict) -> tuple:
    at = START + timedelta(hours=hours)
    return ("hackernews", kind, str(story), at, at, json.dumps(payload), "raw/run=first/x")


def at(day: float) -> dict[str, datetime]:
    moment = START + timedelta(days=day)
    return {"observed_at": moment, "available_at": moment}


def seed() -> tuple[list[tuple], list[tuple]]:
    videos = [video_row(video, day) for video in range(VIDEOS) for day in range(21)]
    videos += [
        video_row(video, first + day, channel_id=channel)
        for video, (channel, first, days) in GONE.items()
        for day in range(days)
    ]
    # Loaded before the first build and known only after it.
    videos.append(video_row(0, 1, "DE", available_at=FIRST + timedelta(days=1)))
    records = [record_row("item", n, 0, {"title": f"Story {n}"}) for n in range(5)]
    records += [
        record_row("snapshot", n, hour, {"rank": n + 1, "upvotes": hour * (n + 1)})
        for n in range(5)
        for hour in range(1, 9)
    ]
    records += [
        record_row("snapshot", 2, SLOW_HOUR + n, {"rank": 3, "upvotes": 500 + n}) for n in range(2)
    ]
    return videos, records


def later() -> tuple[list[tuple], list[tuple]]:
    videos = [video_row(video, day) for video in range(VIDEOS) for day in range(21, DAYS)]
    # Late by more than the window, found by its loading time: it changes a day that is built.
    videos.append(video_row(1, 2, "GB", views=9_999_999, **at(2.5)))
    videos.append(video_row(FOUND_LATE, 2, channel_id="channel8", views=5))
    # Of a transaction that began long before the first build and ended after it.
    videos.append(video_row(2, 15, "GB", views=8_888_888, ingested_at=LONG_AGO))
    records = [record_row("snapshot", 3, 5, {"rank": 40, "upvotes": 77})]
    records.append(record_row("snapshot", 4, 500, {"rank": 2, "upvotes": 5000}))
    return videos, records


def load(settings: Settings, rows: tuple[list[tuple], list[tuple]]) -> None:
    with connect(settings.database_url) as conn:
        copy_rows(conn, "raw.youtube_videos", VIDEO_COLUMNS, rows[0])
        # What a later observation of the same key does to a row that is there.
        conn.execute(
            "delete from raw.records where record_id = '3' and kind = 'snapshot'"
            " and event_at = any(%s)",
            ([row[3] for row in rows[1] if row[2] == "3"],),
        )
        copy_rows(conn, "raw.records", RECORD_COLUMNS, rows[1])


def update_slowly(settings: Settings) -> None:
    """A transaction that began before the newest row of its story was loaded, and ended later."""
    with connect(settings.database_url) as conn:
        conn.execute(
            "update raw.records set payload = payload || '{\"upvotes\": 444}',"
            " ingested_at = ingested_at - interval '1 minute'"
            " where record_id = '2' and kind = 'snapshot' and event_at = %s",
            (START + timedelta(hours=SLOW_HOUR),),
        )


def assign(settings: Settings, topics: dict[tuple[str, str], str], as_of: datetime) -> None:
    with connect(settings.database_url) as conn:
        conn.execute(
            "insert into ml.topics (topic_id, label, language, first_seen_at, last_seen_at)"
            " select 'topic' || n, 'Topic', 'en', %(at)s, %(at)s from generate_series(0, 1) as n"
            " on conflict do nothing",
            {"at": START},
        )
        for key, topic in topics.items():
            conn.execute(
                "insert into ml.topic_assignments"
                " (source, content_id, topic_id, similarity, assigned_as_of)"
                " values (%s, %s, %s, 0.9, %s) on conflict (source, content_id) do update"
                " set topic_id = excluded.topic_id",
                (*key, topic, as_of),
            )


def fetch(settings: Settings, query: str, *values: object) -> list[tuple]:
    with connect(settings.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def contents(settings: Settings) -> dict[str, list[tuple]]:
    """The rows of the incremental tables, without which build wrote them."""
    return {
        table: fetch(
            settings,
            f"select to_jsonb(t) - 'built_as_of' - 'build_number' as row"
            f" from intermediate.{table} as t order by 1",
        )
        for table in TABLES
    }


@dataclass
class Builds:
    """What the tables held after each build."""

    first: dict[str, list[tuple]]
    incremental: dict[str, list[tuple]]
    kept: dict[str, int]
    full: dict[str, list[tuple]]
    again: dict[str, list[tuple]]
    channels: dict[str, list[tuple]]


@pytest.fixture(scope="module")
def builds(own_database: Settings) -> Builds:
    """Two builds with late rows in between, a full one of the same moment, one of the past."""
    channels = {}

    def build(name: str, as_of: datetime) -> dict[str, list[tuple]]:
        warehouse.run_dbt(COMMAND, as_of=as_of, settings=own_database)
        channels[name] = fetch(
            own_database,
            "select version, title, valid_from, is_current from marts_build.dim_channel"
            " where channel_key = 'channel3' order by version",
        )
        return contents(own_database)

    load(own_database, seed())
    assign(own_database, TOPICS, START)
    first = build("first", FIRST)
    load(own_database, later())
    update_slowly(own_database)
    assign(own_database, LATER_TOPICS, START)
    with connect(own_database.database_url) as conn:
        conn.execute(
            "delete from ml.topic_assignments where source = %s and content_id = %s", LOST_TOPIC
        )
    incremental = build("incremental", SECOND)
    kept = {
        table: fetch(
            own_database, f"select count(*) from intermediate.{table} where built_as_of = %s", FIRST
        )[0][0]
        for table in TABLES
    }
    with connect(own_database.database_url) as conn:
        for table in TABLES:
            conn.execute(f"drop table intermediate.{table} cascade".encode())
    full = build("full", SECOND)
    again = build("again", FIRST)
    return Builds(first, incremental, kept, full, again, channels)


@pytest.mark.parametrize("table", TABLES)
def test_late_rows_end_at_the_rows_of_a_full_refresh(builds, table):
    assert builds.incremental[table] == builds.full[table]
    assert builds.incremental[table] != builds.first[table]


@pytest.mark.parametrize("table", TABLES)
def test_rows_that_nothing_touched_are_not_written_again(builds, table):
    assert 0 < builds.kept[table] < len(builds.first[table])


def test_late_rows_of_every_kind_are_in(builds):
    days = {
        (row["video_id"], row["observed_date"]): row for (row,) in builds.full["int_video_days"]
    }
    assert days["video000001", "2026-03-03"]["views"] == 9_999_999
    assert days["video000002", "2026-03-16"]["views"] == 8_888_888
    assert days["video000000", "2026-03-02"]["regions_listed"] == 2
    assert len(days) == VIDEOS * DAYS + sum(days for *_, days in GONE.values()) + 1
    hours = {
        (row["content_id"], row["observed_hour"]): row["attention"]
        for (row,) in builds.full["int_observations"]
        if row["source"] == "hackernews"
    }
    assert hours["3", "2026-03-01T10:00:00+00:00"] == 77
    assert hours["3", "2026-03-01T11:00:00+00:00"] == 24
    [slow] = [
        row["attention"]
        for (row,) in builds.incremental["int_topic_observations"]
        if (row["item_id"], row["observed_hour"]) == ("2", "2026-03-21T05:00:00+00:00")
    ]
    assert slow == 444


def test_a_video_found_late_counts_for_those_of_its_channel_that_came_after_it(builds):
    def histories(build: str) -> dict[str, tuple]:
        return {
            row["video_id"]: (
                row["channel_videos_before"],
                row["channel_median_log_views_before"]
                and round(math.exp(row["channel_median_log_views_before"])),
            )
            for (row,) in getattr(builds, build)["int_channel_histories"]
        }

    first = histories("first")
    assert (first["video000008"], first["video000009"]) == ((0, None), (1, 9000))
    # Its middle lies between 9,000 views and the 5 of the late one, on a scale of logarithms.
    found = histories("incremental")
    assert (found["video000011"], found["video000009"]) == ((1, 9000), (2, 212))
    assert found["video000008"] == (0, None)


def test_items_are_with_the_topic_that_they_have_now(builds):
    topics = {row["item_id"]: row["topic_id"] for (row,) in builds.full["int_topic_observations"]}
    assert topics["video000005"] == "topic0"
    assert topics["4"] == "topic1"
    assert LOST_TOPIC[1] not in topics
    before = {row["item_id"]: row["topic_id"] for (row,) in builds.first["int_topic_observations"]}
    assert (before["video000005"], before[LOST_TOPIC[1]]) == ("topic1", "topic0")


KNOWN = {
    "int_video_days": "select count(distinct (video_id, (observed_at at time zone 'UTC')::date))"
    " from raw.youtube_videos where available_at <= %(now)s",
    "int_observations": "select (select count(distinct (region, video_id,"
    " date_trunc('hour', observed_at))) from raw.youtube_videos where available_at <= %(now)s)"
    " + (select count(distinct (record_id, date_trunc('hour', event_at))) from raw.records"
    " where available_at <= %(now)s)",
    "int_videos": "select count(distinct video_id) from raw.youtube_videos"
    " where available_at <= %(now)s",
    "int_item_days": "select count(distinct (region, video_id,"
    " (observed_at at time zone 'UTC')::date)) from raw.youtube_videos"
    " where available_at <= %(now)s",
    "int_source_hours": "select (select count(distinct date_trunc('hour', observed_at))"
    " from raw.youtube_videos where available_at <= %(now)s)"
    " + (select count(distinct date_trunc('hour', event_at)) from raw.records"
    " where available_at <= %(now)s)",
    "int_topic_observations": "select count(distinct (content_type, item_id, observed_hour))"
    " from intermediate.int_observations as seen inner join intermediate.int_topic_items as items"
    " using (content_type) where items.content_id = seen.item_id"
    " and seen.available_at <= %(now)s",
}
KNOWN["int_video_momentum"] = KNOWN["int_video_days"]
KNOWN["int_channel_histories"] = KNOWN["int_videos"]


@pytest.mark.parametrize("table", TABLES)
def test_a_build_of_the_past_forgets_what_was_not_known_then(own_database, builds, table):
    with connect(own_database.database_url) as conn:
        (known,) = conn.execute(KNOWN[table].encode(), {"now": FIRST}).fetchone()
    assert len(builds.again[table]) == known
    latest = max(row["available_at"] for (row,) in builds.again[table])
    assert datetime.fromisoformat(latest) <= FIRST


def test_the_history_of_a_channel_is_the_same_however_it_was_built(builds):
    old, new = START + timedelta(seconds=3), START + timedelta(days=21, seconds=3)
    both = [(1, "Old name", old, False), (2, "New name", new, True)]
    assert builds.channels == {
        "first": [(1, "Old name", old, True)],
        "incremental": both,
        "full": both,
        "again": [(1, "Old name", old, True)],
    }


def test_the_snapshot_keeps_each_version_at_the_time_of_the_data(own_database, builds):
    rows = fetch(
        own_database, "select title, dbt_valid_from, dbt_valid_to from snapshots.channel_states"
        " where channel_key = 'channel3' order by dbt_valid_from"
    )  # fmt: skip
    old, new = START + timedelta(seconds=3), START + timedelta(days=21, seconds=3)
    assert [row[0] for row in rows] == ["Old name", "New name"]
    assert [row[1] for row in rows] == [old, new]
    assert rows[0][2] == rows[1][1]
    assert rows[1][2] is None
