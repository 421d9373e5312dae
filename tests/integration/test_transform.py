from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psutil
import psycopg
import pytest
from psycopg import sql

from ml import features, warehouse
from ml.exceptions import ConfigurationError, FatalError, GateError, ServiceUnavailableError
from ml.gates import RowFilter, run_gate
from ml.settings import Settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect, copy_rows

START = datetime(2026, 3, 1, 5, tzinfo=UTC)
DAYS, VIDEOS = 6, 30
AS_OF = START + timedelta(days=DAYS - 1, hours=3)
VIDEO_COLUMNS = (
    "source", "region", "video_id", "observed_at", "available_at", "chart_rank", "title",
    "channel_id", "published_at", "tags", "duration_s", "views", "likes", "comments",
    "regions_listed", "bronze_key",
)  # fmt: skip
RECORD_COLUMNS = (
    "source", "kind", "record_id", "event_at", "available_at", "payload", "bronze_key",
)  # fmt: skip


def video_row(index: int, day: int, source: str = "youtube-panel", **changes: object) -> tuple:
    seen = START + timedelta(days=day, seconds=index)
    panel = source == "youtube-panel"
    row = {
        "source": source,
        "region": "ZZ" if panel else "US",
        "video_id": f"video{index:06d}",
        "observed_at": seen if panel else seen + timedelta(hours=1),
        "available_at": seen if panel else seen + timedelta(hours=1),
        "chart_rank": index % 50 + 1,
        "title": f"Title {index}",
        "channel_id": f"channel{index % 7}",
        "published_at": START - timedelta(days=1),
        "tags": ["a", "b"] if index % 2 else None,
        "duration_s": 60.0 + index,
        "views": 1000 * (index + 1) * 2**day,
        "likes": None if index % 10 == 0 else 10 * (index + 1),
        "comments": 5 * (index + 1),
        "regions_listed": 3 if panel else None,
        "bronze_key": f"raw/source={source}/run=first/page.json.gz",
    }
    return tuple((row | changes)[name] for name in VIDEO_COLUMNS)


def record_row(kind: str, story: int, hours: int, payload: dict) -> tuple:
    at = START + timedelta(hours=hours)
    return ("hackernews", kind, str(story), at, at, json.dumps(payload), "raw/run=first/x")


def seed(conn: psycopg.Connection) -> None:
    videos = [video_row(index, day) for index in range(VIDEOS) for day in range(DAYS)]
    videos += [video_row(index, day, "youtube-trending") for index in range(40) for day in range(2)]
    copy_rows(conn, "raw.youtube_videos", VIDEO_COLUMNS, videos)
    stories = [record_row("item", n, 0, {"title": f"Story {n}", "author": "a"}) for n in range(10)]
    stories += [
        record_row("snapshot", n, hour, {"rank": n + 1, "upvotes": hour * n, "comments": None})
        for n in range(10)
        for hour in range(4)
    ]
    copy_rows(conn, "raw.records", RECORD_COLUMNS, stories)
    conn.execute(
        "insert into ml.topics (topic_id, label, language, first_seen_at, last_seen_at)"
        " select 'topic' || n, 'Topic ' || n, 'en', %s, %s from generate_series(0, 2) as n",
        (START, AS_OF),
    )
    conn.execute(
        "insert into ml.topic_assignments (source, content_id, topic_id, similarity,"
        " assigned_as_of) select distinct 'youtube', video_id, 'topic' ||"
        " mod(right(video_id, 1)::int, 3), 0.9, %s::timestamptz from raw.youtube_videos",
        (AS_OF,),
    )


@pytest.fixture(scope="module")
def lake(own_database: Settings) -> Settings:
    """Settings of a seeded database."""
    with connect() as conn:
        seed(conn)
    return own_database


def build(lake: Settings, *args: str, as_of: datetime = AS_OF) -> warehouse.DbtSummary:
    return warehouse.run_dbt(["build", *args], as_of=as_of, settings=lake)


def rebuild_features(lake: Settings, as_of: datetime = AS_OF) -> None:
    """Build what the feature tables are made of again, without the tests of the first build."""
    untested = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
    build(lake, "--select", "+path:models/features", *untested, as_of=as_of)


def rebuild_marts(lake: Settings) -> None:
    """Put what dbt would build of the same rows where it leaves it: publications only move it."""
    with connect(lake.database_url) as conn:
        conn.execute("drop schema marts_build cascade; create schema marts_build")
        for name in warehouse.mart_names():
            conn.execute(
                sql.SQL("create table {build} as select * from {mart}").format(
                    build=sql.Identifier("marts_build", name), mart=sql.Identifier("marts", name)
                )
            )


@pytest.fixture(scope="module")
def published(lake: Settings) -> warehouse.Publication:
    """A first build, through both gates, published as `first`."""
    for gate in ("raw_youtube_videos", "raw_records"):
        run_gate(gate, run_id="first", as_of=AS_OF, settings=lake)
    build(lake)
    for gate in ("fct_video_daily", "dim_topic"):
        run_gate(gate, run_id="first", as_of=AS_OF, settings=lake)
    return warehouse.publish_marts("first", AS_OF, settings=lake)


def fetch(lake: Settings, query: str, *values: object) -> list[tuple]:
    with connect(lake.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def shown(lake: Settings) -> dict[str, str]:
    """Which stored table each view of `marts` reads."""
    rows = fetch(
        lake, "select viewname, definition from pg_views where schemaname = 'marts' order by 1"
    )
    return {name: re.search(r"marts_store\.(\w+)", text)[1] for name, text in rows}


def test_the_analyst_reads_the_published_marts_and_nothing_else(lake, published):
    assert set(published.rows) == set(warehouse.mart_names())
    expected = {"dim_topic": 3, "fct_video_daily": VIDEOS * DAYS + 10 * 2}
    assert {name: published.rows[name] for name in expected} == expected
    with connect(lake.analyst_database_url) as conn:
        row = conn.execute(
            "select views, views_gained, log_growth_1d, source, topic_id"
            " from marts.fct_video_daily where video_id = 'video000004' and day_number = 1"
        ).fetchone()
        assert row == (10_000, 5_000, pytest.approx(0.693147), "youtube-panel", "topic1")
        label, videos, gained, before = conn.execute(
            "select label, videos, views_gained, views_gained_before from marts.dim_topic"
            " where topic_id = 'topic0'"
        ).fetchone()
        assert (label, videos) == ("Topic 0", 16)
        # Views double each day: the last three days gain 4 + 8 + 16, the days before 1 + 2, times
        # 1000 views for the first video, 2000 for the second, ...; chart videos end on day 1.
        panel = sum(1000 * (n + 1) for n in range(30) if n % 10 % 3 == 0)
        charts = sum(1000 * (n + 1) for n in range(30, 40) if n % 10 % 3 == 0)
        assert (gained, before) == (28 * panel, 3 * panel + charts)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("select * from marts_store." + shown(lake)["dim_topic"])


def test_the_views_carry_the_documentation(lake, published):
    (text,) = fetch(
        lake, "select col_description('marts.fct_video_daily'::regclass, attnum) from pg_attribute"
        " where attrelid = 'marts.fct_video_daily'::regclass and attname = 'engagement_rate'"
    )  # fmt: skip
    assert "null below 100 views" in text[0]


def test_feature_tables_have_exactly_the_agreed_columns(lake, published):
    rows = fetch(
        lake, "select table_name, string_agg(column_name, ' ' order by ordinal_position)"
        " from information_schema.columns where table_schema = 'features' group by 1"
    )  # fmt: skip
    assert dict(rows) == {
        "channel_history": "channel_id event_at available_at is_synthetic videos_listed videos_new"
        " log_views log_views_per_video views_gained engagement_rate best_rank"
        " most_regions subscribers days_since_listed days_since_first days_listed"
        " videos_so_far days_listed_7d videos_new_7d views_gained_7d videos_listed_most"
        " best_rank_so_far engagement_rate_mean",
        "query_momentum": "query_id event_at available_at is_synthetic posts_1h posts_6h posts_24h"
        " authors_1h authors_24h hours_covered log_growth_1h log_growth_6h engagements_24h"
        " engagements_per_post_24h observed_hour observed_dow",
        "segment_interest": "segment_id event_at available_at is_synthetic topics items items_new"
        " item_hours new_share top_topic_share topic_entropy views_gained"
        " likes_per_comment days_since_seen days_seen items_7d items_new_7d"
        " topics_mean_7d topic_entropy_mean_7d",
        "story_momentum": "story_id event_at available_at is_synthetic upvotes comments rank"
        " log_upvotes comments_per_upvote age_h hours_since_previous upvotes_per_h comments_per_h"
        " observed_hour observed_dow rank_before best_rank hours_since_entry entry_upvotes"
        " entry_comments entry_rank log_growth_since_entry upvotes_per_h_since_entry"
        " rank_change_since_entry",
        "story_profile": "story_id event_at available_at is_synthetic overtaken_hours"
        " age_by_id_hours title_chars title_words title_is_question title_has_number title_has_year"
        " title_names_medium is_show is_ask has_link host_stories_before host_mean_log_upvotes"
        " host_reach_share author_stories_before author_mean_log_upvotes author_reach_share",
        "topic_momentum": "topic_id event_at available_at is_synthetic items items_new sources"
        " views_gained items_window items_window_before growth acceleration views_growth"
        " age_days items_so_far novelty lead_hours youtube_lag_hours",
        "video_momentum": "video_id event_at available_at is_synthetic day_number"
        " hours_since_first hours_since_previous views likes comments log_views log_growth_1d"
        " views_per_hour like_rate comment_rate engagement_rate like_growth_1d comment_growth_1d"
        " age_hours log_age_hours lifetime_views_per_hour regions_listed regions_change_1d"
        " best_rank rank_change_1d observed_hour observed_dow is_weekend",
        "video_profile": "video_id event_at available_at is_synthetic category_id language"
        " duration_s log_duration title_chars title_words title_caps_share title_has_question"
        " title_has_number title_emoji_count tag_count made_for_kids published_hour published_dow"
        " channel_videos_before channel_median_log_views_before",
        "video_dynamics": "video_id event_at available_at is_synthetic days_observed days_missed"
        " first_log_views growth_since_first growth_per_day previous_log_growth_1d"
        " growth_change_1d log_views_gained recent_to_lifetime speed_change_1d"
        " speed_to_fastest power_exponent first_log_speed log_likes log_comments"
        " log_likes_per_comment likes_per_hour comments_per_hour like_lead_1d"
        " comment_lead_1d like_growth_change_1d like_rate_change_1d"
        " comment_rate_change_1d first_like_rate first_comment_rate"
        " like_rate_since_first like_rate_of_gain first_rank first_regions rank_so_far"
        " rank_mean regions_most regions_mean rank_change_since_first rank_lost"
        " regions_change_since_first regions_to_most age_at_first_hours day_share"
        " day_sine day_cosine week_sine week_cosine weekend_days_ahead",
        "video_standing": "video_id event_at available_at is_synthetic standing_day views_standing"
        " views_standing_in_category views_standing_of_age growth_standing"
        " growth_standing_in_category growth_standing_of_age like_rate_standing"
        " rank_standing_in_category growth_to_category day_growth day_share_new"
        " category_growth category_growth_spread category_growth_to_week"
        " category_share_new category_second_day_growth category_share"
        " category_growth_48h category_persistence category_stay_share language_growth"
        " language_share channel_videos channel_listed channel_days_since_new"
        " channel_days_listed channel_outcomes channel_growth_48h"
        " channel_growth_48h_spread channel_growth_lead channel_growth_week"
        " channel_growth_1d channel_like_rate views_to_channel_second_day"
        " channel_regions channel_stay_share",
        "video_text": "video_id event_at available_at is_synthetic title_is_official title_is_music"
        " title_is_trailer title_is_live title_is_joint title_is_serial"
        " title_has_hashtag title_has_bar title_has_brackets title_has_dash"
        " title_exclamations title_has_year title_latin_share title_cyrillic_share"
        " title_arabic_share title_indic_share title_east_asian_share"
        " title_digit_share title_word_length tag_length title_names_channel"
        " channel_is_label channel_title_chars is_short is_long published_on_schedule"
        " published_day_share published_on_weekend",
    }


def test_the_feature_store_view_gives_the_newest_value_of_each_feature(lake, published):
    rows = fetch(
        lake, "select feature_name, feature_value from ml.feature_store where entity_id = %s",
        "video000004",
    )  # fmt: skip
    values = dict(rows)
    assert len(values) == len(rows)
    assert values["views"] == 5000 * 2 ** (DAYS - 1)
    assert values["tag_count"] == 0
    assert "video_id" not in values
    assert "made_for_kids" not in values


@pytest.mark.parametrize(
    "view",
    [
        ("topic_momentum", "topic", "topic_v1"),
        ("channel_history", "channel", "channel_v1"),
        ("segment_interest", "segment", "segment_v1"),
    ],
    ids=lambda view: view[1],
)
def test_entities_of_the_published_marts_are_the_same_offline_and_online(lake, published, view):
    table, entity, service = view
    key = f"{entity}_id"
    features.apply(lake)
    features.materialise(None, AS_OF, lake, only=[table])
    rows = fetch(
        lake, f"select distinct on ({key}) {key}, event_at, available_at from features.{table}"
        " where available_at <= %s order by 1, 2 desc", AS_OF,
    )  # fmt: skip
    assert rows
    assert all(event_at <= AS_OF and event_at.hour == 0 for _, event_at, _ in rows)
    values = ", ".join(f"('{name}', timestamptz '{AS_OF.isoformat()}')" for name, *_ in rows)
    query = f"select * from (values {values}) as asked ({key}, event_timestamp)"
    offline = features.training_frame(query, service, lake).set_index(key)
    online = features.online_features(service, [row[0] for row in rows], lake, entity=entity)
    for row in online:
        for name, value in row.items():
            if name != key and value is not None:
                assert offline.loc[row[key], name] == pytest.approx(value), (row[key], name)
    assert sum(value is not None for row in online for value in row.values()) > 8 * len(rows)
    # Before anything of it was known there is nothing.
    early = query.replace(AS_OF.isoformat(), (START - timedelta(days=1)).isoformat())
    known = features.training_frame(early, service, lake).drop(columns=[key, "event_timestamp"])
    assert known.isna().all(axis=None)


def feature_rows(lake: Settings) -> list[list[tuple]]:
    return [
        fetch(lake, "select * from features.video_momentum order by video_id, event_at"),
        fetch(lake, "select * from features.video_profile order by video_id"),
    ]


def test_a_second_build_appends_nothing_and_changes_no_written_feature(lake, published):
    before = feature_rows(lake)
    with connect(lake.database_url) as conn:
        # The panel comes in late for a day that was built from a chart, with other figures, and a
        # later sight of the first chart day changes what the second one would be compared with.
        late = [video_row(35, 1, views=77), video_row(35, 0, "youtube-trending", region="GB")]
        copy_rows(conn, "raw.youtube_videos", VIDEO_COLUMNS, late)
    try:
        rebuild_features(lake)
        momentum = fetch(
            lake, "select views from intermediate.int_video_momentum"
            " where video_id = 'video000035' and day_number = 1"
        )  # fmt: skip
        assert momentum == [(77,)]
        assert feature_rows(lake) == before
        # A new day is appended, and nothing else.
        with connect(lake.database_url) as conn:
            copy_rows(conn, "raw.youtube_videos", VIDEO_COLUMNS, [video_row(3, DAYS)])
        rebuild_features(lake, AS_OF + timedelta(days=1))
        after = feature_rows(lake)
        added = set(after[0]) - set(before[0])
        assert [row[0] for row in added] == ["video000003"]
        assert (len(after[0]), after[1]) == (len(before[0]) + 1, before[1])
    finally:
        forget(lake, "video_id = 'video000003' and observed_at > %s", AS_OF)
        forget(lake, "video_id = 'video000035' and (views = 77 or region = 'GB')")


def forget(lake: Settings, condition: str, *values: object) -> None:
    with connect(lake.database_url) as conn:
        conn.execute(f"delete from raw.youtube_videos where {condition}".encode(), values)


# What is wrong, and the expectation that has to stop it.
BAD_ROWS = {
    "negative views": ({"views": -5}, "views_are_not_negative"),
    "a time in the future": (
        {"observed_at": datetime(2199, 1, 1, tzinfo=UTC),
         "available_at": datetime(2199, 1, 1, tzinfo=UTC)},
        "not_observed_after_it_was_loaded",
    ),
    "known before it happened": (
        {"available_at": START - timedelta(days=9)}, "not_known_before_it_happened",
    ),
    "an id that a spreadsheet destroyed": ({"video_id": "#NAME?"}, "video_id_is_well_formed"),
    "a rank of zero": ({"chart_rank": 0}, "rank_starts_at_one"),
    "an unknown source": ({"source": "youtube-copy"}, "source_is_known"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_stop_the_run_and_leave_the_marts_alone(lake, published, name):
    changes, expectation = BAD_ROWS[name]
    before = shown(lake)
    bad = [video_row(900 + index, 0, **{"title": "bad"} | changes) for index in range(7)]
    with connect(lake.database_url) as conn:
        copy_rows(conn, "raw.youtube_videos", VIDEO_COLUMNS, bad)
    try:
        with pytest.raises(GateError) as caught:
            run_gate("raw_youtube_videos", run_id=name, as_of=AS_OF, settings=lake)
        message = str(caught.value)
        assert f"{expectation}: 7 rows, for example (" in message
        assert message.count("video_id=") >= 5
        assert "\n" not in message
        with pytest.raises(FatalError, match="the gate raw_youtube_videos blocked it"):
            warehouse.publish_marts(name, AS_OF, settings=lake)
        assert shown(lake) == before
    finally:
        forget(lake, "title = 'bad'")


def test_a_blocked_gate_leaves_its_report_and_its_results(lake, published):
    with connect(lake.database_url) as conn:
        copy_rows(
            conn, "raw.youtube_videos", VIDEO_COLUMNS,
            [video_row(900 + n, 0, likes=-1, title="<b>bad</b>") for n in range(8)],
        )  # fmt: skip
    try:
        with pytest.raises(GateError) as caught:
            run_gate("raw_youtube_videos", run_id="report 1", as_of=AS_OF, settings=lake)
    finally:
        forget(lake, "title = '<b>bad</b>'")
    bucket, key = re.search(r"s3://([^/]+)/(\S+)$", str(caught.value)).groups()
    store = ObjectStore(lake)
    assert b"fails (block)" in store.get_bytes(bucket, key)
    report = json.loads(store.get_bytes(bucket, key.replace(".html", ".json")))
    assert report["blocked"]
    failed = [item for item in report["expectations"] if not item["success"]]
    assert [item["check"]["name"] for item in failed] == ["likes_are_not_negative"]
    assert len(failed[0]["examples"]) == 5
    rows = fetch(
        lake, "select expectation, column_name, severity, unexpected_count,"
        " jsonb_array_length(examples) from ops.gate_results"
        " where run_id = 'report 1' and not success"
    )  # fmt: skip
    assert rows == [("likes_are_not_negative", "likes", "block", 8, 5)]
    # The mended table passes, and the results of the same run id are replaced.
    run_gate("raw_youtube_videos", run_id="report 1", as_of=AS_OF, settings=lake)
    assert fetch(
        lake, "select count(*) from ops.gate_results where run_id = 'report 1' and not success"
    ) == [(0,)]  # fmt: skip


def test_a_filter_looks_only_at_the_rows_of_its_run(lake, published):
    key = "raw/source=youtube/run=second/page.json.gz"
    with connect(lake.database_url) as conn:
        old_and_bad = video_row(902, 0, views=-1)
        copy_rows(
            conn, "raw.youtube_videos", VIDEO_COLUMNS,
            [old_and_bad, video_row(903, 0, bronze_key=key)],
        )  # fmt: skip
    try:
        report = run_gate(
            "raw_youtube_videos", run_id="second", where=RowFilter(bronze_run="second"),
            as_of=AS_OF, settings=lake,
        )  # fmt: skip
        assert report.rows == 1
        assert not report.failed
        with pytest.raises(GateError, match="views_are_not_negative: 1 rows"):
            run_gate(
                "raw_youtube_videos", run_id="third", settings=lake, as_of=AS_OF,
                where=RowFilter(bronze_run="first"),
            )  # fmt: skip
    finally:
        forget(lake, "video_id in ('video000902', 'video000903')")


def test_records_that_staging_could_not_cast_are_stopped(lake, published):
    bad = [record_row("snapshot", 77, hour, {"rank": "first", "upvotes": 1}) for hour in range(3)]
    with connect(lake.database_url) as conn:
        copy_rows(conn, "raw.records", RECORD_COLUMNS, bad)
    try:
        with pytest.raises(GateError, match="snapshot_figures_are_numbers: 3 rows, for example"):
            run_gate("raw_records", run_id="cast", as_of=AS_OF, settings=lake)
    finally:
        with connect(lake.database_url) as conn:
            conn.execute("delete from raw.records where record_id = '77'")


def test_a_doubled_row_in_a_mart_stops_its_publication(lake, published):
    before = shown(lake)
    rebuild_marts(lake)
    with connect(lake.database_url) as conn:
        conn.execute(
            "insert into marts_build.fct_video_daily select * from marts_build.fct_video_daily"
            " where video_id = 'video000002' and day_number <= 1"
        )
    with pytest.raises(GateError) as caught:
        run_gate("fct_video_daily", run_id="doubled", as_of=AS_OF, settings=lake)
    assert "one_row_per_video_and_day: 4 rows, for example (video_id=video000002" in str(
        caught.value
    )
    assert "no_video_day_is_lost" in str(caught.value)
    with pytest.raises(FatalError, match="the gate fct_video_daily blocked it"):
        warehouse.publish_marts("doubled", AS_OF, settings=lake)
    assert shown(lake) == before


def test_publishing_twice_changes_nothing_and_old_builds_are_dropped(lake, published):
    for build_id in ("a", "b", "c"):
        rebuild_marts(lake)
        warehouse.publish_marts(build_id, AS_OF, settings=lake)
    current = shown(lake)
    again = warehouse.publish_marts("c", AS_OF, settings=lake)
    assert again.already_published
    assert shown(lake) == current
    stored = {
        name for (name,) in fetch(
            lake, "select tablename from pg_tables where schemaname = 'marts_store'"
        )
    }  # fmt: skip
    assert len(stored) == 2 * len(warehouse.mart_names())
    assert stored > set(current.values())
    with pytest.raises(FatalError, match="not built in marts_build; run dbt"):
        warehouse.publish_marts("never built", AS_OF, settings=lake)


PUBLISH = """
import sys
from datetime import datetime
from ml.warehouse import publish_marts
publish_marts("killed", datetime.fromisoformat(sys.argv[1]))
"""


def test_a_publication_killed_in_the_middle_leaves_the_old_build(lake, published):
    rebuild_marts(lake)
    before = shown(lake)
    environment = dict(os.environ, YTEMPIRE_STATE_DIR=str(lake.state_dir))
    with connect(lake.database_url) as reader:
        # dim_topic is moved first; a reader of the other view holds the publisher up in between.
        reader.execute("select 1 from marts.fct_video_daily limit 1")
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH, AS_OF.isoformat()], env=environment
        )
        wait_until_blocked(lake, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_until_gone(lake)
    assert shown(lake) == before
    assert fetch(lake, "select * from ops.builds where build_id = 'killed'") == []
    warehouse.publish_marts("killed", AS_OF, settings=lake)
    after = shown(lake)
    assert not set(after.values()) & set(before.values())


def test_dbt_killed_in_the_middle_leaves_the_old_marts_whole(lake, published):
    before = shown(lake), digests(lake)
    later = AS_OF + timedelta(hours=1)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(
            warehouse.run_dbt, ["run", "--select", "path:models/marts"],
            as_of=later, settings=lake,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while len(built := tables_built(lake)) < 3:
            assert not building.done(), "the build ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for child in psutil.Process().children(recursive=True):
            if "dbt.cli.main" in child.cmdline():
                child.kill()
        with pytest.raises((FatalError, ServiceUnavailableError), match="dbt run"):
            building.result()
    assert len(built) < len(warehouse.mart_names())
    # Neither the readers nor a publication that comes too early see a part of it.
    with pytest.raises(FatalError, match="not built in marts_build; run dbt"):
        warehouse.publish_marts("half", later, settings=lake)
    assert (shown(lake), digests(lake)) == before
    warehouse.run_dbt(["run", "--select", "path:models/marts"], as_of=later, settings=lake)
    warehouse.publish_marts("whole", later, settings=lake)
    assert not set(shown(lake).values()) & set(before[0].values())


def tables_built(lake: Settings) -> list[tuple]:
    return fetch(lake, "select tablename from pg_tables where schemaname = 'marts_build'")


def digests(lake: Settings) -> dict[str, list[tuple]]:
    """Rows and content of every published mart."""
    return {
        name: fetch(
            lake,
            "select count(*), md5(string_agg(t::text, '|' order by t::text))"
            f" from marts.{name} as t",
        )
        for name in warehouse.mart_names()
    }


WAITING = (
    "select count(*) from pg_locks as l join pg_stat_activity as a using (pid)"
    " where not l.granted and a.datname = current_database()"
)


def wait_until_blocked(lake: Settings, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while fetch(lake, WAITING) == [(0,)]:
        assert process.poll() is None, "the publication ended before it was held up"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until_gone(lake: Settings) -> None:
    deadline = time.monotonic() + 60
    while fetch(lake, WAITING) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_model_that_reads_the_clock_is_found(lake, published, tmp_path, monkeypatch):
    project = tmp_path / "dbt_project"
    shutil.copytree(warehouse.DBT_PROJECT_DIR, project, ignore=shutil.ignore_patterns("models"))
    (project / "snapshots" / "channel_states.yml").unlink()
    (project / "models").mkdir()
    (project / "models" / "mart_clock.sql").write_text("select NOW() as seen_at")
    monkeypatch.setattr("ml.warehouse.transform.DBT_PROJECT_DIR", project)
    with pytest.raises(FatalError, match="assert_no_model_reads_the_clock: Got 1 result"):
        warehouse.run_dbt(
            ["test", "--select", "assert_no_model_reads_the_clock"], as_of=AS_OF, settings=lake
        )


def test_sources_are_fresh_relative_to_as_of(lake, published):
    select = ["source", "freshness", "--select", "source:raw"]
    warehouse.run_dbt(select, as_of=AS_OF, settings=lake)
    with pytest.raises(FatalError, match="youtube_videos"):
        warehouse.run_dbt(select, as_of=AS_OF + timedelta(days=30), settings=lake)


def test_a_gate_on_a_table_that_is_not_built_says_so(lake):
    with connect(lake.database_url) as conn:
        conn.execute("alter table if exists marts_build.dim_topic rename to hidden")
        conn.execute("alter view if exists marts_build.dim_topic rename to hidden")
    try:
        with pytest.raises(ConfigurationError, match="does not exist; build it first"):
            run_gate("dim_topic", run_id="unbuilt", as_of=AS_OF, settings=lake)
    finally:
        with connect(lake.database_url) as conn:
            conn.execute("alter table if exists marts_build.hidden rename to dim_topic")
            conn.execute("alter view if exists marts_build.hidden rename to dim_topic")


def test_real_archives_pass_the_gate_on_raw_videos(lake, published, data_dir):
    from ml.storage.landing import import_archive

    countries = data_dir / "youtube-2025-2026" / "countries"
    import_archive("youtube-trending", [countries / "US.csv.xz", data_dir / "youtube-2017"])
    try:
        report = run_gate("raw_youtube_videos", run_id="archives", settings=lake)
        assert report.rows > 20_000
        assert not report.failed
    finally:
        forget(lake, "bronze_key not like 'raw/source=%%'")
