"""How much a topic will be listed, and whether it rises.

Trains `trend_topic` on the volumes of topics and categories in the marts: plain methods, trees,
networks, Prophet and weighted means of them are compared on rolling origins, the best one that
beats every plain method at every horizon is measured on later origins and registered in MLflow; its
card says what was refused and why. It becomes champion only if it beats the plain methods and the
champion there as well. While there is too little history the task is skipped and says so.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import MARTS, TREND_TOPIC
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS, TRAINING_ARGS


@dag(
    schedule=[MARTS],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_trend_topic():
    @task(outlets=[TREND_TOPIC], **TRAINING_ARGS)
    def train_and_register(now: str, **context: Any) -> dict[str, Any]:
        from datetime import datetime

        from airflow.sdk.exceptions import AirflowSkipException

        from ml.exceptions import TooFewRowsError
        from ml.trend.topic.train import train_topic

        try:
            release = train_topic(datetime.fromisoformat(now))
        except TooFewRowsError as error:
            raise AirflowSkipException(str(error)) from error
        covered = {"as_of": now, **release.summary()}
        context["outlet_events"][TREND_TOPIC].extra = covered
        return covered

    train_and_register(resolve_as_of())


train_trend_topic()
