"""Batch forecasts of the topics that sources show now."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.exceptions import TooFewRowsError
from ml.registry import mirror, releases
from ml.registry.releases import Release
from ml.settings import Settings, get_settings
from ml.storage.postgres import Merge, copy_rows, create_staging, merge, transaction
from ml.trend.topic.candidates import NAME, load_params
from ml.trend.topic.dataset import CATEGORIES, read_dataset

log = logging.getLogger(__name__)

PREDICTION_TYPE = NAME
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


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring run did.

    Attributes:
        scored: topics and categories with a forecast as of that moment.
        written: forecasts that were not there yet.
        skipped_quiet: topics with too little volume, or of which too little was known.
        version: semantic version of the champion.
    """

    scored: int
    written: int
    skipped_quiet: int
    version: str


def score_topics(as_of: datetime, settings: Settings | None = None) -> ScoreResult:
    """Forecast every topic and category that had enough volume, and keep the forecasts.

    One query, one batch. Predictions are keyed by model version, topic and `as_of`, so scoring
    twice changes nothing.

    Raises:
        FatalError: if there is no champion.
        TooFewRowsError: if no topic is known at all.
    """
    settings = settings or get_settings()
    model, release = releases.load_champion(NAME, settings)
    params = json.loads(release.tags.get("params", "null")) or load_params()
    dataset = read_dataset(as_of, params, settings, release.tags["is_synthetic"] == "true")
    panel = dataset.panel()
    sources = dict(zip(dataset.frame["series"], dataset.frame["source"], strict=True))
    try:
        forecast = model.get_raw_model().predict(dataset.frame)
    except TooFewRowsError as error:
        log.warning("nothing is forecast: %s", error)
        return ScoreResult(0, 0, len(panel.names), release.version)
    rows = list(_rows(forecast, sources, release, as_of, settings))
    with transaction(settings.require("database_url")) as conn:
        staging = create_staging(conn, _TARGET.table, _COLUMNS)
        copy_rows(conn, staging, _COLUMNS, rows)
        written = merge(conn, staging, _TARGET, _COLUMNS)
    result = ScoreResult(len(rows), written, len(panel.names) - len(rows), release.version)
    log.info("scored %s", result)
    return result


def _rows(
    forecast: Any,
    sources: dict[str, str],
    release: Release,
    as_of: datetime,
    settings: Settings,
) -> Iterator[Sequence[Any]]:
    identity = mirror.model_id(release, settings)
    about = json.dumps({"version": release.version, "mlflow_version": release.mlflow_version})
    for said in forecast.to_dict("records"):
        kind = "category" if sources[said["series"]] == CATEGORIES else "topic"
        mart = "fct_segment_topic_engagement" if kind == "category" else "fct_topic_momentum"
        reference = {"mart": mart, "kind": kind, "last_day": said["last_day"]}
        probability = float(said["rise_probability"])
        answer = {
            "rise_probability": round(probability, 6),
            "rises": probability >= 0.5,
            "rise_threshold": round(float(said["rise_threshold"]), 3),
            "volume_by_day": [int(said[f"day_{day}"]) for day in range(1, 8)],
        }
        for horizon in ("48h", "7d"):
            answer[f"volume_{horizon}"] = int(said[f"volume_{horizon}"])
            low, high = said[f"volume_{horizon}_low"], said[f"volume_{horizon}_high"]
            answer[f"interval_{horizon}"] = [round(float(low), 2), round(float(high), 2)]
        yield (
            identity,
            PREDICTION_TYPE,
            said["series"],
            as_of,
            json.dumps(reference),
            json.dumps(answer),
            round(max(probability, 1 - probability), 4),
            about,
        )
