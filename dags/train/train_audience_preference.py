"""Which topics suit which viewers.

Trains `audience_preference` on the segments and topics of the marts: candidates from popularity to
neural networks are compared on each segment's topics before the latest, the best one is measured
on the latest against the plain methods and the champion, and registered in MLflow. It becomes
champion only if it beats them all. Then the champion's topics of every segment go to
`ml.model_predictions`. While there are too few rows the tasks are skipped and say so.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import AUDIENCE_PREFERENCE, MARTS
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import skip_without_champion, train_and_register


@dag(
    schedule=[MARTS],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow", "predict"],
    doc_md=__doc__,
)
def train_audience_preference():
    @task
    def score(now: str) -> dict[str, Any]:
        from dataclasses import asdict
        from datetime import datetime

        from ml.audience.predict import score_segments

        skip_without_champion(AUDIENCE_PREFERENCE.name)
        return asdict(score_segments(datetime.fromisoformat(now)))

    now = resolve_as_of()
    trained = train_and_register(AUDIENCE_PREFERENCE, "ml.audience.train:train_audience", now)
    trained >> score(now)


train_audience_preference()
