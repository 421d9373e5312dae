"""Batch forecasts of topics.

Forecasts the volume of every topic and category that is listed often enough with the champion of
`trend_topic`, and whether it rises, into `ml.model_predictions`. While there is no champion the
task is skipped and says so.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import TOPIC_PREDICTIONS, TREND_TOPIC
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import skip_without_champion


@dag(
    schedule=[TREND_TOPIC],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "predict"],
    doc_md=__doc__,
)
def score_topics():
    @task(outlets=[TOPIC_PREDICTIONS])
    def score(now: str, **context: Any) -> dict[str, Any]:
        from dataclasses import asdict
        from datetime import datetime

        from ml.trend.topic.predict import score_topics as score_all

        skip_without_champion(TREND_TOPIC.name)
        counts = asdict(score_all(datetime.fromisoformat(now)))
        context["outlet_events"][TOPIC_PREDICTIONS].extra = {"as_of": now, **counts}
        return counts

    score(resolve_as_of())


score_topics()
