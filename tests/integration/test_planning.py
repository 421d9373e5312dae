"""Plans, their reasons and their end, failed videos and the chain of manifests, on real tables."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ml.cli.sources import replay_video
from ml.exceptions import FatalError, YtempireError
from ml.generation.failures import record_failure, take_back
from ml.generation.records import content_store
from ml.planning.allowance import allowance
from ml.planning.channels import Cadence, ChannelConfig, put_channels, set_active
from ml.planning.planner import plan_and_store
from ml.planning.planner import planned as planned_rows
from ml.planning.upkeep import is_wanted
from ml.publishing.provenance import record_provenance, verify
from ml.publishing.release import conclude, release, unpublish
from ml.publishing.youtube_client import UPLOADS
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.storage.quotas import LedgerMeter

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CHANNEL = ChannelConfig(
    channel_id="news", name="News", niche="games and chess",
    cadence=Cadence(videos_per_day=3, hours_between=2), prohibited_topics=("casino",),
)  # fmt: skip
# Topic: label, language, gain of views a day before yesterday and yesterday.
TOPICS = {
    "rises": ("Chess world cup", "en", 1000, 2000),
    "falls": ("Minecraft speedrun", "en", 3000, 1800),
    "twin": ("Chess World Cup 2026", "en", 900, 1700),
    "banned": ("Casino bonus codes", "en", 9000, 9000),
    "spanish": ("Copa del mundo", "es", 9000, 9000),
    "slow": ("Knitting patterns", "en", 500, 500),
}
# The columns of the marts that planning reads; the main job plans on the real ones.
MARTS = """
create table marts.dim_topic (topic_id text, label text, language text, is_synthetic boolean);
create table marts.fct_video_daily (video_id text, topic_id text, event_at timestamptz, title text,
    channel_title text, source text, views bigint, views_gained bigint,
    views_gained_per_day double precision, regions_listed integer);
create table staging.stg_youtube__video_observations (video_id text, event_at timestamptz,
    tags text[]);
"""


@pytest.fixture(scope="module")
def planning(own_database: Settings, tmp_path_factory) -> Settings:
    with connect(own_database.require("database_url")) as conn:
        conn.execute(MARTS)
        put_channels(conn, [CHANNEL])
        model = conn.execute(
            "insert into ml.ml_models (model_name, model_type, version, model_path)"
            " values ('trend_video', 'xgboost', '1.0.0', 'm') returning id"
        ).fetchone()[0]
        for topic, (label, language, before, last) in TOPICS.items():
            conn.execute(
                "insert into marts.dim_topic values (%s, %s, %s, true)", (topic, label, language)
            )
            for days, gain in ((1.5, before), (0.5, last)):
                conn.execute(
                    "insert into marts.fct_video_daily values (%s, %s, %s, %s, 'C', 'youtube',"
                    " %s, %s, %s, 1)",
                    (f"y-{topic}", topic, NOW - timedelta(days=days), f"{label} tonight",
                     5000 + int(1000 * (2 - days)), gain, gain),
                )  # fmt: skip
            conn.execute(
                "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
                " input_data, prediction) values (%s, 'trend_video', %s, %s, '{}',"
                " '{\"probability\": 0.5}')",
                (model, f"y-{topic}", NOW - timedelta(hours=6)),
            )
        # Knitting is foreseen to grow, which yesterday does not show.
        conn.execute(
            "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
            " input_data, prediction) values (%s, 'trend_topic', 'slow', %s, '{}',"
            " '{\"volume_by_day\": [10, 15, 9, 9, 9, 9, 9]}')",
            (model, NOW - timedelta(hours=5)),
        )
        conn.execute(
            "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
            " input_data, prediction) values (%s, 'audience_preference', 'US/gaming/en', %s, '{}',"
            ' \'{"topics": [{"topic_id": "slow", "rank": 1}]}\')',
            (model, NOW - timedelta(days=1)),
        )
    changes = {"as_of": NOW, "videos_per_plan": 9, "outbox_dir": tmp_path_factory.mktemp("outbox")}
    return own_database.model_copy(update=changes)


def rows(settings: Settings, query: str) -> list[tuple]:
    with connect(settings.require("database_url")) as conn:
        return conn.execute(query).fetchall()


@pytest.fixture(scope="module")
def planned(planning):
    return plan_and_store(planning)


def test_the_best_topics_at_publishing_time_are_planned_with_their_reasons(planned, planning):
    found = rows(
        planning,
        "select topic_id, rank, forecast, daily_growth, interest_at_publish, audience_score,"
        " niche_similarity, publish_at, similarity_to_past, reasons ->> 'growth_from'"
        " from content.video_schedule order by rank",
    )
    assert [row[0] for row in found] == ["rises", "falls", "slow"]  # and not the twin
    rises, falls, slow = found
    assert (rises[2], rises[3]) == (1000, 2.0)
    assert rises[4] == pytest.approx(1000 * 2 ** (3 / 24))
    assert falls[4] < falls[2]
    assert (rises[5], slow[5]) == (0, 1)
    assert rises[6] > slow[6]
    assert [row[7] for row in found] == [NOW + timedelta(hours=3 + 2 * n) for n in range(3)]
    assert slow[8] < 0.8
    assert slow[3] == 1.5
    assert slow[4] == pytest.approx(250 * 1.5 ** (3 / 24))
    assert (rises[9], slow[9]) == ("extrapolation", "trend_video 1.0.0")


def test_planning_again_changes_nothing(planned, planning):
    again = plan_and_store(planning)
    assert again.video_ids == planned.video_ids
    assert again.cancelled == []
    listed = planned_rows(again.as_of, planning)
    assert [row["video_id"] for row in listed] == again.video_ids
    forecasts = "select count(*) from ml.model_predictions where prediction_type = 'video_forecast'"
    assert rows(planning, forecasts) == [(3,)]


def test_what_an_earlier_plan_left_waiting_is_started_by_the_next(planned, planning):
    later = plan_and_store(planning.model_copy(update={"as_of": NOW + timedelta(hours=1)}))
    assert later.video_ids == []
    assert later.to_generate == planned.video_ids


@pytest.mark.parametrize("hours", [0, 1])
@pytest.mark.parametrize(("state", "count"), [("running", 2), ("failed", 3)])
def test_a_video_whose_run_has_ended_without_a_word_is_started_again(
    planned, planning, state, count, hours
):
    video_id = planned.video_ids[0]
    with connect(planning.require("database_url")) as conn:
        conn.execute(
            "insert into ops.dag_runs (dag_id, run_id, state) values ('generate_video', %s, %s)",
            (video_id, state),
        )
        conn.execute(
            "update content.video_schedule set status = 'generating' where video_id = %s",
            (video_id,),
        )
    try:
        again = planning.model_copy(update={"as_of": NOW + timedelta(hours=hours)})
        assert plan_and_store(again).to_generate == planned.video_ids[-count:]
    finally:
        with connect(planning.require("database_url")) as conn:
            conn.execute("delete from ops.dag_runs")
            conn.execute("update content.video_schedule set status = 'scheduled'")


def test_missing_predictions_cancel_nothing(planned, planning):
    silent = planning.model_copy(update={"as_of": NOW + timedelta(days=5)})
    assert is_wanted(planned.video_ids[0], silent)
    left = plan_and_store(silent)
    assert (left.cancelled, left.to_generate) == ([], planned.video_ids)


def test_the_last_video_keeps_its_distance_however_long_ago_it_was_planned(planned, planning):
    weekly = CHANNEL.model_copy(update={"cadence": Cadence(hours_between=168)})
    with connect(planning.require("database_url")) as conn:
        room = allowance(conn, weekly, NOW + timedelta(hours=30), timedelta(hours=3), planning)
    assert room.first_at == NOW + timedelta(hours=7 + 168)


def test_the_quota_of_uploads_is_shared_by_all_channels(planned, planning):
    tube = CHANNEL.model_copy(update={"channel_id": "tube", "publisher": "youtube"})
    with LedgerMeter(planning) as meter:
        meter.spend(UPLOADS, meter.left(UPLOADS, None) - 1, None)
    with connect(planning.require("database_url")) as conn:
        put_channels(conn, [tube])
        other = tube.model_copy(update={"channel_id": "other"})
        assert allowance(conn, other, NOW, timedelta(0), planning).videos == 1
        conn.execute("update content.video_schedule set channel_id = 'tube'")
        room = allowance(conn, other, NOW, timedelta(0), planning)
        assert (room.videos, room.limit) == (0, "the quota of uploads")
        conn.rollback()


def test_a_dead_trend_is_cancelled_before_it_costs_anything(planned, planning):
    later = planning.model_copy(update={"as_of": NOW + timedelta(hours=6)})
    with connect(planning.require("database_url")) as conn:
        conn.execute(
            "insert into marts.fct_video_daily select video_id, topic_id, event_at +"
            " interval '16 hours', title, channel_title, source, views, 9, 9, 1"
            " from marts.fct_video_daily where topic_id = 'falls' and event_at > %s",
            (NOW - timedelta(days=1),),
        )
    falls, rises = (
        rows(planning, f"select video_id from content.video_schedule where topic_id = '{topic}'")[0]
        for topic in ("falls", "rises")
    )
    assert is_wanted(rises[0], later)
    assert not is_wanted(falls[0], later)
    assert not is_wanted(falls[0], planning)
    (found,) = rows(
        planning,
        "select status, status_reason from content.video_schedule where topic_id = 'falls'",
    )
    assert found[0] == "cancelled"
    assert "the trend has died: 4 views" in found[1]


def test_a_full_budget_leaves_no_room(planning):
    poor = CHANNEL.model_copy(
        update={"channel_id": "poor", "daily_budget_usd": 1.0, "prohibited_topics": ("chess",)}
    )
    with connect(planning.require("database_url")) as conn:
        put_channels(conn, [poor])
        conn.execute(
            "insert into content.videos (video_id, channel_id, topic_id, topic, title, verdict,"
            " scores, duration_s, files, cost_usd) values ('old', 'poor', 't', 't', 't', 'held',"
            " '{}', 1, '{}', 0.6)"
        )
    plan_and_store(planning)
    found = rows(
        planning,
        "select expected_cost_usd::float, reasons ->> 'room_limited_by'"
        " from content.video_schedule where channel_id = 'poor'",
    )
    assert found == [(0.6, "the channel's budget")]


def test_a_paused_channel_is_not_planned_and_its_jobs_are_cancelled(planning):
    with connect(planning.require("database_url")) as conn:
        set_active(conn, "poor", False)
    waiting = rows(
        planning, "select video_id from content.video_schedule where channel_id = 'poor'"
    )
    assert not is_wanted(waiting[0][0], planning)


def test_a_failed_video_can_be_made_again(planned, planning):
    video_id = planned.video_ids[0]
    with connect(planning.require("database_url")) as conn:
        conn.execute(
            "insert into content.stage_results (video_id, stage, input_hash, provider, outputs,"
            " seconds) values (%s, 'script', 'h', 'p', '{}', 1)",
            (video_id,),
        )
    for reason in ("OSError: disk full", "OSError: disk full again"):
        record_failure(video_id, "video", reason, settings=planning)
    letters = rows(planning, "select reason, status, payload from ops.dead_letters")
    assert [letter[:2] for letter in letters] == [("video: OSError: disk full again", "open")]
    assert json.loads(letters[0][2])["finished"] == {"script": "h"}
    letter = take_back(video_id, settings=planning)
    assert (letter.stage, letter.finished) == ("video", ("script",))
    status = f"select status from content.video_schedule where video_id = '{video_id}'"
    assert rows(planning, status) == [("scheduled",)]
    # Airflow does not run here: the letter stays until the video is finished.
    for _ in range(2):
        with pytest.raises(YtempireError, match=r"(?i)airflow"):
            replay_video(video_id)
    assert rows(planning, "select status from ops.dead_letters") == [("open",)]


@pytest.fixture(scope="module")
def passed(planned, planning) -> str:
    """A video that passed the gate, with its files."""
    video_id, store = planned.video_ids[0], content_store(planning)
    folder = planning.outbox_dir / video_id
    folder.mkdir()
    files = {}
    for name in ("video.mp4", "manifest.json"):
        text = json.dumps({"seed": 7, "licences": {"voice": "CC0"}})
        store.put_text(f"outbox/{video_id}/{name}", text)
        (folder / name).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        files[name] = {
            "key": f"outbox/{video_id}/{name}", "sha256": digest, "bytes": len(text),
        }  # fmt: skip
    with connect(planning.require("database_url")) as conn:
        conn.execute(
            "insert into content.videos (video_id, channel_id, topic_id, topic, title, verdict,"
            " scores, duration_s, files, local_path) values (%s, 'news', 'rises', 't', 'Title',"
            " 'approved', '{}', 30, %s, %s)",
            (video_id, json.dumps(files), str(folder)),
        )
    return video_id


@pytest.fixture(scope="module")
def finished(passed, planning) -> str:
    """A video in the outbox."""
    assert conclude(passed, planning).destination == "outbox"
    return passed


def state(settings: Settings, video_id: str) -> tuple:
    """Verdict, status in the schedule, and status where it is out."""
    (found,) = rows(
        settings,
        "select v.verdict, s.status, p.status from content.videos as v"
        " inner join content.video_schedule as s using (video_id)"
        f" left join content.publications as p using (video_id) where video_id = '{video_id}'",
    )
    return found


def test_a_closed_channel_keeps_its_videos_to_be_published_later(passed, planning):
    with connect(planning.require("database_url")) as conn:
        set_active(conn, "news", False)
    with pytest.raises(FatalError, match="paused; replay it afterwards"):
        release(passed, planning)
    record_failure(passed, "release", "FatalError: channel news is paused", settings=planning)
    assert state(planning, passed) == ("approved", "failed", None)
    assert rows(planning, "select status from ops.dead_letters") == [("open",)]
    with connect(planning.require("database_url")) as conn:
        set_active(conn, "news", True)
    assert take_back(passed, settings=planning).stage == "release"


def test_a_video_is_out_with_all_its_rows_or_not_at_all(passed, planning):
    with connect(planning.require("database_url")) as conn:
        conn.execute(
            "alter table content.videos add constraint nothing_is_out check (verdict <>"
            " 'published')"
        )
    with pytest.raises(psycopg.errors.CheckViolation):
        release(passed, planning)
    assert state(planning, passed) == ("approved", "scheduled", None)
    with connect(planning.require("database_url")) as conn:
        conn.execute("alter table content.videos drop constraint nothing_is_out")


def test_a_finished_video_is_no_dead_letter_any_more(finished, planning):
    assert state(planning, finished) == ("published", "published", "published")
    assert rows(planning, "select status from ops.dead_letters") == [("replayed",)]
    with pytest.raises(FatalError, match="no dead letter"):
        take_back(finished, settings=planning)


def test_the_manifest_names_what_the_video_came_from_and_is_written_once(finished, planning):
    digests = {record_provenance(finished, planning) for _ in range(2)}
    assert len(digests) == 1
    assert rows(planning, "select count(*) from content.provenance") == [(1,)]
    found = verify(finished, planning)
    assert found.is_whole, found.problems
    assert found.manifest["made"]["seed"] == 7
    assert found.manifest["plan"]["trend_rows"][0]["video_id"] == "y-rises"
    assert found.manifest["predictions"][0]["entity_id"] == "y-rises"
    assert found.manifest["model"]["version"] == "1.0.0"


def test_a_changed_manifest_and_a_changed_file_are_found(finished, planning):
    store = content_store(planning)
    key = f"outbox/{finished}/video.mp4"
    before = store.get_text(key)
    store.put_text(key, "another film")
    assert verify(finished, planning).problems == ["video.mp4 is not the file that was recorded"]
    store.put_text(key, before)
    change = "update content.provenance set manifest = %s"
    with (
        connect(planning.require("database_url")) as conn,
        pytest.raises(psycopg.errors.RaiseException, match="append-only"),
    ):
        conn.execute(change, ("{}",))
    with connect(planning.require("database_url")) as conn:
        # Its owner can.
        conn.execute("alter table content.provenance disable trigger append_only")
        (manifest,) = conn.execute("select manifest from content.provenance").fetchone()
        conn.execute(change, ("{}",))
    assert "the manifest names no files" in verify(finished, planning).problems
    with connect(planning.require("database_url")) as conn:
        conn.execute(change, (manifest.replace("CC0", "own"),))
    problems = verify(finished, planning).problems
    assert any("not what its hash says" in problem for problem in problems)
    assert any("bucket" in problem for problem in problems)


def test_a_video_leaves_the_outbox(finished, planning):
    folder = planning.outbox_dir / finished
    for _ in range(2):
        assert unpublish(finished, planning).status == "unpublished"
    assert not folder.exists()
    assert (planning.outbox_dir / "unpublished" / finished / "video.mp4").is_file()


def test_the_page_shows_the_videos_and_sends_ranges(finished, planned, planning):
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.testclient import TestClient
    from ytempire_airflow.videos import app

    with connect(planning.require("database_url")) as conn:
        conn.execute(
            "update content.videos set files = files || %s where video_id = %s",
            (json.dumps({"gate.json": {"key": "outbox/lost.json", "bytes": 9}}), finished),
        )
        conn.execute(
            "insert into content.publications (video_id, destination, status, updated_at)"
            " values (%s, 'youtube', 'uploading', '2026-01-01Z')",
            (finished,),
        )
        conn.execute(
            "insert into content.video_schedule (video_id, channel_id, topic_id, topic, as_of,"
            " publish_at, forecast, score, model_name, model_version, reasons, brief, status)"
            " select 'late-' || n, 'c', 'late-' || n, 't', %s, now(), 1, 1, 'm', '1.0.0', '{}',"
            " '{}', 'rejected' from generate_series(1, 70) as n",
            (NOW + timedelta(days=1),),
        )
    app.dependency_overrides[get_user] = lambda: None
    try:
        with TestClient(app) as http:
            page = http.get("/").text
            one = http.get(f"/{finished}").text
            part = http.get(f"/{finished}/video.mp4", headers={"Range": "bytes=2-5"})
            whole = http.get(f"/{finished}/video.mp4", headers={"Range": "lines=1-2"})
            missing = [http.get(f"/{finished}/{name}") for name in ("secrets.json", "gate.json")]
    finally:
        app.dependency_overrides.clear()
    assert page.count("Title<br>") == 1
    assert "the trend has died" in page
    assert "y-rises" in one  # of the manifest
    assert (part.status_code, part.text) == (206, "seed")
    assert part.headers["Content-Range"].startswith("bytes 2-5/")
    assert (whole.status_code, whole.text[2:6]) == (200, "seed")
    assert [each.status_code for each in missing] == [404, 404]
