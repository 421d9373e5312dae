"""What Postgres and MLflow know of trainings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ml.exceptions import RetriableError
from ml.registry.tracking import client, reachable
from ml.serving.job_schemas import ModelType
from ml.settings import Settings
from ml.storage.postgres import transaction

log = logging.getLogger(__name__)

# A registered model and the DAG that trains it; the reference's names are those of families.
DAGS: Mapping[ModelType, str] = {
    "trend_predictor": "train_trend_video",
    "quality_scorer": "train_quality",
    "audience": "train_audience_preference",
    "trend_video": "train_trend_video",
    "trend_story": "train_trend_story",
    "trend_topic": "train_trend_topic",
    "quality_policy": "train_quality",
    "quality_engagement": "train_quality_engagement",
    "audience_preference": "train_audience_preference",
}
_REGISTERED: Mapping[str, str] = {
    "train_trend_video": "trend_video",
    "train_trend_story": "trend_story",
    "train_trend_topic": "trend_topic",
    "train_quality": "quality_policy",
    "train_quality_engagement": "quality_engagement",
    "train_audience_preference": "audience_preference",
}
_USUAL = """
select percentile_cont(0.5) within group (order by duration_seconds)
from (
    select duration_seconds from ml.training_jobs
    where job_name like %s and status = 'completed' and duration_seconds is not null
    order by completed_at desc limit 5
) as last
"""
_FIGURES = """
select metrics -> 'model' from ml.training_jobs
where job_name like %s and artifacts ->> 'version' = %s
order by completed_at desc nulls last limit 1
"""


def usual_seconds(dag_id: str, settings: Settings) -> float | None:
    """How long the last trainings of a model took in the middle; None if there was none.

    Raises:
        ServiceUnavailableError: if Postgres does not answer.
    """
    with transaction(settings.require("database_url")) as conn:
        row = conn.execute(_USUAL, (f"{_REGISTERED[dag_id]}-%",)).fetchone()
    return float(row[0]) if row and row[0] is not None else None


def test_figures(release: Mapping[str, Any], settings: Settings) -> dict[str, float] | None:
    """Figures of a registered version on the rows that it was tested on, if they are known.

    Raises:
        ServiceUnavailableError: if Postgres does not answer.
    """
    with transaction(settings.require("database_url")) as conn:
        row = conn.execute(_FIGURES, (f"{release['model']}-%", str(release["version"]))).fetchone()
    figures = row[0] if row and isinstance(row[0], dict) else {}
    return {
        name: float(value) for name, value in figures.items() if isinstance(value, int | float)
    } or None


def experiment_url(settings: Settings) -> str | None:
    """The experiment of all trainings in MLflow's own pages; None if MLflow does not answer."""
    try:
        registry = client(settings)
        with reachable():
            found = registry.get_experiment_by_name(settings.mlflow_experiment)
    except RetriableError as error:
        log.warning("no tracking address: %s", error)
        return None
    if found is None:
        return None
    return f"{settings.require('mlflow_tracking_uri')}/#/experiments/{found.experiment_id}"
