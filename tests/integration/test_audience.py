"""`audience_preference` from the mart to the registry and back into predictions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient

from ml.audience.dataset import read_dataset
from ml.audience.model import NAME, load_params
from ml.audience.predict import recommend, score_segments
from ml.audience.train import train_audience
from ml.exceptions import FatalError
from ml.registry import releases
from ml.registry.probes import probe_of
from ml.registry.validation import validate
from ml.serving import champions
from ml.serving.app import create_app
from ml.serving.security.keys import create_key
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows

LAST = date(2030, 3, 1)
AS_OF = datetime(2030, 3, 1, 20, tzinfo=UTC)
COUNTRIES, NICHES = ("US", "GB", "IN", "IT", "PH", "NG", "NL", "AU"), ("gaming", "music")
COLUMNS = (
    "segment_id", "topic_id", "observed_date", "country", "niche_id", "language", "items",
    "items_new", "item_hours", "best_place", "place_weight", "is_synthetic", "available_at",
)  # fmt: skip
_TABLE = """
    create schema if not exists marts;
    create table marts.fct_segment_topic_engagement (
        segment_id text not null, topic_id text not null, observed_date date not null,
        country text not null, niche_id text not null, language text not null,
        items integer not null, items_new integer not null, item_hours integer not null,
        best_place integer, place_weight double precision, views_gained_worldwide bigint,
        likes_worldwide bigint, comments_worldwide bigint, is_synthetic boolean not null,
        available_at timestamptz not null
    )
"""


def engagement(seed: int = 4) -> Iterator[tuple]:
    """Topics of a niche go from country to country, each a day or two after the one before."""
    random = np.random.default_rng(seed)
    for topic in range(160):
        niche = NICHES[topic % 2]
        day = LAST - timedelta(days=61 - topic // 3)
        for country in COUNTRIES:
            if random.random() < 0.25:
                continue
            for language in ("en", "und"):
                if day <= LAST and random.random() < 0.8:
                    yield row(country, niche, language, f"topic{topic:03d}", day)
            day += timedelta(days=int(random.integers(0, 3)))


def row(country, niche, language, topic, day, known_days_later=0) -> tuple:
    known = datetime(day.year, day.month, day.day, 18, tzinfo=UTC)
    return (
        f"{country}/{niche}/{language}", topic, day, country, niche, language, 1, 1, 3, 2, 0.63,
        False, known + timedelta(days=known_days_later),
    )  # fmt: skip


@pytest.fixture(scope="module")
def platform(own_database: Settings, tmp_path_factory) -> Settings:
    """Settings with a database of its own that holds the mart, and a folder of archives."""
    with connect(own_database.database_url) as conn:
        conn.execute(_TABLE)
        copy_rows(conn, "marts.fct_segment_topic_engagement", COLUMNS, engagement())
    return own_database.model_copy(update={"data_dir": tmp_path_factory.mktemp("archives")})


@pytest.fixture(scope="module")
def params() -> dict:
    """Those of the repository with networks that learn for one round, to save seconds."""
    kept = load_params()
    for options in kept["recommenders"].values():
        if options["family"] in {"ncf", "two_tower"}:
            options |= {"embedding": 8, "epochs": 1}
    return kept


@pytest.fixture(scope="module")
def release(platform, params) -> releases.Release:
    return train_audience(AS_OF, platform, params)


def fetch(platform: Settings, query: str) -> list[tuple]:
    with connect(platform.database_url) as conn:
        return conn.execute(query.encode()).fetchall()


def test_rows_that_were_not_known_yet_are_not_read(platform, params):
    before = read_dataset(AS_OF, params, platform).digest
    late = [
        row("US", "gaming", "en", "late", LAST, known_days_later=1),
        row("US", "gaming", "en", "future", LAST + timedelta(days=1)),
        (*row("US", "gaming", "en", "world", LAST)[:-2], True, AS_OF - timedelta(days=1)),
    ]
    with connect(platform.database_url) as conn:
        copy_rows(conn, "marts.fct_segment_topic_engagement", COLUMNS, late)
    assert read_dataset(AS_OF, params, platform).digest == before
    week_later = read_dataset(AS_OF + timedelta(days=7), params, platform)
    assert {"late", "future"} < set(week_later.data.items)
    assert "world" not in week_later.data.items


def test_first_version_beats_the_plain_methods_and_is_mirrored(platform, release):
    assert release.is_champion, release.reason
    figures = json.loads(release.tags["metrics"])
    rivals = {"popularity", "item_knn", "ease", "ials"} - {release.tags["candidate"]}
    assert rivals == set(figures) - {"model"}
    assert all(figures["model"]["ndcg_at_10"] > figures[r]["ndcg_at_10"] for r in rivals)
    [model] = fetch(
        platform, f"select version, status from ml.ml_models where model_name = '{NAME}'"
    )
    assert model == (release.version, "champion")
    [job] = fetch(platform, "select status, metrics -> 'model' ->> 'rows' from ml.training_jobs")
    assert job == ("completed", f"{figures['model']['rows']:.1f}")


def test_training_again_on_the_same_data_reuses_the_version(platform, params, release):
    again = train_audience(AS_OF, platform, params)
    assert again.reused
    assert again.mlflow_version == release.mlflow_version


def test_card_says_what_it_learned_from_and_what_it_beat(platform, release):
    import mlflow.artifacts

    card = mlflow.artifacts.load_text(f"runs:/{release.run_id}/model_card.md")
    for fact in ("popularity", "ease", release.tags["data_digest"], release.tags["candidate"]):
        assert fact in card


def test_recommendations_are_new_to_the_segment_and_shown_somewhere_now(platform, release):
    found = recommend(["US/gaming/en", "FR/gaming/fr"], 5, AS_OF, platform)
    assert [len(topics) for topics in found.values()] == [5, 5]
    seen = {
        topic
        for (topic,) in fetch(
            platform,
            "select topic_id from marts.fct_segment_topic_engagement where segment_id ="
            " 'US/gaming/en' and observed_date <= date '2030-03-01'",
        )
    }
    active = {
        topic
        for (topic,) in fetch(
            platform,
            "select topic_id from marts.fct_segment_topic_engagement where observed_date between"
            " date '2030-02-15' and date '2030-03-01'",
        )
    }
    chosen = {topic["topic_id"] for topic in found["US/gaming/en"]}
    assert chosen <= active - seen
    # Topics of its own niche come first: even numbers are gaming.
    assert sum(int(topic.removeprefix("topic")) % 2 == 0 for topic in chosen) >= 4


def test_scores_are_written_once_per_segment_and_moment(platform, release):
    first = score_segments(AS_OF, platform)
    again = score_segments(AS_OF, platform)
    assert first.scored == first.written == len(COUNTRIES) * len(NICHES) * 2
    assert (again.scored, again.written) == (first.scored, 0)
    rows = fetch(
        platform,
        "select entity_id, prediction -> 'topics', input_data ->> 'topics_seen'"
        f" from ml.model_predictions where prediction_type = '{NAME}'",
    )
    assert len(rows) == first.scored
    for _, topics, seen in rows:
        assert [topic["rank"] for topic in topics] == list(range(1, len(topics) + 1))
        assert int(seen) > 0


def test_the_api_gives_a_segment_its_batch_and_says_that_it_does_not_know_another(
    platform, release, monkeypatch, tmp_path
):
    score_segments(AS_OF, platform)
    monkeypatch.setattr(champions, "SERVED", (NAME,))
    _, key = create_key(platform, "reader", ["caller"])
    served = platform.model_copy(update={"model_cache_dir": tmp_path, "as_of": AS_OF})
    body = {"segments": ["US/gaming/en", "XX/nobody/zz"], "k": 3}
    deadline = time.monotonic() + 60
    with TestClient(create_app(served), headers={"X-API-Key": key}) as api:
        # The model is loaded behind the start.
        while (answer := api.post("/ml/v1/recommend", json=body)).status_code == 503:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
    known, unknown = answer.json()["segments"]
    assert (known["source"], unknown["source"]) == ("batch", "popularity")
    (batch,) = recommend(["US/gaming/en"], 3, AS_OF, platform).values()
    assert [each["topic_id"] for each in known["topics"]] == [each["topic_id"] for each in batch]


def test_champion_is_measured_on_the_same_rows_as_its_challenger(platform, params, release):
    weak = {**params, "recommenders": {**params["recommenders"]}, "blends": {}}
    weak["recommenders"] = {
        name: weak["recommenders"][name] for name in ("popularity", "item_knn", "ease", "ials")
    }
    refused = train_audience(AS_OF, platform, weak)
    figures = json.loads(refused.tags["metrics"])
    own = json.loads(release.tags["metrics"])["model"]
    assert figures["champion"]["ndcg_at_10"] == pytest.approx(own["ndcg_at_10"], abs=1e-6)
    assert refused.aliases == ("challenger",)
    champion = releases.champion(NAME, platform)
    assert champion.mlflow_version == release.mlflow_version
    # The gates compare the two on the same lists, segment by segment.
    model = releases.load(refused, platform)
    fresh = probe_of(NAME).cases(model, refused, champion, platform).fresh
    assert fresh.merit == "NDCG@10"
    assert len(fresh.labels) == int(figures["model"]["rows"])
    for version, measured in ((refused, figures["model"]), (champion, figures["champion"])):
        merits = fresh.scores(releases.load(version, platform))
        assert merits.mean() == pytest.approx(measured["ndcg_at_10"], abs=1e-6)
    report = validate(NAME, str(refused.mlflow_version), platform)
    [compared] = [f for f in report.findings if f.criterion == "comparison_tolerance: champion"]
    assert compared.detail.startswith("NDCG@10 ")
    gain = figures["model"]["ndcg_at_10"] - figures["champion"]["ndcg_at_10"]
    assert compared.figure == pytest.approx(gain, abs=1e-6)


def test_too_few_interactions_are_refused_with_the_number_needed(platform, params):
    with pytest.raises(FatalError, match=r"at least 300 interactions.*there are \d+ and \d+"):
        train_audience(AS_OF - timedelta(days=57), platform, params)
