"""Batch predictions.

Scores every video that was on a chart in the days before `as_of` with the champion of
`trend_video`, on features from the feature store, into `ml.model_predictions`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import PREDICTIONS, TREND_VIDEO
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import skip_without_champion


@dag(
    schedule=[TREND_VIDEO],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "predict"],
    doc_md=__doc__,
)
def score_videos():
    @task(outlets=[PREDICTIONS])
    def score(now: str, **context: Any) -> dict[str, Any]:
        from dataclasses import asdict
        from datetime import datetime

        from ml.trend.video.predict import score_videos as score_all

        skip_without_champion(TREND_VIDEO.name)
        counts = asdict(score_all(datetime.fromisoformat(now)))
        context["outlet_events"][PREDICTIONS].extra = {"as_of": now, **counts}
        return counts

    score(resolve_as_of())


score_videos()
