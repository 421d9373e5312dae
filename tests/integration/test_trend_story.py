"""`trend_story` from front pages in the raw table to predictions, on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml import features, warehouse
from ml.exceptions import MissingFeatureError, TooFewRowsError
from ml.registry import releases
from ml.registry.tracking import client
from ml.settings import Settings
from ml.storage.postgres import connect, copy_rows
from ml.streaming.tables import STORIES as MOMENTUM
from ml.trend.story.archives import measure_archive
from ml.trend.story.dataset import build_dataset, load_params
from ml.trend.story.predict import score_stories
from ml.trend.story.train import NAME, train_story

START = datetime(2030, 1, 1, tzinfo=UTC)
STORIES, SPAN_H = 900, 24 * 30
AS_OF = START + timedelta(hours=SPAN_H + 60)
COLUMNS = (
    "source", "kind", "record_id", "event_at", "available_at", "payload", "bronze_key",
)  # fmt: skip


def front_pages(seed: int = 7) -> Iterator[tuple]:
    """Sights every half hour of stories whose pace lasts or not by their host."""
    random = np.random.default_rng(seed)
    for number in range(STORIES):
        story = str(1000 + 3 * number)
        entry = START + timedelta(minutes=30 * int(number * SPAN_H * 2 / STORIES))
        lasting, pace = bool(random.integers(2)), float(random.exponential(12))
        upvotes, seen = float(random.integers(2, 28)), 2 if random.uniform() < 0.2 else 9
        item = {
            "title": f"A story of number {number}",
            "url": f"https://{'lasting' if lasting else 'brief'}{number % 9}.example/{number}",
            "author": f"author{number % 50}",
        }
        yield ("hackernews", "item", story, entry, entry, json.dumps(item), "raw/test")
        for step in range(seen):
            at, rank = entry + timedelta(minutes=30 * step), int(random.integers(1, 31))
            sight = {"rank": rank, "upvotes": int(upvotes), "comments": int(upvotes / 3)}
            yield ("hackernews", "snapshot", story, at, at, json.dumps(sight), "raw/test")
            upvotes += pace * random.uniform(0.8, 1.2) * (1.0 if lasting or step < 2 else 0.2)


@pytest.fixture(scope="module")
def platform(own_database: Settings, tmp_path_factory) -> Settings:
    """Settings of a database with front pages and their features."""
    # A folder of archives, even an empty one, means that real rows count.
    settings = own_database.model_copy(update={"data_dir": tmp_path_factory.mktemp("archives")})
    with connect(settings.database_url) as conn:
        copy_rows(conn, "raw.records", COLUMNS, front_pages())
        conn.execute("analyze raw.records")
    MOMENTUM.append_new(settings)
    warehouse.run_dbt(["run", "--select", "+story_profile"], as_of=AS_OF, settings=settings)
    features.apply(settings)
    return settings


def fetch(settings: Settings, query: str, *values: object) -> list[tuple]:
    with connect(settings.database_url) as conn:
        return conn.execute(query.encode(), values).fetchall()


def test_view_of_the_stream_has_the_columns_of_its_table(platform):
    rows = fetch(
        platform,
        "select column_name from information_schema.columns"
        " where table_schema = 'features' and table_name = 'story_momentum'",
    )
    keys = {"event_at", "available_at", "is_synthetic"}
    view = features.open_store(platform).get_feature_view("story_momentum")
    assert {name for (name,) in rows} - keys == {field.name for field in view.schema}


def test_online_and_offline_paths_give_the_same_numbers(platform):
    now = START + timedelta(hours=SPAN_H + 5)
    features.materialise(None, now, platform, only=["story_momentum", "story_profile"])
    story = str(1000 + 3 * (STORIES - 1))
    [online] = features.online_features("trend_story_v1", [story], platform, entity="story")
    query = f"select '{story}' as story_id, timestamptz '{now.isoformat()}' as event_timestamp"
    offline = features.training_frame(query, "trend_story_v1", platform).iloc[0]
    assert online["host_stories_before"] > 10
    for name in set(online) - {"story_id"}:
        if online[name] is None:
            assert offline[name] is None or offline[name] != offline[name], name
        else:
            assert offline[name] == pytest.approx(online[name]), name


def test_features_are_of_the_first_hour_and_late_rows_do_not_leak(platform):
    before = build_dataset(AS_OF, load_params(), platform)
    assert set(before.frame["hours_since_entry"]) == {0.5, 1.0}
    late = (
        "insert into features.story_momentum select (jsonb_populate_record(momentum,"
        " jsonb_build_object('event_at', event_at - interval '1 minute',"
        " 'available_at', event_at + interval '1 day', 'upvotes', 29))).*"
        " from features.story_momentum as momentum where hours_since_entry = 1"
    )
    with connect(platform.database_url) as conn:
        conn.execute(late)
    try:
        after = build_dataset(AS_OF, load_params(), platform)
    finally:
        with connect(platform.database_url) as conn:
            conn.execute(
                "delete from features.story_momentum where available_at > event_at + interval '1 h'"
            )
    kept = [name for name in before.frame if name not in {"sights", "most_upvotes"}]
    assert after.frame[kept].equals(before.frame[kept])


def test_young_platform_is_told_what_is_missing(platform):
    with pytest.raises(TooFewRowsError, match=r"needs at least 300 stories .* there are 1\d\d;"):
        train_story(START + timedelta(days=8), platform)
    with pytest.raises(TooFewRowsError, match="there are 0 from the world server"):
        train_story(AS_OF, platform.model_copy(update={"data_dir": None}))


def test_it_is_trained_once_scores_once_and_is_measured_on_archives(platform):
    release = train_story(AS_OF, platform)
    assert release.is_champion, release.reason
    kept = {file.path for file in client(platform).list_artifacts(release.run_id)}
    assert kept >= {"calibration.svg", "signals.json", "dataset.sql", "feature_statistics.json"}
    again = train_story(AS_OF, platform)
    assert (again.reused, again.version) == (True, release.version)

    moment = START + timedelta(hours=SPAN_H - 20)
    first, second = score_stories(moment, platform), score_stories(moment, platform)
    assert first.scored == first.written == second.scored == 45  # 36 hours of 1.25 stories
    assert second.written == 0
    assert score_stories(START - timedelta(days=9), platform).scored == 0
    rows = fetch(
        platform,
        "select entity_id, as_of, input_data, prediction, confidence, metadata"
        " from ml.model_predictions where prediction_type = %s",
        NAME,
    )
    assert len(rows) == 45
    for _, as_of, reference, answer, confidence, metadata in rows:
        assert as_of == moment
        assert datetime.fromisoformat(reference["event_timestamp"]) <= moment
        assert len(answer["supporting_signals"]) == 5
        assert answer["rising"] == (answer["probability"] >= 0.5)
        sure = max(answer["probability"], 1 - answer["probability"])
        assert float(confidence) == pytest.approx(sure, abs=1e-4)
        assert metadata["version"] == release.version
        assert np.exp(answer["growth_threshold"]) * reference["upvotes"] == pytest.approx(99.5)

    model = releases.load(release, platform).get_raw_model()
    found = measure_archive(model, AS_OF, platform)
    assert found.rows == STORIES
    assert found.figures["auc"] > found.figures["baselines"]["upvotes_alone"]["auc"] > 0.5


def test_story_without_a_profile_raises_instead_of_being_zero(platform):
    with connect(platform.database_url) as conn:
        conn.execute("delete from features.story_profile where story_id = '1000'")
    with pytest.raises(MissingFeatureError, match="story 1000 "):
        build_dataset(AS_OF, load_params(), platform)
