from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from links import Link
from redis import Redis

from ml import features, warehouse
from ml.exceptions import (
    ArchiveError,
    FatalError,
    MissingFeatureError,
    TooFewRowsError,
    UnusableModelError,
)
from ml.monitoring.drift import run_drift_report
from ml.registry import aliases, recording, releases, training, validation
from ml.registry.audit import Cause
from ml.registry.releases import Candidate
from ml.serving import catalog, champions
from ml.serving.app import create_app
from ml.serving.security.keys import create_key
from ml.settings import Settings
from ml.storage.objects import ObjectStore
from ml.storage.postgres import connect, copy_rows
from ml.topics import assign_topics
from ml.trend.archives import evaluate_archives
from ml.trend.video.dataset import build_dataset, load_params
from ml.trend.video.niche import train_niche
from ml.trend.video.predict import score_videos
from ml.trend.video.train import NAME, train_video

# Long ago: archives that are loaded today train a model of their own time.
START = datetime(2021, 1, 1, 5, tzinfo=UTC)
VIDEOS, SPAN, LIFE = 900, 60, 6
AS_OF = START + timedelta(days=SPAN + LIFE)
SERVICE = "trend_video_v2"
# Videos of a niche that comes up later.
NEWCOMERS, LATER = 300, AS_OF + timedelta(days=40)
# Of so few videos a larger share is needed to measure anything.
PARAMS = {**load_params(), "test_share": 0.2}
WEAK = {**PARAMS, "max_rounds": 1, "xgboost": {**PARAMS["xgboost"], "max_depth": 1}}
BY_HAND = Cause("test", "promoted by hand")
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


def newcomers(seed: int = 13) -> Iterator[tuple]:
    """Daily observations of a new niche, where growth lasts if people like the video."""
    random = np.random.default_rng(seed)
    for number in range(NEWCOMERS):
        first = AS_OF + timedelta(days=int(number * 34 / NEWCOMERS), minutes=int(number % 60))
        growth, views = float(random.exponential(0.5)), float(random.lognormal(10, 1))
        liked = bool(random.random() < 0.5)
        views_a_like = float(random.uniform(5, 12) if liked else random.uniform(40, 90))
        for day in range(LIFE):
            at = first + timedelta(days=day)
            yield (
                "youtube-panel", "ZZ", f"novel{number:05d}", at, at, 1 + number % 50,
                f"I made a {SUBJECTS[number % 4]} part {number}",
                f"channel{number % 60}", f"Channel {number % 60}", 28,
                first - timedelta(hours=float(random.uniform(5, 90))), "en", 60.0 + number % 500,
                int(views), int(views / views_a_like) + 1, int(views / 200) + 1,
                2, False, "raw/test", False,
            )  # fmt: skip
            views *= math.exp(max(0.0, growth + random.normal(0, 0.03)))
            growth *= 0.95 if liked else 0.2


@pytest.fixture(scope="module")
def platform(own_database: Settings, tmp_path_factory) -> Settings:
    """Settings of a database of its own, with 1,200 videos, their staging and feature tables.

    It is the moment before the new niche.
    """
    # A folder of archives, even an empty one, means that real rows count.
    changes = {"data_dir": tmp_path_factory.mktemp("d"), "as_of": AS_OF}
    settings = own_database.model_copy(update=changes)
    with connect(settings.database_url) as conn:
        copy_rows(conn, "raw.youtube_videos", COLUMNS, [*observations(), *newcomers()])
        conn.execute("analyze raw.youtube_videos")
    select = ["run", "--select", "+path:models/features", "path:models/staging", "dim_niche"]
    warehouse.run_dbt(select, as_of=LATER, settings=settings)
    with connect(settings.database_url) as conn:
        # As publishing does it, which needs every mart.
        conn.execute("create schema if not exists marts")
        conn.execute("create view marts.dim_niche as select * from marts_build.dim_niche")
    features.apply(settings)
    return settings


def fetch(platform: Settings, query: str, *values: object) -> list[tuple]:
    with connect(platform.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def test_applying_twice_registers_the_same_objects(platform):
    store = features.open_store(platform)
    before = [view.name for view in store.list_feature_views()]
    features.apply(platform)
    assert [view.name for view in features.open_store(platform).list_feature_views()] == before
    assert {"video_momentum", "video_profile"} <= set(before)


def same(online: dict, offline) -> None:
    """Fail on the first feature of a row that the two paths say differently."""
    for name in set(online) - {"video_id"}:
        if online[name] is None:
            assert offline[name] != offline[name] or offline[name] is None, name
        else:
            assert offline[name] == pytest.approx(online[name]), name


def test_online_and_offline_paths_give_the_same_numbers(platform):
    # In the middle of the archive, and at its end.
    for moment, number in ((START + timedelta(days=30, hours=7), 400), (AS_OF, VIDEOS - 1)):
        seconds = features.materialise(None, moment, platform)
        assert set(seconds) >= {"video_momentum", "video_profile"}
        video, asked = f"model{number:05d}", int(moment.timestamp())
        [online] = features.online_features(SERVICE, [video], platform)
        query = (
            f"select '{video}' as video_id, timestamptz '{moment.isoformat()}' as event_timestamp"
        )
        same(online, features.training_frame(query, SERVICE, platform).iloc[0])

        # With what only a request knows.
        known = {"asked_at": asked, "published_at": asked - 5 * 3600}
        [online] = features.online_features("video_request_v1", [video], platform, request=[known])
        assert online["views_per_hour_of_age"] == online["views"] / 5
        values = ", ".join(f"{value} as {name}" for name, value in known.items())
        query = query.replace("select ", f"select {values}, ")
        same(online, features.training_frame(query, "video_request_v1", platform).iloc[0])


def test_last_good_values_stay_online_when_a_materialisation_fails(platform):
    video = f"model{VIDEOS - 1:05d}"
    features.materialise(None, AS_OF, platform)
    [before] = features.online_features(SERVICE, [video], platform)
    with connect(platform.database_url) as conn:
        conn.execute("alter table features.video_standing rename to video_standing_gone")
    try:
        with pytest.raises(Exception, match="video_standing"):
            features.materialise(None, AS_OF, platform)
        [after] = features.online_features(SERVICE, [video], platform)
    finally:
        with connect(platform.database_url) as conn:
            conn.execute("alter table features.video_standing_gone rename to video_standing")
    assert after == before


def test_archive_that_is_loaded_today_trains_a_model_of_its_time(platform):
    [[loaded, seen, rows]] = fetch(
        platform, "select min(ingested_at), max(observed_at), count(*) from raw.youtube_videos"
    )
    assert loaded > seen + timedelta(days=365)
    dataset = build_dataset(AS_OF, PARAMS, platform)
    assert len(dataset.frame) > rows / 3
    # Everything that it says was known at the moment of the prediction, and no later row counts.
    early = build_dataset(START + timedelta(days=40), PARAMS, platform)
    assert early.frame["label_known_at"].max() <= START + timedelta(days=40)
    shared = ["video_id", "entity_day"]
    later = early.frame[shared].merge(dataset.frame, on=shared)
    for name in ("growth_48h", "views", "log_growth_1d", "growth_standing", "channel_growth_48h"):
        values = [frame[name].to_numpy(dtype=float) for frame in (early.frame, later)]
        assert np.array_equal(*values, equal_nan=True), name


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
    return train_video(AS_OF, platform, PARAMS)


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
    again = train_video(AS_OF, platform, PARAMS)
    assert again.reused
    assert (again.mlflow_version, again.run_id) == (release.mlflow_version, release.run_id)
    assert len(fetch(platform, "select 1 from ml.ml_models")) == 1


def test_logged_model_has_signature_example_and_card(platform, release):
    model, loaded = releases.load_champion(NAME, platform)
    assert loaded.mlflow_version == release.mlflow_version
    assert "log_growth_1d" in model.metadata.get_input_schema().input_names()
    assert model.input_example is not None
    import mlflow.artifacts

    kept = {file.path for file in mlflow.artifacts.list_artifacts(run_id=release.run_id)}
    pictures = {"calibration.svg", "errors.svg", "learning_curve.svg"}
    assert kept >= {*pictures, "dataset.sql", "slices.json", "feature_statistics.json"}
    card = mlflow.artifacts.load_text(f"runs:/{release.run_id}/model_card.md")
    assert "| year | 2021 |" in card
    assert "logistic_regression" in card
    assert release.tags["data_digest"] in card


@pytest.fixture(scope="module")
def refused(platform, release) -> releases.Release:
    return train_video(AS_OF, platform, WEAK)


def test_worse_version_is_refused_and_the_champion_stays(platform, release, refused):
    assert refused.aliases == ("challenger",)
    assert refused.version == "1.1.0"
    assert "does not beat" in refused.reason
    current = releases.champion(NAME, platform)
    assert current is not None
    assert current.mlflow_version == release.mlflow_version


def test_champion_of_another_age_is_not_in_the_way(platform, tmp_path):
    import pandas as pd

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    row = pd.DataFrame({"x": [1.0]})
    aged = Candidate(
        name="aged_model", model_type="none", fingerprint="aged", folder=tmp_path / "model",
        loader_module="ml.of_another_age", gate_metric="auc", metrics={"model": {"auc": 0.9}},
        params={}, tags={}, card="", dataset=row, dataset_source="test", target="x", example=row,
        prediction=row, pip_requirements=[],
    )  # fmt: skip
    registered = recording.record(aged, platform)
    aliases.move("aged_model", [("champion", registered.mlflow_version)], BY_HAND, platform)
    with pytest.raises(UnusableModelError, match="ytempire train aged"):
        releases.load_champion("aged_model", platform)
    version, figures = training.measure_champion("aged_model", lambda *_: {"auc": 1.0}, platform)
    assert (version, figures) == (1, {})


def panel(folder: Path, videos: int) -> list[Path]:
    """The files of a panel whose videos nobody has trained on."""
    import pandas as pd

    rows = [dict(zip(COLUMNS, each, strict=True)) for each in observations(seed=12)]
    frame = pd.DataFrame(rows[: videos * LIFE])
    frame["video_id"] = frame["video_id"].str.replace("model", "unseen")
    frame["fetched_at"] = frame["observed_at"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    frame["published_at"] = frame["published_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    days = frame.assign(
        snapshot_date=frame["observed_at"].dt.date,
        n_countries=frame["regions_listed"],
        best_rank=frame["chart_rank"],
    )
    named = frame.drop_duplicates("video_id").rename(
        columns={"language": "default_language", "duration_s": "duration"}
    )
    paths = [folder / "video_day.csv", folder / "videos.csv"]
    measured = ["video_id", "snapshot_date", "views", "likes", "comments", "n_countries"]
    days[[*measured, "best_rank", "fetched_at"]].to_csv(paths[0], index=False)
    described = ["video_id", "published_at", "title", "channel_title", "channel_id", "category_id"]
    named[[*described, "default_language", "duration"]].to_csv(paths[1], index=False)
    return paths


def test_champion_is_measured_on_archives_it_has_not_seen(platform, release, tmp_path):
    files = panel(tmp_path, 400)
    before = fetch(platform, "select count(*) from raw.youtube_videos")
    picture = tmp_path / "calibration.svg"
    found = evaluate_archives(files, plot=picture, settings=platform)
    facts = found["champions"][NAME]
    assert facts["version"] == release.version
    assert facts["rows"] == 400
    assert (found["model"], found["version"], found["rows"]) == (NAME, release.version, 400)
    call = found["M1"]
    assert call["rows"] == 400
    assert call["auc"] > 0.9 > call["baselines"]["always_up"]["auc"] == 0.5
    assert found["M2"]["day3"]["mrse"] > 0
    assert "log_linear" in found["M2"]["day3"]["baselines"]
    assert "<svg" in picture.read_text()
    assert fetch(platform, "select count(*) from raw.youtube_videos") == before


def test_file_that_no_trend_model_is_about_is_named(platform, tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ArchiveError, match=r"notes\.csv is of no format"):
        evaluate_archives([tmp_path / "notes.csv"], settings=platform)


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


def test_champion_is_adapted_to_a_niche_that_differs(platform, release):
    adapted = train_niche("technology", LATER, settings=platform)
    assert adapted.name == "trend_video_technology"
    assert adapted.is_champion, adapted.reason
    tags, figures = adapted.tags, json.loads(adapted.tags["metrics"])
    assert (tags["adapted_from"], tags["adapted_from_version"]) == (NAME, release.version)
    assert (tags["niche"], tags["category_id"]) == ("technology", "28")
    assert figures["model"]["rows"] == figures["global"]["rows"] > 100
    assert figures["model"]["auc"] > figures["global"]["auc"] + 0.02
    # The same rows and the same champion are the same version.
    again = train_niche("technology", LATER, settings=platform)
    assert (again.reused, again.mlflow_version) == (True, adapted.mlflow_version)
    # What serves for all videos is untouched, and forecasts of both mean the same.
    served, general = releases.load_champion(NAME, platform)
    assert general.mlflow_version == release.mlflow_version
    own = releases.load(adapted, platform).get_raw_model()
    thresholds = {m.specification.growth_threshold for m in (own, served.get_raw_model())}
    assert len(thresholds) == 1
    report = validation.validate(adapted.name, adapted.version, platform)
    [surely] = [f for f in report.findings if f.criterion == "comparison_surely_better: global"]
    assert surely.passed
    assert surely.figure > 0
    assert fetch(
        platform, "select status from ml.ml_models where model_name = %s", adapted.name
    ) == [("champion",)]


def test_niche_that_cannot_be_adapted_to_is_refused_with_the_reason(platform, release):
    with pytest.raises(FatalError, match=r"no niche 'knitting'; there are .*gaming.*technology"):
        train_niche("knitting", LATER, settings=platform)
    with pytest.raises(TooFewRowsError, match=r"niche gaming has \d+ labelled.*at least 150"):
        train_niche("gaming", LATER, settings=platform)


def test_drift_report_leaves_a_row_and_a_page(platform, release):
    report = run_drift_report(AS_OF, platform)
    again = run_drift_report(AS_OF, platform)
    assert dataclasses.asdict(again) == dataclasses.asdict(report)
    [row] = fetch(platform, "select drift_report_id, verdict, report_key from ml.drift_reports")
    assert row == (report.drift_report_id, report.verdict, report.report_key)
    columns = fetch(platform, "select column_name, aspect, verdict from ml.drift_columns")
    assert len(columns) == report.columns_checked > 30
    assert {aspect for _, aspect, _ in columns} >= {"feature", "prediction"}
    assert {name for name, _, verdict in columns if verdict == "drift"} == set(report.drifted)
    # What the champion said of rows that it has not learnt: its test slice before the window.
    [[compared]] = fetch(
        platform, "select reference_rows from ml.drift_columns where aspect = 'prediction'"
    )
    tested = (release.tags[name] for name in ("test_start", "test_end"))
    [[unseen]] = fetch(
        platform, "select count(*) from features.video_standing where standing_day = 1"
        " and event_at between %s and %s and event_at <= %s", *tested, AS_OF - timedelta(days=7),
    )  # fmt: skip
    assert 0 < compared == unseen < int(release.tags["train_rows"])
    slices = fetch(platform, "select slice, sum(rows)::integer from ml.slice_metrics group by 1")
    assert slices
    assert all(0 < rows <= report.performance["rows"] for _, rows in slices)
    page = ObjectStore(platform).get_bytes(platform.bucket("reports"), report.report_key)
    assert b"<html" in page[:2000].lower()
    [metrics] = fetch(platform, "select drift_score, accuracy from ml.model_performance_metrics")
    assert float(metrics[0]) == pytest.approx(report.drift_share, abs=1e-4)
    assert report.performance["rows"] >= 30
    assert float(metrics[1]) == pytest.approx(report.performance["accuracy"], abs=1e-4)


def test_shift_in_a_feature_is_called(platform, release):
    later = AS_OF + timedelta(minutes=1)
    with connect(platform.database_url) as conn:
        for table in ("video_momentum", "video_dynamics"):
            names = conn.execute(
                "select column_name from information_schema.columns where table_schema = 'features'"
                " and table_name = %s and data_type = 'double precision'",
                (table,),
            ).fetchall()
            changes = ", ".join(f"{name} = {name} * 3 + 3" for (name,) in names)
            conn.execute(
                f"update features.{table} set {changes} where event_at > %s".encode(),
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


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def online(platform, release, monkeypatch, tmp_path) -> Settings:
    """Settings of an API that looks around often, on the champion and the features of AS_OF."""
    score_videos(AS_OF, platform)
    features.materialise(None, AS_OF, platform)
    monkeypatch.setattr(champions, "SERVED", (NAME,))
    monkeypatch.setattr(champions, "POLL_S", 0.3)
    monkeypatch.setattr(catalog, "REFRESH_S", 0.3)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return platform.model_copy(update={"model_cache_dir": tmp_path, "as_of": AS_OF})


def a_scored_video(platform: Settings) -> str:
    return fetch(platform, "select max(entity_id) from ml.model_predictions")[0][0]


def test_a_shadow_is_asked_beside_the_champion_and_compared_with_it(
    platform, online, release, refused
):
    order = {"version": str(refused.mlflow_version), "percent": 100, "shadow": True}
    _, key = create_key(platform, "curious", ["caller", "monitor"])
    place, redis = f"serving:canary:{NAME}", Redis.from_url(platform.redis_url)
    redis.set(place, json.dumps(order))
    try:
        with TestClient(create_app(online), headers={"X-API-Key": key}) as api:
            until(lambda: (api.get("/ready").json()["models"] or [{}])[0].get("canary"), 60)
            answer = api.post("/ml/v1/predict/video", json={"video_id": a_scored_video(platform)})
            assert answer.json()["model_version"] == release.version
            label = f'model="{NAME}_v{refused.version}"'
            until(
                lambda: f"ytempire_shadow_distance_count{{{label}}} 1" in api.get("/metrics").text
            )
            assert "ytempire_shadow_answers_total{" + label in api.get("/metrics").text
    finally:
        redis.delete(place)
        redis.close()
    query = (
        "select m.version from ml.model_predictions as p join ml.ml_models as m"
        " on m.id = p.model_id where p.metadata ->> 'shadow' = 'true'"
    )
    assert fetch(platform, query) == [(refused.version,)]


def test_the_api_answers_and_says_what_is_away_whichever_service_it_is(platform, online):
    """Redis, Postgres and MLflow go one by one, under a running API, and come back."""
    fields = ("redis_url", "database_url", "mlflow_tracking_uri")
    redis, postgres, mlflow = links = [Link(getattr(platform, field)) for field in fields]
    wired = dict(zip(fields, (link.url for link in links), strict=True))
    settings, video = online.model_copy(update=wired), a_scored_video(platform)
    _, key = create_key(platform, "steady", ["caller"])
    asked: list[str] = []

    with TestClient(create_app(settings), headers={"X-API-Key": key}) as api:

        def status_of_unknown() -> int:
            return api.post("/ml/v1/predict/video", json={"video_id": "nobody"}).status_code

        def ask() -> str:
            answer = api.post("/ml/v1/predict/video", json={"video_id": video})
            assert answer.status_code == 200, answer.text
            asked.append(answer.json()["prediction_id"])
            return answer.json()["source"]

        def problem(part: str) -> str:
            answer = api.get("/ready")
            assert answer.status_code == 200, answer.text  # it goes on forecasting
            return answer.json()["problems"].get(part, "")

        until(lambda: api.get("/ready").status_code == 200, 60)
        assert ask() == "online"
        for link, part, said, source in (
            (redis, NAME, "Redis", "batch"),
            (postgres, "catalogue", "Postgres", "online"),
            (mlflow, NAME, "MLflow does not answer", "online"),
        ):
            link.cut()
            until(lambda part=part, said=said: said in problem(part))
            assert ask() == source
            assert status_of_unknown() == (503 if link is redis else 422)
            link.mend()
            until(lambda part=part: not problem(part))
            assert ask() == "online"
        mlflow.cut()
    # A start without the registry serves what it served last; what was answered is on record.
    with TestClient(create_app(settings), headers={"X-API-Key": key}) as api:
        until(lambda: api.get("/ready").status_code == 200, 60)
        assert ask() == "online"
    query = "select count(*) from ml.model_predictions where id = any(%s::uuid[])"
    assert fetch(platform, query, asked) == [(len(asked),)]
