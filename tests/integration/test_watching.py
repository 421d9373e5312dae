"""Counting in Postgres, warnings that fire once and recover, retrainings within their guards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import tiny_model

from feature_repo.features import video_dynamics, video_momentum, video_standing
from ml.monitoring import indicators, recorded
from ml.monitoring.answers import join_outcomes
from ml.monitoring.breaks import read_breaks
from ml.monitoring.drift import DriftReport
from ml.monitoring.early_warning import check_warnings
from ml.monitoring.profile import CURRENT, Relation, profile_frame, profile_relation
from ml.monitoring.recorded import watch_recorded
from ml.monitoring.retraining import ask_retraining
from ml.monitoring.windows import title_axes
from ml.registry import aliases, health, mirror, promotion, recording, releases
from ml.registry.audit import Cause
from ml.registry.releases import Candidate, Release
from ml.registry.tracking import client
from ml.retention import forget_old_reports
from ml.settings import Settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect, copy_rows
from ml.topics.embeddings import MODEL_VERSION, WIDTH, as_text

AS_OF = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
REPORT = DriftReport(
    drift_report_id="r0", model_version="1.0.0", reference=(AS_OF - 90 * DAY, AS_OF - 30 * DAY),
    current=(AS_OF - 7 * DAY, AS_OF), reference_rows=900, current_rows=90, columns_checked=10,
    columns_drifted=3, drift_share=0.3, verdict="drift", report_key="k", drifted=("a", "b", "c"),
    across_breaks=(), performance={}, has_decayed=False, trained_as_of=AS_OF - 20 * DAY,
)  # fmt: skip


@pytest.fixture
def database(own_database: Settings) -> Settings:
    """Without what an earlier test has left."""
    with connect(own_database.database_url) as conn:
        conn.execute("truncate ml.drift_reports, ops.warnings cascade")
        conn.execute("truncate ml.ml_models, ops.alerts cascade")
        conn.execute(
            "create table if not exists features.video_momentum (video_id text, day_number integer,"
            " views bigint, event_at timestamptz, available_at timestamptz, is_synthetic boolean)"
        )
        conn.execute(
            "create table if not exists features.video_profile (video_id text, event_at"
            " timestamptz, available_at timestamptz, is_synthetic boolean, category_id integer,"
            " language text, log_duration double precision, title_chars integer, title_words"
            " integer, title_caps_share double precision, title_has_question boolean,"
            " title_has_number boolean, title_emoji_count integer)"
        )
    # The rows of these tests are synthetic; beside archives only real ones would count.
    return own_database.model_copy(update={"data_dir": None})


def reported(database: Settings, number: int, after: timedelta = timedelta(), **changes):
    """A report with its row, which a decision refers to."""
    report = replace(
        REPORT, drift_report_id=f"r{number}", current=(AS_OF - 7 * DAY, AS_OF + after), **changes
    )
    with connect(database.database_url) as conn:
        conn.execute(
            "insert into ml.drift_reports values (%s, 'trend_video', %s, %s, %s, %s, %s, %s, %s,"
            " %s, %s, %s)",
            (
                report.drift_report_id, report.model_version, *report.reference, *report.current,
                report.columns_checked, report.columns_drifted, report.drift_share,
                report.verdict, report.report_key,
            ),
        )  # fmt: skip
    return report


def test_postgres_counts_what_a_frame_counts(database):
    import pandas as pd

    random = np.random.default_rng(8)
    rows = 3000
    frame = pd.DataFrame({
        "even": random.random(rows), "few": random.integers(0, 4, rows).astype(float),
        "holes": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
        "kind": random.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
    })  # fmt: skip
    frame.loc[random.random(rows) < 0.1, "kind"] = None
    blocks = random.integers(-1, 5, rows)
    numeric = ("even", "few", "holes")
    with connect(database.database_url) as conn:
        conn.execute(
            "create temporary table watched (block int, even float8, few float8, holes float8,"
            " kind text)"
        )
        values = frame.astype(object).where(frame.notna(), None).to_numpy()
        copy_rows(
            conn,
            "watched",
            ("block", *frame),
            ((int(b), *v) for b, v in zip(blocks, values, strict=True)),
        )
        counted = profile_relation(conn, Relation("watched", numeric, ("kind",)))
    for ours, same in zip(counted, profile_frame(frame, blocks, numeric, ("kind",)), strict=True):
        assert (ours.name, ours.levels) == (same.name, same.levels)
        assert CURRENT in ours.blocks
        for part in ("blocks", "rows", "counts", "missing", "mean"):
            np.testing.assert_allclose(getattr(ours, part), getattr(same, part), err_msg=part)


def test_a_title_counts_once_and_along_the_axes_of_the_encoder_in_use(database):
    random = np.random.default_rng(3)
    vectors = random.normal(size=(60, 2, WIDTH)).astype(np.float32)
    with connect(database.database_url) as conn:
        conn.execute("create temporary table watched (block int, video_id text)")
        blocks = [CURRENT if video < 20 else video % 4 for video in range(60)]
        rows = ((block, f"v{video}") for video, block in enumerate(blocks))
        copy_rows(conn, "watched", ("block", "video_id"), rows)
        copy_rows(
            conn,
            "ml.content_embeddings",
            ("content_id", "content_type", "model_version", "embedding"),
            (
                (f"v{video}", f"youtube-{source}:title", version, as_text(vector))
                for video, pair in enumerate(vectors)
                for version, vector in zip((MODEL_VERSION, "another"), pair, strict=True)
                for source in ("panel", "trending")
            ),
        )
        found = title_axes(conn, 4, 1000)
        conn.rollback()
    # Half of the titles of the reference give the axes.
    assert len(found) == 20 + 40 / 2
    assert (found["block"] == CURRENT).sum() == 20


def test_a_warning_is_told_once_and_once_more_when_it_recovers(database):
    with connect(database.database_url) as conn:
        conn.execute(
            "insert into ml.ml_models (model_name, model_type, version, status, model_path)"
            " values ('trend_video', 'xgboost', '1.0.0', 'champion', 'm')"
        )
    assert check_warnings(AS_OF, "run0", database)["firing"] == []
    reported(database, 1)
    key = "data_drift/trend_video"
    first = check_warnings(AS_OF, "run1", database)
    assert first == {"fired": [key], "recovered": [], "firing": [key]}
    again = check_warnings(AS_OF + DAY, "run2", database)
    assert again == {"fired": [], "recovered": [], "firing": [key]}
    reported(database, 2, after=2 * DAY, verdict="stable", drift_share=0.0, columns_drifted=0)
    recovered = check_warnings(AS_OF + 2 * DAY, "run3", database)
    assert recovered == {"fired": [], "recovered": [key], "firing": []}
    with connect(database.database_url) as conn:
        told = conn.execute("select kind, run_id from ops.alerts order by alert_id").fetchall()
        [state] = conn.execute("select fired_at, recovered_at, notices from ops.warnings")
    assert told == [("warning", "run1"), ("recovery", "run3")]
    assert state == (AS_OF, AS_OF + 2 * DAY, 1)


def test_slow_answers_and_a_fall_in_accuracy_fire(database):
    with connect(database.database_url) as conn:
        [[model]] = conn.execute(
            "insert into ml.ml_models (model_name, model_type, version, status, model_path)"
            " values ('trend_video', 'xgboost', '1.0.0', 'champion', 'm') returning id"
        )
        conn.execute(
            "insert into ml.model_performance_metrics"
            " (model_id, metric_date, accuracy, predictions_count)"
            " select %s, (%s::timestamptz at time zone 'UTC')::date - n,"
            " case n when 0 then 0.80 else 0.87 end, 40 from generate_series(0, 5) as n",
            (model, AS_OF),
        )
        # An hour of 13 ms after a day of 10 ms.
        conn.execute(
            "insert into ml.model_predictions (model_id, prediction_type, entity_id, input_data,"
            " prediction, latency_ms, created_at) select %s, 'trend', n::text, '{}', '{}',"
            " case when n < 180 then 13 else 10 end, now() - n * interval '20 seconds'"
            " from generate_series(0, 4000) as n",
            (model,),
        )
    # Of 40 outcomes chance alone explains seven points.
    assert check_warnings(AS_OF, "run1", database)["fired"] == ["latency_increase/trend"]
    with connect(database.database_url) as conn:
        conn.execute("update ml.model_performance_metrics set predictions_count = 400")
    assert check_warnings(AS_OF, "run2", database)["fired"] == ["accuracy_drop/trend_video"]


@pytest.mark.parametrize(("hour", "day", "share"), [(7, 30, 0.9), (13, 1, 0.9), (13, 30, 0.0)])
def test_a_quota_is_that_of_the_provider_s_day(database, hour, day, share):
    """At 07:00 UTC it is still yesterday in California, whose day the quota of YouTube keeps."""
    day = AS_OF.date() if day == 1 else (AS_OF - DAY).date()
    with connect(database.database_url) as conn:
        conn.execute("truncate ops.quota_ledger")
        conn.execute(
            "insert into ops.quota_ledger values ('youtube', %s, 'default', 9000, 10000)", (day,)
        )
        moment = AS_OF + timedelta(hours=hour)
        found = indicators.read("quota_share", moment, DAY, conn, database)
    assert found == {"youtube/default": share}


def test_drift_retrains_within_cool_down_and_budget(database):
    young = reported(database, 1, trained_as_of=AS_OF - timedelta(hours=3))
    assert "trained as of" in ask_retraining(young, "run", database).reason
    granted = ask_retraining(reported(database, 2), "run", database)
    assert granted.is_granted
    # A repeated task gets its answer again. A run that makes the same report once more, because the
    # retraining brought neither a new champion nor new data, must not start the next retraining.
    same = replace(REPORT, drift_report_id="r2")
    assert ask_retraining(same, "run", database) == granted
    assert not ask_retraining(same, "next run", database).is_granted
    assert ask_retraining(same, "run", database) == granted
    soon = ask_retraining(reported(database, 3, after=timedelta(hours=5)), "run", database)
    assert not soon.is_granted
    assert "the last retraining was asked for" in soon.reason
    rest = [
        ask_retraining(reported(database, 4 + n, after=(1 + n) * DAY), "run", database)
        for n in (0, 1)
    ]
    assert [each.is_granted for each in rest] == [True, True]
    spent = ask_retraining(reported(database, 6, after=3 * DAY), "run", database)
    assert spent.reason == "budget: 3 retrainings within a week"
    assert ask_retraining(reported(database, 7, after=8 * DAY), "run", database).is_granted


def test_a_frozen_champion_and_a_break_of_definitions_do_not_retrain(database):
    if not client(database).search_registered_models(filter_string="name = 'trend_video'"):
        client(database).create_registered_model("trend_video")
    promotion.freeze("trend_video", Cause("ana", "campaign until May"), database)
    refused = ask_retraining(reported(database, 1), "run", database)
    assert refused.reason == "the champion is frozen: campaign until May"
    promotion.unfreeze("trend_video", Cause("ana", "it is over"), database)
    assert ask_retraining(reported(database, 2), "run", database).is_granted
    broken = reported(database, 3, after=9 * DAY, verdict="definition_break", has_decayed=True)
    assert ask_retraining(broken, "run", database) is None
    decayed = reported(
        database, 4, after=9 * DAY, verdict="stable", has_decayed=True,
        performance={"accuracy": 0.6},
    )  # fmt: skip
    assert ask_retraining(decayed, "run", database).cause == "decay"


def test_answers_of_the_api_get_their_outcomes_as_those_of_a_batch_do(database):
    views = {"grows": (100, 150, 400), "stops": (100, 110, 112), "young": (100, 150)}
    about = {"grows": 1, "stops": 1, "young": 1, "unknown": None}
    with connect(database.database_url) as conn:
        conn.execute("truncate features.video_momentum")
        for video, seen in views.items():
            for day, count in enumerate(seen, 1):
                at = AS_OF - (4 - day) * DAY
                conn.execute(
                    "insert into features.video_momentum values (%s, %s, %s, %s, %s, true)",
                    (video, day, count, at, at),
                )
        [model] = conn.execute(
            "insert into ml.ml_models (model_name, model_type, version, mlflow_version, status,"
            " model_path)"
            " values ('trend_video', 'x', '1.0.0', 1, 'champion', '') returning id"
        ).fetchone()
        for kind, as_of in (("predict/video", None), ("trend_video", AS_OF - 3 * DAY)):
            for video, day in about.items():
                conn.execute(
                    "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
                    " input_data, prediction, created_at) values (%s, %s, %s, %s, %s, %s, %s)",
                    (
                        model, kind, video, as_of, json.dumps({"day_number": day}),
                        json.dumps({"rising": True, "growth_threshold": 0.5}), datetime.now(UTC),
                    ),
                )  # fmt: skip
    early = join_outcomes(AS_OF - 2 * DAY, database)
    assert early == {"video": 0, "story": 0, "topic": 0}
    assert join_outcomes(AS_OF, database) == {"video": 4, "story": 0, "topic": 0}
    assert join_outcomes(AS_OF, database) == {"video": 0, "story": 0, "topic": 0}
    with connect(database.database_url) as conn:
        found = conn.execute(
            "select prediction_type, entity_id, actual_outcome from ml.model_predictions"
            " where actual_outcome is not null order by 1, 2"
        ).fetchall()
    assert [(kind, video, said["rising"]) for kind, video, said in found] == [
        (kind, video, rises)
        for kind in ("predict/video", "trend_video")
        for video, rises in (("grows", True), ("stops", False))
    ]
    assert found[0][2]["growth_48h"] == pytest.approx(np.log(4), abs=1e-6)
    # What a rollout is judged by is what was served: half of the answers were right.
    since = datetime.now(UTC) - DAY
    figures = health.figures("trend_video", 1, since, database)
    assert (figures.answers, figures.outcomes, figures.accuracy) == (4, 2, 0.5)


def champion_of(database: Settings, name: str, folder: Path) -> Release:
    """A registered champion, whose answers alone matter here."""
    (folder / "weights.json").write_text('{"slope": 1.0, "shift": 0.0}')
    frame = tiny_model.frame(3)
    release = recording.record(
        Candidate(
            name=name, model_type="tiny", fingerprint=name, folder=folder,
            loader_module="tiny_model", gate_metric="auc", metrics={"model": {"auc": 0.9}},
            params={}, tags={"as_of": AS_OF.isoformat()}, card="", dataset=frame,
            dataset_source="test", target="x", example=frame,
            prediction=tiny_model.TinyModel(1, 0).predict(frame), pip_requirements=[],
        ),
        database,
    )  # fmt: skip
    aliases.move(name, [("champion", release.mlflow_version)], Cause("test", "test"), database)
    return releases.champion(name, database)


def topics_and_their_forecasts(conn, model: str, random) -> None:
    """Sixty days of forecasts of forty topics; those of the last week say something else."""
    conn.execute(
        "create schema if not exists marts;"
        "create table if not exists marts.dim_topic (topic_id text, is_synthetic boolean);"
        "create table if not exists marts.fct_topic_momentum (topic_id text, observed_date date,"
        " items bigint, available_at timestamptz);"
        "create table if not exists marts.fct_segment_topic_engagement (country text,"
        " niche_id text, observed_date date, items bigint, available_at timestamptz,"
        " is_synthetic boolean);"
        "insert into marts.dim_topic select 't' || n, true from generate_series(0, 39) as n"
    )
    for day in range(60, 0, -1):
        at = AS_OF - day * DAY
        shifted = 0.5 if day <= 7 else 0.0
        for topic in range(40):
            conn.execute(
                "insert into marts.fct_topic_momentum values (%s, %s, %s, %s)",
                (f"t{topic}", at.date(), int(random.integers(1, 20)), at + DAY),
            )
            probability = float(random.uniform(0, 0.5)) + shifted
            forecast = {
                "rise_probability": probability, "rises": probability >= 0.5,
                "rise_threshold": 20.0, "volume_48h": float(random.poisson(20)),
                "volume_7d": float(random.poisson(70)),
            }  # fmt: skip
            conn.execute(
                "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
                " input_data, prediction) values (%s, 'trend_topic', %s, %s, %s, %s)",
                (
                    model, f"t{topic}", at + DAY,
                    json.dumps({"last_day": str(at.date())}), json.dumps(forecast),
                ),
            )  # fmt: skip


PROFILE = ("age_by_id", "title_", "host_", "author_")


def stories_and_their_calls(conn, model: str, random) -> None:
    """Forty stories a day for sixty days, as they always were; each tenth reaches 100 upvotes."""
    in_profile = [name for name in recorded._STORY_NUMBERS if name.startswith(PROFILE)]
    columns = [f"{name} float8" for name in in_profile]
    columns += [f"{name} boolean" for name in recorded._STORY_FLAGS]
    conn.execute(
        "create table if not exists features.story_profile (story_id text, event_at timestamptz,"
        f" available_at timestamptz, is_synthetic boolean, {', '.join(columns)})".encode()
    )
    for number in range(60 * 40):
        entered, story = AS_OF - (60 - number / 40) * DAY, f"h{number}"
        most = 150 if number % 10 == 0 else 40
        for hours, upvotes in ((0, 10), (1, 20), (20, most)):
            at = entered + timedelta(hours=hours)
            if at <= AS_OF:
                conn.execute(
                    "insert into features.story_momentum (story_id, event_at, available_at,"
                    " is_synthetic, hours_since_entry, upvotes, entry_upvotes, rank, log_upvotes,"
                    " observed_hour, observed_dow) values (%s, %s, %s, true, %s, %s, 10, %s, %s,"
                    " 0, 0)",
                    (
                        story,
                        at,
                        at,
                        hours,
                        upvotes,
                        int(random.integers(1, 30)),
                        float(np.log(upvotes)),
                    ),
                )
        conn.execute(
            "insert into features.story_profile (story_id, event_at, available_at, is_synthetic,"
            " is_show) values (%s, %s, %s, true, %s)",
            (story, entered, entered, bool(random.random() < 0.2)),
        )
        probability = float(random.uniform(0, 1))
        call = {
            "probability": probability, "rising": probability > 0.5, "reach_probability": 0.4,
            "growth_threshold": float(np.log(99.5 / 20)),
        }  # fmt: skip
        at = entered + timedelta(hours=1)
        asked = {"event_timestamp": at.isoformat(), "upvotes": 20}
        conn.execute(
            "insert into ml.model_predictions (model_id, prediction_type, entity_id, as_of,"
            " input_data, prediction) values (%s, 'trend_story', %s, %s, %s, %s)",
            (model, story, at, json.dumps(asked), json.dumps(call)),
        )


def kill_the_monitor_as_it_writes(database: Settings) -> int:
    """SIGKILL a watching process within its transaction; how many of its reports are there then."""
    code = (
        "from datetime import datetime; from ml.monitoring.recorded import watch_recorded;"
        f" watch_recorded(datetime.fromisoformat({AS_OF.isoformat()!r}))"
    )
    with connect(database.database_url) as blocker:
        blocker.execute("lock table ml.drift_columns in access exclusive mode")
        monitor = subprocess.Popen([sys.executable, "-c", code])
        try:
            deadline = time.monotonic() + 120
            waiting = "select count(*) from pg_locks where not granted"
            while blocker.execute(waiting).fetchone()[0] == 0:
                assert monitor.poll() is None, "it ended by itself"
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            monitor.kill()
            monitor.wait()
    with connect(database.database_url) as conn:
        [count] = conn.execute(
            "select count(*) from ml.drift_reports where current_end = %s", (AS_OF,)
        ).fetchone()
    return count


def test_answers_about_topics_and_stories_are_watched_with_their_outcomes(database, tmp_path):
    random = np.random.default_rng(8)
    told = {"trend_topic": topics_and_their_forecasts, "trend_story": stories_and_their_calls}
    with ExitStack() as cleared:
        for name, tell in told.items():
            (tmp_path / name).mkdir()
            release = champion_of(database, name, tmp_path / name)
            cleared.callback(client(database).delete_registered_model, name)
            with connect(database.database_url) as conn:
                tell(conn, mirror.model_id(release, database), random)
        # Beside archives rows of the simulated world are none: nothing is known of these topics.
        beside_archives = database.model_copy(update={"data_dir": tmp_path})
        assert join_outcomes(AS_OF, beside_archives)["topic"] == 0
        written = join_outcomes(AS_OF, database)
        assert written["topic"] > 2000
        assert written["story"] > 2200
        quiet = watch_recorded(AS_OF - 8 * DAY, database)
        assert {name: report.verdict for name, report in quiet.items()} == {
            "trend_topic": "stable", "trend_story": "stable",
        }  # fmt: skip
        assert kill_the_monitor_as_it_writes(database) == 0  # nothing half written is left
        found = watch_recorded(AS_OF, database)
    assert found["trend_story"].verdict == "stable"
    assert (found["trend_topic"].verdict, found["trend_topic"].drifted) == (
        "drift", ("rise_probability",),
    )  # fmt: skip
    # One story in ten rises and half of them are called: a call is right half of the time.
    assert found["trend_story"].performance["accuracy"] == pytest.approx(0.5, abs=0.1)
    assert ObjectStore(database).exists(database.bucket("reports"), found["trend_topic"].report_key)
    with connect(database.database_url) as conn:
        measured = conn.execute(
            "select m.model_name, p.metric_date, p.predictions_count > 100, p.drift_score::float8"
            " from ml.model_performance_metrics as p join ml.ml_models as m on m.id = p.model_id"
            " where p.metric_date = %s order by 1",
            (AS_OF.date(),),
        ).fetchall()
    assert measured == [
        ("trend_story", AS_OF.date(), True, 0.0), ("trend_topic", AS_OF.date(), True, 0.3333),
    ]  # fmt: skip


def test_what_engagement_learns_from_is_watched(database, tmp_path):
    """Videos first seen in the last week have shorter titles than those before them."""
    random = np.random.default_rng(9)
    release = champion_of(database, "quality_engagement", tmp_path)
    titles = [["a quiet walk by the river", "Cooking rice?"], ["GO", "NO WAY"]]
    with connect(database.database_url) as conn:
        conn.execute("truncate features.video_profile")
        for day in range(60, 0, -1):
            at, told = AS_OF - day * DAY, titles[day <= 7]
            for number in range(40):
                title = told[int(random.integers(2))] + "!" * int(random.integers(9))
                conn.execute(
                    "insert into features.video_profile (video_id, event_at, available_at,"
                    " is_synthetic, category_id, language, log_duration, title_chars, title_words,"
                    " title_caps_share, title_has_question, title_has_number, title_emoji_count)"
                    " values (%s, %s, %s, false, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (
                        f"seen{day}-{number}", at, at, int(random.integers(3)),
                        ("en-US", "tr")[int(random.integers(2))], float(random.normal(5, 1)),
                        len(title), len(title.split()), float(random.uniform()),
                        *(bool(random.integers(2)) for _ in range(2)), int(random.integers(3)),
                    ),
                )  # fmt: skip
    try:
        quiet = watch_recorded(AS_OF - 8 * DAY, database)
        found = watch_recorded(AS_OF, database)
    finally:
        client(database).delete_registered_model(release.name)
    assert quiet["quality_engagement"].verdict == "stable"
    report = found["quality_engagement"]
    assert (report.verdict, set(report.drifted)) == ("drift", {"title_chars", "title_words"})
    assert report.columns_checked == 9


def gate_run(
    conn, store: ObjectStore, bucket: str, gate: str, run: str, days: int, *, success=True
):
    """A run of a gate so many days ago, with its report."""
    key = f"gates/{gate}/{run.replace('/', '_')}/report.json"
    store.put_bytes(bucket, key, b"{}")
    store.put_bytes(bucket, key.replace(".json", ".html"), b"<html>")
    conn.execute(
        "insert into ops.gate_results (gate, run_id, expectation, severity, success, report_key,"
        " checked_at) values (%s, %s, 'e', 'block', %s, %s, now() - make_interval(days => %s))",
        (gate, run, success, key, days),
    )


def test_old_reports_go_and_what_still_holds_stays(database):
    store, bucket = ObjectStore(database), database.bucket("reports")
    with connect(database.database_url) as conn:
        conn.execute("truncate ops.gate_results")
        for run, days in (("ingest_a/1", 400), ("ingest_a/2", 390), ("ingest_a/3", 10),
                          ("build1", 380), ("build2", 370)):  # fmt: skip
            gate_run(conn, store, bucket, "sound", run, days)
        # Blocked and mended, long ago; blocked to this day.
        gate_run(conn, store, bucket, "mended", "ingest_a/1", 400, success=False)
        gate_run(conn, store, bucket, "mended", "ingest_a/2", 390)
        gate_run(conn, store, bucket, "blocking", "ingest_a/1", 400, success=False)
        gate_run(conn, store, bucket, "blocking", "ingest_a/2", 390, success=False)
    for number, age in enumerate((400, 390, 10)):
        report = reported(
            database, number, after=number * DAY, report_key=f"drift/watched/{number}.html"
        )
        store.put_bytes(bucket, report.report_key, b"<html>")
        with connect(database.database_url) as conn:
            conn.execute(
                "update ml.drift_reports set created_at = now() - make_interval(days => %s)"
                " where drift_report_id = %s",
                (age, report.drift_report_id),
            )
    assert forget_old_reports(database) == {"gate_runs": 4, "drift_pages": 2}
    with connect(database.database_url) as conn:
        kept = conn.execute("select gate, run_id, report_key from ops.gate_results").fetchall()
        [[reports]] = conn.execute("select count(*) from ml.drift_reports").fetchall()
    assert {(gate, run) for gate, run, _ in kept} == {
        ("sound", "ingest_a/3"), ("sound", "build2"), ("mended", "ingest_a/2"),
        ("blocking", "ingest_a/1"), ("blocking", "ingest_a/2"),
    }  # fmt: skip
    assert reports == 3
    keys = [key for _, _, key in kept] + [key.replace(".json", ".html") for *_, key in kept]
    for gate in ("sound", "mended", "blocking"):
        found = set(store.list_keys(bucket, f"gates/{gate}/"))
        assert found == {key for key in keys if key.startswith(f"gates/{gate}/")}
    assert list(store.list_keys(bucket, "drift/watched/")) == ["drift/watched/2.html"]
    assert forget_old_reports(database) == {"gate_runs": 0, "drift_pages": 0}


def test_a_break_of_the_views_reaches_every_feature_that_speaks_of_views(
    database: Settings,
) -> None:
    with connect(database.database_url) as conn:
        (broken,) = [
            each
            for each in read_breaks(conn, "youtube", datetime(2025, 1, 1, tzinfo=UTC), AS_OF)
            if each.field == "statistics.viewCount of Shorts"
        ]
    of_views = {
        field.name
        for view in (video_momentum, video_dynamics, video_standing)
        for field in view.features
        if "view" in f"{field.name} {field.description} {field.tags['unit']}".lower()
    }
    assert {"log_views", "engagement_rate", "like_lead_1d"} <= of_views
    assert {name for name in of_views if not broken.reaches(name)} == set()
