"""The main job through the real scheduler, on the simulated world: from ingest to videos."""

from __future__ import annotations

from pathlib import Path

from ml.airflow_client import AirflowClient
from ml.main_job import BESIDE, DOWNSTREAM
from ml.sources.families import FAMILIES
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect
from ml.summary import summarise

_INGEST = [f"ingest_{family.name}" for family in FAMILIES]


def test_every_stage_ran_in_airflow_and_succeeded(finished, platform):
    stages = [progress.dag_id for progress in finished]
    before = [*_INGEST, *(dag_id for _, dag_id in DOWNSTREAM)]
    assert stages[: len(before)] == before
    assert set(stages[len(before) :]) == {"generate_video", *(dag_id for _, dag_id in BESIDE)}
    assert {progress.state for progress in finished} == {"success"}


def test_lineage_leads_from_sources_to_videos(finished, platform):
    """Walking the asset events back from the plan leads to a build that covers every family."""
    client = AirflowClient(platform)
    plan = next(progress for progress in finished if progress.dag_id == "plan_videos")
    seen, frontier = set(), {("plan_videos", plan.run_id)}
    while frontier:
        seen |= frontier
        frontier = set().union(*(client.asset_sources(*node) for node in frontier)) - seen
    dags = {dag_id for dag_id, _ in seen}
    assert {"build_marts", "train_trend_video"} <= dags
    assert dags & set(_INGEST)
    builds = [client.asset_events(*node) for node in seen if node[0] == "build_marts"]
    runs = [run for events in builds for event in events for run in event["extra"]["covers"]]
    covered = {run.split("/")[0] for run in runs}
    assert covered == set(_INGEST)


def test_a_model_is_registered_against_its_baselines(finished, platform):
    from ml.registry.tracking import client

    versions = client(platform).search_model_versions("name='trend_video'")
    assert versions
    run = client(platform).get_run(versions[0].run_id)
    compared = {name.split(".")[0] for name in run.data.metrics}
    assert {"model", "always_up", "linear_extrapolation", "logistic_regression"} <= compared


def test_a_drift_report_is_stored_with_its_verdict(finished, platform):
    with connect(platform.require("database_url")) as conn:
        verdict, key = conn.execute(
            "select verdict, report_key from ml.drift_reports order by created_at desc limit 1"
        ).fetchone()
    assert verdict in ("stable", "drift")
    html = ObjectStore(platform).get_bytes(platform.bucket("reports"), key)
    assert b"<html" in html[:2000].lower()


def test_every_video_is_a_finished_file(finished, platform):
    videos = summarise(platform)["videos"]
    assert len(videos) == platform.videos_per_plan
    for video in videos:
        assert video["verdict"] in ("published", "held", "rejected")
        assert 20 <= video["seconds"] <= 60
        assert Path(video["file"]).stat().st_size > 100_000


def test_nothing_synthetic_is_unmarked(finished, platform):
    with connect(platform.require("database_url")) as conn:
        for table in ("raw.youtube_videos", "raw.records"):
            assert conn.execute(f"select bool_and(is_synthetic) from {table}").fetchone() == (True,)


def test_running_again_changes_nothing(finished_again):
    assert {progress.state for progress in finished_again.runs} == {"success"}
    assert finished_again.content_after == finished_again.content_before


def test_the_analyst_reads_the_marts_and_nothing_else(finished, platform):
    with connect(platform.require("analyst_database_url")) as conn:
        assert conn.execute("select count(*) from fct_video_daily").fetchone()[0] > 0
    for statement in (
        "select 1 from raw.youtube_videos",
        "select 1 from content.videos",
        "create table marts.mine (a int)",
        "delete from fct_video_daily",
    ):
        assert _refused(platform, statement), statement


def _refused(settings, statement):
    import psycopg

    with connect(settings.require("analyst_database_url")) as conn:
        try:
            conn.execute(statement)
        except psycopg.Error:
            conn.rollback()
            return True
    return False
