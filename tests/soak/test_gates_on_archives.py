"""No gate stops on any of the real archives, and what they warn of is really there.

The whole way of `make run` up to the rows that the models learn from: import, models, features.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TID253 - the frames are what is tested
import pytest

from ml import clock, warehouse
from ml.exceptions import TooFewRowsError
from ml.gates import check_build, check_imported, run_gate
from ml.settings import Settings
from ml.storage.landing import find_archives, import_archive
from ml.storage.postgres import connect
from ml.topics import assign_topics

BUILD = "soak"
# Rows that a model learns from, by the gate that judges them.
Rows = Callable[[datetime, Settings], pd.DataFrame]


def video_rows(now: datetime, settings: Settings) -> pd.DataFrame:
    from ml.trend.video.dataset import build_dataset, load_params

    return build_dataset(now, load_params(), settings).frame


def story_rows(now: datetime, settings: Settings) -> pd.DataFrame:
    from ml.trend.story.dataset import build_dataset, load_params

    return build_dataset(now, load_params(), settings).frame


def topic_rows(now: datetime, settings: Settings) -> pd.DataFrame:
    from ml.trend.topic.candidates import load_params
    from ml.trend.topic.dataset import read_dataset

    return read_dataset(now, load_params(), settings).frame


def audience_rows(now: datetime, settings: Settings) -> pd.DataFrame:
    from ml.audience.dataset import build_dataset
    from ml.audience.model import load_params
    from ml.audience.train import as_judged

    return as_judged(build_dataset(now, load_params(), settings).data)


def engagement_rows(now: datetime, settings: Settings) -> pd.DataFrame:
    from ml.quality.engagement.dataset import build_dataset, load_params

    return build_dataset(now, load_params(), settings).rows


FRAMES: dict[str, Rows] = {
    "training_trend_video": video_rows,
    "training_trend_story": story_rows,
    "training_trend_topic": topic_rows,
    "training_audience_preference": audience_rows,
    "training_quality_engagement": engagement_rows,
}

# The archive of Hacker News ends years before the others, and "now" is the end of all.
LACK_ROWS = {"training_trend_story"}


@pytest.fixture(scope="module")
def archives(stack: Settings, data_dir: Path) -> Settings:
    """Settings of a database with all archives."""
    for archive in find_archives(data_dir):
        import_archive(archive["format"], archive["paths"])
    return stack


@pytest.fixture(scope="module")
def now(archives: Settings) -> datetime:
    with connect() as conn:
        return clock.as_of(conn)


@pytest.fixture(scope="module")
def marts(archives: Settings, now: datetime) -> Settings:
    """Settings of a database with the marts and features of the archives."""
    warehouse.run_dbt(["build", "--select", "path:models/staging"], as_of=now)
    assign_topics(now)
    layers = ["path:models/intermediate", "path:snapshots", "path:models/marts"]
    warehouse.run_dbt(["build", "--select", *layers], as_of=now)
    return archives


@pytest.fixture(scope="module")
def feature_tables(marts: Settings, now: datetime) -> Settings:
    """Settings of a database whose features are those of the archives."""
    from ml import features
    from ml.streaming.tables import append_new

    warehouse.run_dbt(["build", "--select", "path:models/features"], as_of=now)
    append_new()
    features.apply()
    return marts


@pytest.fixture
def warned(record_property: Callable[[str, Any], None]) -> Callable[[str], list[tuple]]:
    """What the gates of a run said, and a line for each of them that warned."""

    def ask(run_id: str) -> list[tuple]:
        with connect() as conn:
            rows = conn.execute(
                "select gate, expectation, severity, success, examples from ops.gate_results"
                " where run_id = %s",
                (run_id,),
            ).fetchall()
        assert rows, f"no gate was asked for {run_id}"
        failed = [row for row in rows if not row[3]]
        for gate, name, severity, _, examples in failed:
            record_property(gate, f"{severity}: {name}")
            print(f"{severity}: {gate}.{name}: {examples}")
        print(f"{run_id}: {len(rows)} expectations, {dict(Counter(row[2] for row in failed))}")
        return failed

    return ask


def test_no_archive_is_stopped(archives: Settings, warned: Callable[[str], list[tuple]]) -> None:
    assert len(check_imported(BUILD)) == 2
    failed = warned(f"import_archives/{BUILD}")
    # The archive of Hacker News has three days of less than half their snapshots.
    assert {row[:3] for row in failed} == {
        ("raw_records", "volume_is_like_the_same_weekday", "warn")
    }
    days = {example["on_day"] for *_, examples in failed for example in examples}
    assert days == {"2021-06-01", "2021-06-02", "2022-03-25"}


def test_no_mart_of_the_archives_is_stopped(
    marts: Settings, now: datetime, warned: Callable[[str], list[tuple]]
) -> None:
    assert check_build(BUILD, now)
    assert {severity for _, _, severity, *_ in warned(BUILD)} <= {"warn"}
    warehouse.publish_marts(BUILD, now)


@pytest.mark.parametrize("gate", ["features_video_momentum", "features_video_standing"])
def test_no_feature_table_of_the_archives_is_stopped(
    feature_tables: Settings, now: datetime, warned: Callable[[str], list[tuple]], gate: str
) -> None:
    run_gate(gate, run_id=f"{BUILD}/{gate}", as_of=now)
    assert {severity for _, _, severity, *_ in warned(f"{BUILD}/{gate}")} <= {"warn"}


@pytest.mark.parametrize("gate", FRAMES)
def test_no_rows_that_a_model_learns_from_are_stopped(
    feature_tables: Settings, now: datetime, warned: Callable[[str], list[tuple]], gate: str
) -> None:
    if gate in LACK_ROWS:
        # Training itself ends before its gate then.
        with pytest.raises(TooFewRowsError):
            FRAMES[gate](now, feature_tables)
        return
    frame = FRAMES[gate](now, feature_tables)
    run_gate(gate, run_id=f"{BUILD}/{gate}", as_of=now, frame=frame)
    assert {severity for _, _, severity, *_ in warned(f"{BUILD}/{gate}")} <= {"warn"}


def test_no_labelled_texts_are_stopped(
    archives: Settings, data_dir: Path, now: datetime, warned: Callable[[str], list[tuple]]
) -> None:
    from ml.quality.policy.dataset import load_params, read_data

    for task, texts in read_data(data_dir, load_params()).sets.items():
        run_id = f"{BUILD}/policy-{task}"
        run_gate("training_quality_policy", run_id=run_id, as_of=now, frame=texts.frame())
        assert {severity for _, _, severity, *_ in warned(run_id)} <= {"warn"}
