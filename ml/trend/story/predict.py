"""Batch scores of the stories whose first hour on the front page is over."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ml.registry import mirror, releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.postgres import Merge, connect, copy_rows, create_staging, merge, transaction
from ml.trend.story.dataset import FIRST_HOUR, HORIZON, REACHED, entry_query, first_hours
from ml.trend.story.train import NAME

if TYPE_CHECKING:
    import pandas as pd

    from ml.trend.story.model import StoryModel

log = logging.getLogger(__name__)

PREDICTION_TYPE = NAME
# A daily ingest that is half a day late still gets every story scored.
_WINDOW = timedelta(hours=36)
_COLUMNS = (
    "model_id",
    "as_of",
    "prediction_type",
    "entity_id",
    "input_data",
    "prediction",
    "confidence",
    "metadata",
)
_TARGET = Merge(
    table="ml.model_predictions",
    key=("model_id", "prediction_type", "entity_id", "as_of"),
    same=("model_id", "prediction_type", "entity_id", "as_of"),
)
_SCORED = """
    select entity_id from ml.model_predictions
    where model_id = %s and prediction_type = %s and entity_id = any(%s)
"""


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring run did.

    Attributes:
        scored: stories whose first hour was over, within the last day and a half.
        written: predictions that were not there yet.
        version: semantic version of the champion.
    """

    scored: int
    written: int
    version: str


def score_stories(as_of: datetime, settings: Settings | None = None) -> ScoreResult:
    """Score every story whose first hour ended in the day and a half before `as_of`.

    What is said of a story is about its first hour and does not change, so a version says it once:
    scoring twice, or later, adds only stories that are new.

    Raises:
        FatalError: if there is no champion.
        MissingFeatureError: if a story lacks a required feature.
    """
    settings = settings or get_settings()
    loaded, release = releases.load_champion(NAME, settings)
    entries = entry_query(
        as_of - _WINDOW - FIRST_HOUR, as_of, synthetic=release.tags["is_synthetic"] == "true"
    )
    with connect(settings.require("database_url")) as conn:
        if not conn.execute(entries).fetchone():
            return ScoreResult(0, 0, release.version)
    frame = first_hours(entries, release.tags["feature_service"], settings)
    identity = mirror.model_id(release, settings)
    with transaction(settings.require("database_url")) as conn:
        asked = (identity, PREDICTION_TYPE, frame["story_id"].tolist())
        done = {story for (story,) in conn.execute(_SCORED, asked)}
        new = frame[~frame["story_id"].isin(done)]
        rows = _rows(new, loaded.get_raw_model(), release) if len(new) else ()
        staging = create_staging(conn, _TARGET.table, _COLUMNS)
        copy_rows(conn, staging, _COLUMNS, ((identity, as_of, *row) for row in rows))
        written = merge(conn, staging, _TARGET, _COLUMNS)
    result = ScoreResult(len(frame), written, release.version)
    log.info("scored %s", result)
    return result


def _rows(frame: pd.DataFrame, model: StoryModel, release: Release) -> Iterator[Sequence[Any]]:
    """Rows of `_COLUMNS` from the type on."""
    said, signals = model.predict(frame), model.explain(frame)
    hours = (HORIZON - FIRST_HOUR) / timedelta(hours=1)
    version = {"version": release.version, "mlflow_version": release.mlflow_version}
    for (_, row), (_, answer), reasons in zip(
        frame.iterrows(), said.iterrows(), signals, strict=True
    ):
        probability, upvotes = float(answer["probability"]), int(row["upvotes"])
        reference = {
            "feature_service": release.tags["feature_service"],
            "event_timestamp": row["event_timestamp"].isoformat(),
            "hours_since_entry": float(row["hours_since_entry"]),
            "upvotes": upvotes,
        }
        prediction = {
            "probability": round(probability, 6),
            "rising": bool(answer["rising"]),
            # Half an upvote below the number, as "above" is how outcomes are judged.
            "growth_threshold": math.log((REACHED - 0.5) / max(upvotes, 1)),
            "horizon_hours": int(hours),
            "reach_probability": round(float(answer["reach_probability"]), 6),
            "stay_probability": round(float(answer["stay_probability"]), 6),
            "supporting_signals": reasons,
        }
        yield (
            PREDICTION_TYPE,
            row["story_id"],
            json.dumps(reference),
            json.dumps(prediction),
            round(max(probability, 1 - probability), 4),
            json.dumps(version),
        )
