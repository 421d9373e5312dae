from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy.engine import make_url

from ml import features, warehouse
from ml.exceptions import FatalError, MissingFeatureError
from ml.monitoring.drift import run_drift_report
from ml.registry import releases
from ml.settings import Settings, get_settings
from ml.storage import migrate
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect, copy_rows
from ml.topics import assign_topics
from ml.trend.video.predict import score_videos
from ml.trend.video.train import NAME, train_video

START = datetime(2030, 1, 1, 5, tzinfo=UTC)
VIDEOS, SPAN, LIFE = 900, 60, 6
AS_OF = START + timedelta(days=SPAN + LIFE)
SERVICE = "trend_video_v2"
COLUMNS = (
    "source", "region", "video_id", "observed_at", "available_at", "chart_rank", "title",
    "channel_id", "channel_title", "category_id", "published_at", "language", "duration_s",
    "views", "likes", "comments", "regions_listed", "made_for_kids", "bronze_key", "is_synthetic",
)  # fmt: skip
SUBJECTS = ("castle in Minecraft", "new Lamborghini", "pasta from scratch", "chess opening")


def observations(seed: int = 11) -> Iterator[tuple]:
    """Daily observations of videos whose growth lasts or dies by category."""
    random = np.random.default_rng(seed)
    for number in range(VIDEOS):
        first = START + timedelta(days=int(number * SPAN / VIDEOS), minutes=int(number % 60))
        category = int(random.choice([10, 20]))
        growth, views = float(random.exponential(0.5)), float(random.lognormal(10, 1))
        title = f"I made a {SUBJECTS[number % 4]} part {number}"
        for day in range(LIFE):
            at = first + timedelta(days=day)
            yield (
                "youtube-panel", "ZZ", f"model{number:05d}", at, at, 1 + number % 50, title,
                f"channel{number % 60}", f"Channel {number % 60}", category,
                first - timedelta(hours=float(random.uniform(5, 90))), "en", 60.0 + number % 500,
                int(views), int(views / 20) + 1, None if number % 11 == 0 else int(views / 200) + 1,
                2, False, "raw/test", False,
            )  # fmt: skip
            views *= math.exp(max(0.0, growth + random.normal(0, 0.03)))
            growth *= 0.85 if category == 10 else 0.35


@pytest.fixture(scope="module")
def platform(stack: Settings, tmp_path_factory) -> Iterator[Settings]:
    """Settings of a database of its own, with 900 videos, their staging and feature tables."""
    secrets = json.loads((stack.state_dir / "secrets.json").read_text())
    url = make_url(stack.require("database_url"))
    admin = url.set(username="postgres_admin", password=secrets["postgres_admin"])
    name = "models_test"

    def run_as_admin(database: str, *statements: str) -> None:
        target = admin.set(database=database).render_as_string(hide_password=False)
        with connect(target, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    drop = f"drop database if exists {name} with (force)"
    run_as_admin("postgres", drop, f"create database {name} owner {url.username}")
    run_as_admin(name, "create extension vector")
    os.environ["DATABASE_URL"] = url.set(database=name).render_as_string(hide_password=False)
    settings = stack.model_copy(
        # A folder of archives, even an empty one, means that real rows count.
        update={
            "database_url": os.environ["DATABASE_URL"],
            "data_dir": tmp_path_factory.mktemp("d"),
        }
    )
    get_settings.cache_clear()
    try:
        migrate.upgrade()
        with connect(settings.database_url) as conn:
            copy_rows(conn, "raw.youtube_videos", COLUMNS, observations())
            conn.execute("analyze raw.youtube_videos")
        tables = ("momentum", "profile", "dynamics", "standing", "text")
        select = ["run", "--select", *(f"+video_{t}" for t in tables), "path:models/staging"]
        warehouse.run_dbt(select, as_of=AS_OF, settings=settings)
        features.apply(settings)
        yield settings
    finally:
        del os.environ["DATABASE_URL"]
        get_settings.cache_clear()
        run_as_admin("postgres", drop)


def fetch(platform: Settings, query: str, *values: object) -> list[tuple]:
    with connect(platform.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def test_applying_twice_registers_the_same_objects(platform):
    store = features.open_store(platform)
    before = [view.name for view in store.list_feature_views()]
    features.apply(platform)
    assert [view.name for view in features.open_store(platform).list_feature_views()] == before
    assert {"video_momentum", "video_profile"} <= set(before)


def test_online_and_offline_paths_give_the_same_numbers(platform):
    seconds = features.materialise(None, AS_OF, platform)
    assert set(seconds) >= {"video_momentum", "video_profile"}
    video = f"model{VIDEOS - 1:05d}"
    [online] = features.online_features(SERVICE, [video], platform)
    query = f"select '{video}' as video_id, timestamptz '{AS_OF.isoformat()}' as event_timestamp"
    offline = features.training_frame(query, SERVICE, platform).iloc[0]
    for name in set(online) - {"video_id"}:
        if online[name] is None:
            assert offline[name] != offline[name] or offline[name] is None, name
        else:
            assert offline[name] == pytest.approx(online[name]), name


def test_video_that_is_not_online_raises_instead_of_being_zero(platform):
    with pytest.raises(MissingFeatureError, match="nobody"):
        features.online_features(SERVICE, ["nobody"], platform)


def test_late_row_does_not_leak_into_a_training_frame(platform):
    video, moment = "model00100", START + timedelta(days=20)
    copied = (
        "create temporary table late as select * from features.video_momentum where video_id ="
        " %s order by event_at limit 1"
    )
    with connect(platform.database_url) as conn:
        conn.execute(copied, (video,))
        # It happened an hour before the moment, and nobody could know until a day after it.
        conn.execute(
            "update late set event_at = %s, available_at = %s, views = 987654321",
            (moment - timedelta(hours=1), moment + timedelta(days=1)),
        )
        conn.execute("insert into features.video_momentum select * from late")
    query = f"select '{video}' as video_id, timestamptz '{moment.isoformat()}' as event_timestamp"
    try:
        safe = features.training_frame(query, SERVICE, platform)
        leaking = features.training_frame(query, SERVICE, platform, only_available=False)
    finally:
        with connect(platform.database_url) as conn:
            conn.execute("delete from features.video_momentum where views = 987654321")
    assert safe.loc[0, "views"] != 987654321
    assert leaking.loc[0, "views"] == 987654321


@pytest.fixture(scope="module")
def release(platform) -> releases.Release:
    return train_video(AS_OF, platform)


def test_first_version_becomes_champion_and_is_mirrored(platform, release):
    assert release.is_champion, release.reason
    assert (release.version, release.reused) == ("1.0.0", False)
    figures = json.loads(release.tags["metrics"])
    rivals = {
        "always_up", "linear_extrapolation", "szabo_huberman", "log_linear", "logistic_regression",
    }  # fmt: skip
    assert rivals < set(figures)
    assert all(figures["model"]["auc"] > figures[rival]["auc"] for rival in rivals)
    # All videos are seen on six days: nobody knows their eighth, and none leaves before.
    assert set(json.loads(release.tags["heads_left_out"])) == {"growth_7d", "breakout", "listed"}
    assert 0.5 < figures["model"]["growth_48h_coverage"] <= 1
    [row] = fetch(platform, "select version, status, accuracy from ml.ml_models")
    assert row[:2] == ("1.0.0", "champion")
    assert float(row[2]) == pytest.approx(figures["model"]["accuracy"], abs=1e-4)
    [job] = fetch(platform, "select status, metrics -> 'model' ->> 'auc' from ml.training_jobs")
    assert job[0] == "completed"
    assert float(job[1]) == pytest.approx(figures["model"]["auc"])


def test_training_again_on_the_same_data_reuses_the_version(platform, release):
    again = train_video(AS_OF, platform)
    assert again.reused
    assert (again.mlflow_version, again.run_id) == (release.mlflow_version, release.run_id)
    assert len(fetch(platform, "select 1 from ml.ml_models")) == 1


def test_logged_model_has_signature_example_and_card(platform, release):
    model, loaded = releases.load_champion(NAME, platform)
    assert loaded.mlflow_version == release.mlflow_version
    assert "log_growth_1d" in model.metadata.get_input_schema().input_names()
    assert model.input_example is not None
    import mlflow.artifacts

    card = mlflow.artifacts.load_text(f"runs:/{release.run_id}/model_card.md")
    assert "logistic_regression" in card
    assert release.tags["data_digest"] in card


def test_worse_version_is_refused_and_the_champion_stays(platform, release):
    from ml.trend.video.dataset import load_params

    params = load_params()
    weak = {**params, "max_rounds": 1, "xgboost": {**params["xgboost"], "max_depth": 1}}
    refused = train_video(AS_OF, platform, weak)
    assert refused.aliases == ("challenger",)
    assert refused.version == "1.1.0"
    assert "does not beat" in refused.reason
    current = releases.champion(NAME, platform)
    assert current is not None
    assert current.mlflow_version == release.mlflow_version


def test_scores_are_written_once_per_video_and_moment(platform, release):
    first = score_videos(AS_OF, platform)
    again = score_videos(AS_OF, platform)
    assert first.scored == first.written > 20
    assert (again.scored, again.written) == (first.scored, 0)
    rows = fetch(
        platform,
        "select (prediction ->> 'probability')::float, p.confidence, m.version"
        " from ml.model_predictions as p join ml.ml_models as m on m.id = p.model_id",
    )
    assert len(rows) == first.scored
    assert all(0 <= probability <= 1 and version == "1.0.0" for probability, _, version in rows)
    assert len({round(probability, 3) for probability, _, _ in rows}) > 10


def test_drift_report_leaves_a_row_and_a_page(platform, release):
    report = run_drift_report(AS_OF, platform)
    again = run_drift_report(AS_OF, platform)
    assert dataclasses.asdict(again) == dataclasses.asdict(report)
    [row] = fetch(
        platform, "select drift_report_id, verdict, report_key, details from ml.drift_reports"
    )
    assert row[:3] == (report.drift_report_id, report.verdict, report.report_key)
    assert len(row[3]["columns"]) == report.columns_checked > 10
    page = ObjectStore(platform).get_bytes(platform.bucket("reports"), report.report_key)
    assert b"<html" in page[:2000].lower()
    [metrics] = fetch(platform, "select drift_score, accuracy from ml.model_performance_metrics")
    assert float(metrics[0]) == pytest.approx(report.drift_share, abs=1e-4)
    assert report.performance["rows"] >= 30
    assert float(metrics[1]) == pytest.approx(report.performance["accuracy"], abs=1e-4)


def test_shift_in_a_feature_is_called(platform, release):
    later = AS_OF + timedelta(minutes=1)
    with connect(platform.database_url) as conn:
        conn.execute(
            "update features.video_momentum set log_growth_1d = log_growth_1d + 3,"
            " views_per_hour = views_per_hour * 50, like_growth_1d = like_growth_1d + 3,"
            " comment_growth_1d = comment_growth_1d + 3 where event_at > %s",
            (later - timedelta(days=7),),
        )
    report = run_drift_report(later, platform)
    assert report.verdict == "drift"
    assert {"log_growth_1d", "like_growth_1d"} <= set(report.drifted)


def test_too_few_videos_are_refused_with_the_number_needed(platform):
    with pytest.raises(FatalError, match=r"at least 150 labelled videos.*there are \d+"):
        train_video(START + timedelta(days=8), platform)


def test_topics_are_found_once_and_keep_their_ids(platform):
    first = assign_topics(AS_OF, max_items=200, settings=platform)
    before = fetch(platform, "select topic_id, label, language from ml.topics order by 1")
    again = assign_topics(AS_OF, max_items=200, settings=platform)
    assert first.items == first.assigned == first.embedded > 100
    assert (again.assigned, again.embedded, again.new_topics) == (0, 0, 0)
    assert fetch(platform, "select topic_id, label, language from ml.topics order by 1") == before
    assert len(before) <= 8
    labels = " / ".join(label for _, label, _ in before)
    assert all(word in labels for word in ("Minecraft", "Lamborghini", "pasta", "chess"))
    assert {language for _, _, language in before} == {"en"}
    [[orphans]] = fetch(
        platform,
        "select count(*) from ml.topic_assignments left join ml.topics using (topic_id)"
        " where topics.topic_id is null",
    )
    assert orphans == 0
