"""`trend_topic` from the marts to the registry and back into predictions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from ml.exceptions import FatalError, TooFewRowsError
from ml.registry import releases
from ml.registry.probes import probe_of
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows
from ml.trend.topic.candidates import NAME, load_params
from ml.trend.topic.dataset import read_dataset
from ml.trend.topic.predict import score_topics
from ml.trend.topic.train import train_topic

DAYS, TOPICS = 100, 10
LAST = date(2030, 3, 31)
AS_OF = datetime(2030, 4, 1, 6, tzinfo=UTC)
MOMENTUM = ("topic_id", "observed_date", "items", "available_at")
SEGMENTS = (
    "segment_id", "topic_id", "observed_date", "country", "niche_id", "items", "is_synthetic",
    "available_at",
)  # fmt: skip
# The columns of the marts that are read, with their types there.
_TABLES = """
    create schema if not exists marts;
    create table marts.dim_topic (topic_id text not null, is_synthetic boolean not null);
    create table marts.fct_topic_momentum (
        topic_id text not null, observed_date date not null, items integer not null,
        available_at timestamptz not null
    );
    create table marts.fct_segment_topic_engagement (
        segment_id text not null, topic_id text not null, observed_date date not null,
        country text not null, niche_id text not null, items integer not null,
        is_synthetic boolean not null, available_at timestamptz not null
    )
"""


def counts(seed: int = 6) -> Iterator[tuple[str, date, int, datetime]]:
    """Topics whose level wanders, with a week; known an hour after the day."""
    random = np.random.default_rng(seed)
    for topic in range(TOPICS):
        level, phase = random.uniform(6, 20), int(random.integers(0, 7))
        for back in reversed(range(DAYS)):
            day = LAST - timedelta(days=back)
            level *= np.exp(random.normal(0, 0.08))
            week = 1 + 0.5 * np.sin(2 * np.pi * (back + phase) / 7)
            known = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=25)
            yield f"topic{topic}", day, int(random.poisson(level * week)), known


def segment_rows() -> Iterator[tuple]:
    for topic, day, items, known in counts():
        for language in ("en", "und"):
            yield f"US/gaming/{language}", topic, day, "US", "gaming", items, False, known


@pytest.fixture(scope="module")
def platform(own_database: Settings, tmp_path_factory) -> Settings:
    """Settings with a database of its own that holds the marts, and a folder of archives."""
    with connect(own_database.database_url) as conn:
        conn.execute(_TABLES)
        topics = [(f"topic{n}", False) for n in range(TOPICS)] + [("dream", True)]
        copy_rows(conn, "marts.dim_topic", ("topic_id", "is_synthetic"), topics)
        copy_rows(conn, "marts.fct_topic_momentum", MOMENTUM, counts())
        copy_rows(conn, "marts.fct_segment_topic_engagement", SEGMENTS, segment_rows())
    return own_database.model_copy(update={"data_dir": tmp_path_factory.mktemp("archives")})


@pytest.fixture(scope="module")
def params() -> dict:
    """Those of the repository with small methods and few folds, to save seconds."""
    kept = load_params()
    kept["methods"]["trees"]["rounds"] = 20
    kept["methods"]["auto_ets"]["days"] = 28
    for name in ("lstm", "transformer"):
        kept["methods"][name] |= {"hidden": 4, "epochs": 1}
    return kept | {
        "min_windows": 20,
        "max_train_windows": 300,
        "validation_folds": 3,
        "test_folds": 6,
    }


@pytest.fixture(scope="module")
def release(platform, params) -> releases.Release:
    return train_topic(AS_OF, platform, params)


def fetch(platform: Settings, query: str) -> list[tuple]:
    with connect(platform.database_url) as conn:
        return conn.execute(query.encode()).fetchall()


def test_what_was_not_known_yet_is_not_read(platform, params):
    before = read_dataset(AS_OF, params, platform).panel()
    assert before.values.shape == (TOPICS + 1, DAYS)
    gaming = before.names.index("US/gaming")
    np.testing.assert_array_equal(
        before.values[gaming], 2 * np.delete(before.values, gaming, axis=0).sum(axis=0)
    )
    late = [
        ("late", LAST, 9, AS_OF + timedelta(hours=1)),
        ("topic0", LAST + timedelta(days=1), 9, AS_OF),
        ("dream", LAST, 9, AS_OF - timedelta(hours=1)),
    ]
    with connect(platform.database_url) as conn:
        copy_rows(conn, "marts.dim_topic", ("topic_id", "is_synthetic"), [("late", False)])
        copy_rows(conn, "marts.fct_topic_momentum", MOMENTUM, late)
    assert read_dataset(AS_OF, params, platform).panel().digest() == before.digest()
    week_later = read_dataset(AS_OF + timedelta(days=7), params, platform).panel()
    assert "late" in week_later.names
    assert "dream" not in week_later.names
    # A day that became known late is unknown, not silent, and so are the days that build on it.
    early = read_dataset(AS_OF - timedelta(days=1), params, platform).panel()
    assert early.steps == DAYS - 1


def test_version_is_registered_with_its_evidence(platform, release, params):
    import mlflow.artifacts

    figures = json.loads(release.tags["metrics"])
    rivals = set(params["baselines"]) - {release.tags["candidate"]}
    assert {*rivals, "best_baseline", "model"} == set(figures)
    assert release.is_champion == (figures["model"]["gain"] > 0)
    card = mlflow.artifacts.load_text(f"runs:/{release.run_id}/model_card.md")
    for fact in ("auto_ets", "refused", "prophet: refused, no series", release.tags["data_digest"]):
        assert fact in card
    [job] = fetch(platform, "select status, metrics -> 'model' ->> 'rows' from ml.training_jobs")
    assert job == ("completed", f"{figures['model']['rows']:.1f}")


def test_rises_that_no_version_learned_from_are_compared(platform, release):
    model, tried = releases.load(release, platform), probe_of(NAME)
    fresh = tried.cases(model, release, release, platform).fresh
    assert 0 < fresh.labels.sum() < len(fresh.labels)
    scores = fresh.scores(model)
    assert scores.shape == fresh.labels.shape
    assert ((scores >= 0) & (scores <= 1)).all()


def test_training_again_on_the_same_data_reuses_the_version(platform, params, release):
    again = train_topic(AS_OF, platform, params)
    assert again.reused
    assert again.mlflow_version == release.mlflow_version


def test_forecasts_are_written_once_per_topic_and_moment(platform, release):
    if not release.is_champion:
        with pytest.raises(FatalError, match="no champion"):
            score_topics(AS_OF, platform)
        # What scoring does is the same for every version.
        from ml.registry.tracking import client

        registry = client(platform)
        registry.set_registered_model_alias(NAME, "champion", str(release.mlflow_version))
    first, again = score_topics(AS_OF, platform), score_topics(AS_OF, platform)
    assert first.scored == first.written == TOPICS + 1
    assert (again.scored, again.written) == (first.scored, 0)
    rows = fetch(
        platform,
        "select entity_id, prediction, input_data, confidence from ml.model_predictions"
        f" where prediction_type = '{NAME}' order by entity_id",
    )
    kinds = {entity: reference["kind"] for entity, _, reference, _ in rows}
    assert kinds == {"US/gaming": "category"} | {f"topic{n}": "topic" for n in range(TOPICS)}
    for _, said, reference, confidence in rows:
        low, high = said["interval_48h"]
        assert low - 1 <= said["volume_48h"] <= high + 1
        assert len(said["volume_by_day"]) == 7
        assert said["rises"] == (said["rise_probability"] >= 0.5)
        assert 0.5 <= float(confidence) <= 1
        assert reference["last_day"] == LAST.isoformat()


def test_young_platform_is_told_how_many_days_are_missing(platform, params):
    with pytest.raises(TooFewRowsError, match=r"at least \d+ days of topics.*there are 50"):
        train_topic(AS_OF - timedelta(days=50), platform, params)
