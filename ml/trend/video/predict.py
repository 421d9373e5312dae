"""Batch scores of the videos that are on the charts now."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg import sql

from ml import features
from ml.registry import mirror, releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.postgres import Merge, copy_rows, create_staging, merge, transaction
from ml.trend.video.dataset import own_observation
from ml.trend.video.matrix import model_input
from ml.trend.video.train import NAME

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

PREDICTION_TYPE = NAME
_WINDOW = timedelta(days=3)
_COLUMNS = (
    "model_id",
    "prediction_type",
    "entity_id",
    "as_of",
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

_LATEST = sql.SQL(
    """
    select distinct on (video_id)
        video_id,
        greatest(event_at, available_at) as event_timestamp,
        standing_day as entity_day
    from features.video_standing
    where is_synthetic = {synthetic}
        and event_at > {start}
        and event_at <= {as_of}
        and available_at <= {as_of}
    order by video_id, event_at desc
    """
)


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring run did.

    Attributes:
        scored: videos with a prediction as of that moment.
        written: predictions that were not there yet.
        skipped_first_day: videos seen only once so far; the model needs two observations.
        version: semantic version of the champion.
    """

    scored: int
    written: int
    skipped_first_day: int
    version: str


def score_videos(as_of: datetime, settings: Settings | None = None) -> ScoreResult:
    """Score every video seen in the three days before `as_of` and keep the predictions.

    Predictions are keyed by model version, video and `as_of`, so scoring twice changes nothing.

    Raises:
        FatalError: if there is no champion.
        MissingFeatureError: if a video lacks a required feature.
    """
    settings = settings or get_settings()
    model, release = releases.load_champion(NAME, settings)
    frame = _recent(as_of, release, settings)
    # On its first day a video has no growth yet, and the model has seen no such row.
    scorable = frame[frame["entity_day"] > 0]
    rows = list(_rows(scorable, model, release, as_of, settings)) if len(scorable) else []
    with transaction(settings.require("database_url")) as conn:
        staging = create_staging(conn, _TARGET.table, _COLUMNS)
        copy_rows(conn, staging, _COLUMNS, rows)
        written = merge(conn, staging, _TARGET, _COLUMNS)
    result = ScoreResult(len(rows), written, len(frame) - len(scorable), release.version)
    log.info("scored %s", result)
    return result


def _recent(as_of: datetime, release: Release, settings: Settings) -> pd.DataFrame:
    query = _LATEST.format(
        synthetic=sql.Literal(release.tags["is_synthetic"] == "true"),
        start=sql.Literal(as_of - _WINDOW),
        as_of=sql.Literal(as_of),
    ).as_string()
    joined = features.training_frame(query, release.tags["feature_service"], settings)
    return own_observation(joined)


def _rows(
    frame: pd.DataFrame, model: Any, release: Release, as_of: datetime, settings: Settings
) -> Iterator[Sequence[Any]]:
    columns = tuple(model.metadata.get_input_schema().input_names())
    forecast = model.predict(model_input(frame, columns))
    identity = mirror.model_id(release, settings)
    threshold = float(release.tags["growth_threshold"])
    further = [name for name in forecast if name not in {"probability", "rising"}]
    for (_, row), (_, said) in zip(frame.iterrows(), forecast.iterrows(), strict=True):
        probability, rising = float(said["probability"]), bool(said["rising"])
        reference = {
            "feature_service": release.tags["feature_service"],
            "event_timestamp": row["event_timestamp"].isoformat(),
            "day_number": int(row["entity_day"]),
            "log_growth_1d": _number(row["log_growth_1d"]),
        }
        answer = {
            "probability": round(probability, 6),
            "rising": rising,
            "growth_threshold": threshold,
            "horizon_hours": 48,
            **{name: _number(said[name]) for name in further},
        }
        confidence = round(max(probability, 1 - probability), 4)
        yield (
            identity,
            PREDICTION_TYPE,
            row["video_id"],
            as_of,
            json.dumps(reference),
            json.dumps(answer),
            confidence,
            json.dumps({"version": release.version, "mlflow_version": release.mlflow_version}),
        )


def _number(value: Any) -> float | None:
    """JSON has no NaN: a missing number is null."""
    return None if value != value else float(value)
