"""Which gate stops which kind of bad data: good simulated rows, spoilt in one way at a time.

`CASES` is the table: the kind of bad data, the gate, the expectation that finds it, and whether it
stops the run or only warns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 - the frame is what is tested
import pytest

from ml.exceptions import GateError
from ml.gates import check_build, check_imported, check_landed, load_suite, run_gate
from ml.gates.runner import check
from ml.settings import Settings, get_settings
from ml.sources.base import Interval
from ml.sources.catalog import get_source
from ml.storage.bronze import StoredPage
from ml.storage.landing import import_archive, load_pages
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect
from ml.world.bulk import Bulk

DAYS = 30
START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=DAYS)
LAST = END - timedelta(days=1)
FAMILIES = {"youtube": "youtube", "hackernews": "hackernews", "github-trending": "github"}
VIDEOS, RECORDS = "raw_youtube_videos", "raw_records"


@dataclass(frozen=True)
class Case:
    """A kind of bad data.

    Attributes:
        kind: what it is called.
        spoil: SQL that does it to the rows of the run; `{last}` is when its interval began.
        gate: the suite.
        expectation: the one of it that has to notice.
        severity: what happens then.
        family: whose run it is; empty for what is asked of whole tables, once a build.
    """

    kind: str
    spoil: str
    gate: str
    expectation: str
    severity: str
    family: str = "youtube"


def videos(kind: str, change: str, expectation: str, severity: str) -> Case:
    spoil = f"update raw.youtube_videos set {change} where observed_at > '{{last}}'"
    return Case(kind, spoil, VIDEOS, expectation, severity)


def records(source: str, kind: str, change: str, expectation: str, severity: str) -> Case:
    spoil = (
        f"update raw.records set {change} where source = '{source}' and available_at > '{{last}}'"
    )
    return Case(kind, spoil, RECORDS, expectation, severity, FAMILIES[source])


_VIDEO_COLUMNS = (
    "available_at, ingested_at, chart_rank, title, channel_id, channel_title, category_id,"
    " published_at, tags, language, duration_s, views, likes, comments, bronze_key, is_synthetic"
)
CASES = [
    videos("nulls", "views = null", "views_are_filled", "block"),
    videos("negative views", "views = -views", "views_are_not_negative", "block"),
    videos("views that fall", "views = views / 3", "views_rarely_fall", "block"),
    videos(
        "times in the future", "observed_at = observed_at + interval '400 days'",
        "not_known_before_it_happened", "block",
    ),
    videos(
        "swapped columns of counts", "views = likes, likes = views",
        "likes_are_fewer_than_views", "block",
    ),
    videos(
        "swapped columns of times", "published_at = observed_at + interval '1 day'",
        "published_before_it_was_observed", "warn",
    ),
    Case(
        "a truncated day",
        "delete from raw.youtube_videos where observed_at > '{last}' and chart_rank > 12",
        VIDEOS, "charts_are_complete", "block",
    ),
    Case(
        "a day that was loaded twice",
        "insert into raw.youtube_videos (source, region, video_id, observed_at, "
        f"{_VIDEO_COLUMNS}) select source, region, video_id, observed_at + interval '1 minute', "
        f"{_VIDEO_COLUMNS} from raw.youtube_videos where observed_at > '{{last}}'",
        VIDEOS, "one_sight_an_hour", "block",
    ),
    videos("damaged encoding", "title = 'â€œ' || title || 'Ã©'", "title_is_decoded", "warn"),
    videos("views in thousands", "views = views / 1000", "views_keep_their_unit", "block"),
    videos(
        "durations in milliseconds", "duration_s = duration_s * 1000",
        "durations_keep_their_unit", "block",
    ),
    videos("categories renamed", "category_id = category_id + 15", "categories_are_known", "block"),
    videos(
        "rows that are eleven days late", "available_at = observed_at + interval '11 days'",
        "known_within_ten_days", "warn",
    ),
    Case(
        "no such region", "update raw.youtube_videos set region = 'UK'"
        " where observed_at > '{last}' and region = 'GB'",
        VIDEOS, "region_is_a_country", "block",
    ),
    Case(
        "rows of another region", "update raw.youtube_videos set region = 'BR'"
        " where observed_at > '{last}' and region = 'GB'",
        VIDEOS, "regions_are_known", "warn",
    ),
    videos(
        "empty titles", "title = case when chart_rank % 3 = 0 then '' else title end",
        "title_is_not_empty", "warn",
    ),
    videos("a constant column", "views = 123456", "columns_are_not_constant", "block"),
    videos(
        "more likes than anyone gives", "likes = views * 9 / 10",
        "like_ratio_is_like_the_last_28_days", "block",
    ),
    videos("one rank for all", "chart_rank = 1", "one_video_a_rank", "block"),
    videos("language tags that are none", "language = 'English (US)'", "language_is_a_tag", "warn"),
    videos(
        "ids that a spreadsheet destroyed", "video_id = '#' || left(video_id, 9)",
        "video_id_is_well_formed", "block",
    ),
    records(
        "hackernews", "a number that has become a text",
        "payload = jsonb_set(payload, '{{upvotes}}', '\"many\"') "
        "|| jsonb_build_object('upvotes', payload ->> 'upvotes')",
        "fields_keep_their_type", "block",
    ),
    records(
        "hackernews", "a field that was renamed",
        "payload = payload - 'upvotes' || jsonb_build_object('points', payload -> 'upvotes')",
        "fields_are_known", "warn",
    ),
    records(
        "github-trending", "fields that are no longer sent",
        "payload = payload - array['stars', 'forks', 'desc', 'lang', 'stars_today']",
        "fields_are_as_filled_as_ever", "warn",
    ),
    records(
        "hackernews", "empty titles of stories", "payload = payload || '{{\"title\": \"\"}}'",
        "titles_are_not_empty", "warn",
    ),
    Case(
        "a source that is silent for seven hours",
        "insert into raw.records (source, kind, record_id, event_at, available_at, payload,"
        " bronze_key) select 'hackernews_new', 'snapshot', 'a', at, at, '{{}}', 'raw'"
        " from generate_series('{last}'::timestamptz - interval '5 days',"
        " '{last}'::timestamptz + interval '17 hours', '30 minutes') as at",
        RECORDS, "sources_are_not_silent", "warn", family="",
    ),
    Case(
        "costs in another currency",
        "update ops.cost_ledger set cost_usd = cost_usd * 100 where created_at >= '{last}'",
        "cost_ledger", "prices_keep_their_currency", "block", family="",
    ),
]  # fmt: skip


def intervals() -> list[Interval]:
    return [Interval(START + timedelta(days=n), START + timedelta(days=n + 1)) for n in range(DAYS)]


def seed(settings: Settings) -> None:
    """The world's rows, a look a day; the last day is what the runs called `last` have landed."""
    bulk = Bulk(settings.changed({"youtube_regions": ["US", "GB"]}))
    for name, family in FAMILIES.items():
        source = get_source(name, bulk.settings)
        for run, chosen in (("first", intervals()[:-1]), ("last", intervals()[-1:])):
            with connect() as conn:
                pages = [
                    StoredPage(f"raw/source={name}/run={run}/{n}", page, is_synthetic=True)
                    for part in chosen
                    for n, page in enumerate(bulk.pages(source, part, None))
                ]
                loaded = load_pages(conn, source, pages)
                conn.execute(
                    "insert into ops.landings (source, interval_start, interval_end, run_id,"
                    " family, status, level, pages, rows, rows_new, rejected)"
                    " values (%s, %s, %s, %s, %s, 'landed', 'full', %s, %s, %s, %s)",
                    (name, chosen[0].start, chosen[-1].end, run, family, loaded.pages,
                     loaded.rows, loaded.rows_new, loaded.rejected),
                )  # fmt: skip
    with connect() as conn:
        conn.execute(
            "insert into ops.cost_ledger (cost_id, stage, provider, unit, quantity, cost_usd,"
            " created_at) select 'c' || n, 'script', 'llm', 'token', 1000, 0.02,"
            " %s::timestamptz + n * interval '1 day' from generate_series(0, %s - 1) as n",
            (START, DAYS),
        )
        conn.execute(
            "create schema good;"
            "create table good.videos as select * from raw.youtube_videos;"
            "create table good.records as select * from raw.records;"
            "create table good.costs as select * from ops.cost_ledger;"
            "analyze raw.youtube_videos; analyze raw.records"
        )


def restore() -> None:
    with connect() as conn:
        conn.execute(
            "truncate raw.youtube_videos, raw.records, ops.cost_ledger, ops.gate_results,"
            " ops.imports;"
            "insert into raw.youtube_videos select * from good.videos;"
            "insert into raw.records select * from good.records;"
            "insert into ops.cost_ledger select * from good.costs"
        )


@pytest.fixture(scope="module")
def good(own_database: Settings) -> Settings:
    """Settings of a database of its own on the shared server, with good rows only."""
    settings = get_settings()
    seed(settings)
    return settings


@pytest.fixture
def lake(good: Settings) -> Iterator[Settings]:
    """The same; whatever a test spoils is good again afterwards."""
    yield good
    restore()


@pytest.fixture
def last_day(good: Settings) -> Iterator[Settings]:
    """The same for a test that spoils no row before the last day of the raw tables."""
    yield good
    with connect() as conn:
        for table, kept, column in (
            ("youtube_videos", "videos", "observed_at"), ("records", "records", "available_at"),
        ):  # fmt: skip
            where = f"where {column} > %s"
            conn.execute(f"delete from raw.{table} {where}".encode(), (LAST,))
            rows = f"select * from good.{kept} {where}"
            conn.execute(f"insert into raw.{table} {rows}".encode(), (LAST,))
        conn.execute("truncate ops.gate_results")


def spoil(case: Case) -> None:
    with connect() as conn:
        conn.execute(case.spoil.format(last=LAST.isoformat()).encode())


def ask(case: Case) -> None:
    if case.family:
        check_landed(case.family, [case.gate], "last")
    else:
        check(load_suite(case.gate).whole_table_part(), run_id="build")


def results() -> list[tuple]:
    with connect() as conn:
        return conn.execute(
            "select expectation, severity, success, details ->> 'skipped', unexpected_count,"
            " jsonb_array_length(examples), report_key from ops.gate_results order by 1"
        ).fetchall()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_bad_data_is_found(request: pytest.FixtureRequest, case: Case) -> None:
    request.getfixturevalue("last_day" if case.family else "lake")
    spoil(case)
    stops = case.severity == "block" and case.family
    if stops:
        with pytest.raises(GateError) as caught:
            ask(case)
        assert f"gate {case.gate} blocks" in str(caught.value)
        assert f"report /reports/gates/{case.gate}/" in str(caught.value)
    else:
        ask(case)
    failed = {row[0]: row[1] for row in results() if not row[2]}
    assert failed.get(case.expectation) == case.severity
    if case.severity == "warn":
        assert "block" not in failed.values()


def test_there_are_twenty_kinds_and_more() -> None:
    assert len({case.kind for case in CASES}) == len(CASES) >= 20


@pytest.mark.parametrize("family", ["youtube", "hackernews", "github"])
def test_good_rows_pass_without_a_warning(lake: Settings, family: str) -> None:
    reports = check_landed(family, [VIDEOS, RECORDS], "last")
    assert reports
    assert [row[0] for row in results() if not row[2]] == []


def test_good_tables_pass_without_a_warning(lake: Settings) -> None:
    for gate in (VIDEOS, RECORDS, "cost_ledger"):
        assert run_gate(gate, run_id="whole").failed == []


def test_real_archives_are_not_stopped(lake: Settings, data_dir: Path) -> None:
    """Two of them; tests/soak has all."""
    with connect() as conn:
        conn.execute("truncate raw.youtube_videos, raw.records")
    import_archive("youtube-trending", [data_dir / "youtube-2025-2026" / "countries" / "US.csv.xz"])
    import_archive("github-trending", [data_dir / "github-trending"])
    assert len(check_imported("archives")) == 2
    assert [row[0] for row in results() if not row[2]] == []
    assert check_imported("again") == []


def test_too_little_history_is_recorded_as_skipped(lake: Settings) -> None:
    with connect() as conn:
        for table, column in (("youtube_videos", "observed_at"), ("records", "event_at")):
            conn.execute(
                f"delete from raw.{table} where {column} <= %s", (LAST - timedelta(days=2),)
            )
    check_landed("youtube", [VIDEOS], "last")
    skipped = {row[0] for row in results() if row[3] == "no history"}
    assert {"views_keep_their_unit", "categories_are_known", "charts_are_complete"} <= skipped
    assert all(row[2] for row in results() if row[0] in skipped)


def test_a_blocked_run_says_all_in_one_message(lake: Settings) -> None:
    spoil(CASES[1])
    with pytest.raises(GateError) as caught:
        check_landed("youtube", [VIDEOS], "last")
    message = str(caught.value)
    (row,) = [row for row in results() if row[0] == "views_are_not_negative"]
    assert f"views_are_not_negative: {row[4]} rows, for example (source=youtube" in message
    assert message.count("video_id=") >= 5
    assert row[5] == 5
    page = ObjectStore(lake).get_bytes(
        lake.bucket("reports"), row[6].replace("report.json", "report.html")
    )
    assert b"views_are_not_negative" in page
    assert row[6].replace("report.json", "report.html") in message


def test_blocked_rows_stay_blocked_until_they_are_mended(lake: Settings) -> None:
    spoil(CASES[1])
    with pytest.raises(GateError):
        check_landed("youtube", [VIDEOS], "last")
    # Another run, which has landed nothing, does not let them through, and no build takes them.
    with pytest.raises(GateError, match="views_are_not_negative"):
        check_landed("youtube", [VIDEOS], "next")
    with pytest.raises(GateError, match=r"blocked: raw_youtube_videos \(ingest_youtube/last\)"):
        check_build("build", END)
    with connect() as conn:
        conn.execute("update raw.youtube_videos set views = abs(views)")
    assert check_landed("youtube", [VIDEOS], "next")
    assert check_landed("youtube", [VIDEOS], "after that") == []


def test_a_run_is_only_asked_about_its_own_rows(lake: Settings) -> None:
    with connect() as conn:
        conn.execute(
            "update raw.youtube_videos set chart_rank = 0 where observed_at <= %s", (LAST,)
        )
    check_landed("youtube", [VIDEOS], "last")
    assert "rank_starts_at_one" not in {row[0] for row in results() if not row[2]}


def training_rows(**changes: object) -> pd.DataFrame:
    """Sound rows of `trend_video`, every video on two days, with some columns replaced."""
    count = 60
    day = np.arange(count) % 2 + 1
    seen = pd.Timestamp(START) + pd.to_timedelta(day, unit="D")
    columns = {
        "video_id": [f"video{n // 2}" for n in range(count)],
        "event_timestamp": seen,
        "entity_day": day,
        "label_known_at": seen + pd.Timedelta(days=2),
        "growth_48h": np.linspace(0.0, 1.0, count),
        "day_number": day,
        "log_views": np.linspace(8.0, 12.0, count),
        "log_growth_1d": 0.1,
        "like_rate": 0.05,
        "comment_rate": 0.01,
    }
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize(
    ("changes", "expectation"),
    [
        ({"label_known_at": pd.Timestamp(START)}, "label_is_later_than_features"),
        ({"label_known_at": pd.Timestamp(END) + pd.Timedelta(days=1)}, "nothing_after_as_of"),
        ({"growth_48h": 0.5}, "label_is_not_constant"),
        ({"growth_48h": np.nan}, "label_is_filled"),
        ({"video_id": "one"}, "one_row_per_video_and_day"),
        ({"day_number": 4}, "features_are_of_the_day"),
        ({"like_rate": 20.0}, "like_rate_is_a_rate"),
    ],
)
def test_a_bad_training_frame_is_stopped(good: Settings, changes: dict, expectation: str) -> None:
    with pytest.raises(GateError, match=expectation):
        run_gate("training_trend_video", run_id="bad", as_of=END, frame=training_rows(**changes))


def test_a_sound_training_frame_passes(good: Settings) -> None:
    report = run_gate("training_trend_video", run_id="good", as_of=END, frame=training_rows())
    assert report.failed == []
    assert report.rows == 60


def audience_rows(**changes: object) -> pd.DataFrame:
    """Sound rows of `audience_preference`: three segments, a topic a day, some columns replaced."""
    columns = {
        "segment_id": [f"US/gaming/{n % 3}" for n in range(30)],
        "topic_id": [f"topic{n // 3}" for n in range(30)],
        "first_day": pd.Timestamp(START).normalize() + pd.to_timedelta(np.arange(30) // 3, "D"),
    }
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize(
    ("changes", "expectation"),
    [
        ({"topic_id": "one"}, "one_row_per_segment_and_topic"),
        ({"first_day": pd.Timestamp(END) + pd.Timedelta(days=1)}, "nothing_after_as_of"),
        ({"first_day": pd.Timestamp(START)}, "days_differ"),
        ({"segment_id": "gaming"}, "segment_is_country_niche_language"),
        ({"topic_id": None}, "topic_is_filled"),
    ],
)
def test_bad_interactions_are_stopped(good: Settings, changes: dict, expectation: str) -> None:
    frame = audience_rows(**changes)
    with pytest.raises(GateError, match=expectation):
        run_gate("training_audience_preference", run_id="bad", as_of=END, frame=frame)


def test_sound_interactions_pass(good: Settings) -> None:
    gate = "training_audience_preference"
    report = run_gate(gate, run_id="good", as_of=END, frame=audience_rows())
    assert (report.failed, report.rows) == ([], 30)
