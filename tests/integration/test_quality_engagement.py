"""`quality_engagement` from the marts to the registry, and its network in several processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.exceptions import ConfigurationError, TooFewRowsError
from ml.quality.engagement.dataset import NAME, build_dataset, load_params
from ml.quality.engagement.predict import score_titles
from ml.quality.engagement.train import train_quality_engagement
from ml.quality.engagement.transformer import Recipe, TitleTransformer, train
from ml.registry import releases
from ml.registry.probes import probe_of
from ml.registry.tracking import client
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows

START = datetime(2030, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=120)
QUIET = ("a walk by the river", "talking about cats", "our garden in may", "cooking rice at home")
COLUMNS = (
    "video_id", "channel_id", "channel_title", "title", "category_id", "language", "views",
    "likes", "comments", "age_hours", "is_synthetic", "published_at", "event_at", "available_at",
)  # fmt: skip
_TABLES = """
    create schema if not exists marts;
    create table marts.fct_video_daily (
        video_id text, channel_id text, channel_title text, title text, category_id integer,
        language text, views bigint, likes bigint, comments bigint, age_hours double precision,
        is_synthetic boolean, published_at timestamptz, event_at timestamptz,
        available_at timestamptz
    );
    create schema if not exists features;
    create table features.video_profile (
        video_id text, duration_s double precision, available_at timestamptz
    )
"""


def sights(seed: int = 5) -> list[tuple]:
    """Two observations of each video; titles in capitals engage more than is usual."""
    random = np.random.default_rng(seed)
    rows = []
    for channel in range(60):
        level = random.normal(-3.5, 1)
        for video in range(16):
            published = START + timedelta(days=6 * video + channel % 6)
            loud = bool(random.integers(2))
            title = QUIET[video % 4].upper() if loud else QUIET[video % 4]
            for age in (30.0, 80.0):
                views = int(20_000 * random.lognormal(0, 0.3))
                likes = int(views * np.exp(level + 0.4 * loud + random.normal(0, 0.2)))
                at = published + timedelta(hours=age)
                rows.append(
                    (
                        f"v{channel}-{video}", f"c{channel}", "name", title, 20, "en-US", views,
                        max(likes, 1), likes // 9, age, False, published, at, at,
                    )
                )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def platform(own_database: Settings, tmp_path_factory) -> Settings:
    """Settings with a database of its own that holds the mart, and a folder of archives."""
    with connect(own_database.database_url) as conn:
        conn.execute(_TABLES)
        copy_rows(conn, "marts.fct_video_daily", COLUMNS, sights())
        copy_rows(
            conn, "features.video_profile", ("video_id", "duration_s", "available_at"),
            [("v0-0", 60.0, START), ("v0-1", 90.0, AS_OF + timedelta(days=1))],
        )  # fmt: skip
    return own_database.model_copy(update={"data_dir": tmp_path_factory.mktemp("archives")})


@pytest.fixture(scope="module")
def params() -> dict:
    kept = load_params()
    trees = {**kept["trees"], "min_child_weight": 5, "eta": 0.1}
    small = {"min_part": 20, "min_rows": 300, "rounds": 80, "meaning_components": 4}
    return {**kept, **small, "trees": trees, "candidates": ["trees_plain", "ridge_tfidf"]}


def test_only_what_was_known_at_the_moment_is_read(platform, params):
    before = build_dataset(AS_OF, params, platform)
    assert len(before.rows) == 960
    assert (before.rows["age_hours"] == 80).all()
    durations = before.rows.set_index("video_id")["duration_s"]
    assert durations["v0-0"] == 60
    assert np.isnan(durations["v0-1"])  # known only later
    late = list(sights()[0])
    late[6], late[9], late[12], late[13] = 9_999_999, 90.0, AS_OF, AS_OF + timedelta(days=1)
    with connect(platform.database_url) as conn:
        copy_rows(conn, "marts.fct_video_daily", COLUMNS, [tuple(late)])
    assert build_dataset(AS_OF, params, platform).digest == before.digest
    later = build_dataset(AS_OF + timedelta(days=2), params, platform)
    assert later.rows["views"].max() == 9_999_999


def test_a_young_platform_is_told_what_is_missing(platform, params):
    with pytest.raises(TooFewRowsError, match=r"at least 300 videos.*there are \d+; ingest"):
        build_dataset(START + timedelta(days=20), params, platform)


def test_training_registers_a_version_with_its_evidence(platform, params):
    import mlflow.artifacts
    from sklearn.metrics import roc_auc_score

    release = train_quality_engagement(AS_OF, platform, params)
    assert release.reason
    figures = json.loads(release.tags["metrics"])
    plain = {"channel_mean", "ridge_tfidf", "ridge_plain", "linear_embeddings"}
    assert set(figures) - {"model"} == plain - {release.tags["candidate"]}
    assert figures["model"]["spearman"] > 0.5
    kept = {f.path for f in mlflow.artifacts.list_artifacts(run_id=release.run_id)}
    assert kept >= {"slices.json", "learning_curve.svg", "calibration.svg", "model_card.md"}
    assert train_quality_engagement(AS_OF, platform, params).reused
    # Made-up titles are so easy that a baseline may tie; a person may still promote the version.
    client(platform).set_registered_model_alias(NAME, "champion", str(release.mlflow_version))
    model, champion = releases.load_champion(NAME, platform)
    assert champion.version == release.version
    scored = score_titles(model, ["A WALK BY THE RIVER", "a walk by the river"])
    assert scored["percentile"][0] > scored["percentile"][1]
    # The gates compare two versions on later videos of channels that neither has learned from.
    fresh = probe_of(NAME).cases(model, champion, release, platform).fresh
    assert f"since {release.tags['test_start'][:10]}" in fresh.source
    tried = {test.kind for test in probe_of(NAME).behaviours(model, model.input_example)}
    assert tried >= {"invariance", "minimum_functionality"}
    auc = roc_auc_score(fresh.labels, fresh.scores(model))
    assert auc == pytest.approx(figures["model"]["auc_thirds"], abs=0.005)


def test_two_processes_learn_what_one_does_that_accumulates(tmp_path):
    titles = [QUIET[i % 4].upper() if i % 3 else f"{QUIET[i % 4]} {i}" for i in range(64)]
    labels = np.array([1.0 if i % 3 else -1.0 for i in range(64)])
    train(titles, labels, Recipe(batch=8, accumulate=2), 1, tmp_path / "one")
    train(titles, labels, Recipe(batch=8, processes=2), 1, tmp_path / "two")
    one, two = (TitleTransformer(tmp_path / name).score(titles) for name in ("one", "two"))
    assert one == pytest.approx(two, abs=1e-6)
    assert one[labels > 0].mean() > one[labels < 0].mean()
    kinds = {path.suffix for path in (tmp_path / "two").iterdir()}
    assert kinds == {".json", ".safetensors"}


_KILLED = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from ml.quality.engagement import transformer

keep, state = transformer._keep, Path(sys.argv[1])

def kept(accelerator, folder, step):
    keep(accelerator, folder, step)
    if step == 8:
        os.kill(os.getpid(), signal.SIGKILL)

transformer._keep = kept
job = json.loads(Path(sys.argv[2]).read_text())
transformer.train(
    job["titles"], np.array(job["labels"]), transformer.Recipe(**job["recipe"]), 1,
    state / "never", state,
)
"""


def test_a_network_that_was_killed_goes_on_where_it_was(tmp_path):
    titles = [QUIET[i % 4].upper() if i % 3 else f"{QUIET[i % 4]} {i}" for i in range(64)]
    labels = [1.0 if i % 3 else -1.0 for i in range(64)]
    options = {"batch": 8, "accumulate": 2, "epochs": 2, "checkpoint_steps": 4}
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"titles": titles, "labels": labels, "recipe": options}))
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "state"), str(job)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "state").glob("step-*")] == ["step-8"]
    recipe, given = Recipe(**options), np.array(labels)
    train(titles, given, recipe, 1, tmp_path / "whole")
    train(titles, given, recipe, 1, tmp_path / "rest", tmp_path / "state")
    # What was done before the kill counts: from another start the rest ends elsewhere.
    rest, whole = (TitleTransformer(tmp_path / name).score(titles) for name in ("rest", "whole"))
    assert rest == pytest.approx(whole, abs=1e-6)
    assert [path.name for path in (tmp_path / "state").glob("step-*")] == ["step-16"]
    both = Recipe(**{**options, "accumulate": 1, "processes": 2, "epochs": 1})
    train(titles, given, both, 1, tmp_path / "two", tmp_path / "state of two")
    assert [path.name for path in (tmp_path / "state of two").glob("step-*")] == ["step-4"]


def test_checkpoints_between_two_steps_of_the_optimiser_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="checkpoint_steps: 3 is no multiple"):
        train(["a"], np.zeros(1), Recipe(accumulate=2, checkpoint_steps=3), 1, tmp_path)
