"""What the stories of a champion share: a time line, and a release whose scale is wrong."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ml.registry import recording, releases
from ml.registry.releases import Candidate, Release
from ml.settings import Settings
from ml.storage.postgres import connect
from ml.trend.calibration import Calibrator
from ml.trend.video.matrix import model_input
from ml.trend.video.model import TrendModel
from ml.trend.video.train import NAME

_FACTS = (
    "feature_service", "growth_threshold", "decision_threshold", "as_of", "train_start",
    "train_end", "test_start", "test_end", "is_synthetic", "data_digest", "code_digest",
)  # fmt: skip


class Story:
    """Tells what happened, and when since the first line."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.lines: list[str] = []

    def tell(self, what: str) -> None:
        """Print a line, and keep it."""
        self.lines.append(f"{time.monotonic() - self.began:6.1f} s  {what}")
        print(self.lines[-1], flush=True)


def record_badly_scaled(
    rows: Any, params: dict[str, Any], folder: Path, settings: Settings
) -> Release:
    """Register a version that orders videos as the champion does, and is far too sure of a rise.

    No figure of its training and no gate finds fault with it: it is for the canary to catch.

    Args:
        rows: of the feature service, as an example.
        params: that the champion was trained with.
        folder: an empty one, for the model.
        settings: where the registry is.
    """
    serves = releases.champion(NAME, settings)
    assert serves is not None
    model, _ = releases.load_champion(NAME, settings)
    good: TrendModel = model.get_raw_model()
    # Its probabilities are ten times too sure of a rise.
    bad = Calibrator("platt", (1.0, 2.3))
    spoilt = TrendModel(
        good.booster, replace(good.specification, calibrator=bad), good.forests, good.baselines
    )
    spoilt.save(folder / "trend_video")
    example = model_input(rows.head(5), good.specification.columns)
    figures = json.loads(serves.tags["metrics"])["model"]
    return recording.record(
        Candidate(
            name=NAME, model_type="xgboost", fingerprint="badly scaled",
            folder=folder / "trend_video", loader_module="ml.trend.video.loader",
            gate_metric="auc", metrics={"model": figures, "champion": figures}, params=params,
            tags={name: serves.tags[name] for name in _FACTS}, card="",
            dataset=example.assign(rising=0.0), dataset_source="test", target="rising",
            example=example,
            prediction=spoilt.predict(example), pip_requirements=[],
            incumbent=serves.mlflow_version,
        ),
        settings,
    )  # fmt: skip


def record_views_count_otherwise(day: date, change: str, settings: Settings) -> None:
    """Add a dated break of the views, which reaches the columns that views reach.

    Args:
        day: from which on they count otherwise.
        change: what is other, for people.
        settings: where the database is.
    """
    with connect(settings.require("database_url")) as conn:
        conn.execute(
            "insert into ml.definition_breaks select 'youtube', 'statistics.viewCount', %s,"
            " %s, 'the test', columns from ml.definition_breaks"
            " where field = 'statistics.viewCount of Shorts'",
            (day, change),
        )
