"""How much a topic will be listed, and whether it rises.

Trains `trend_topic` on the volumes of topics and categories in the marts: plain methods, trees,
networks, Prophet and weighted means of them are compared on rolling origins, the best one that
beats every plain method at every horizon is measured on later origins and registered in MLflow; its
card says what was refused and why. It becomes champion only if it beats the plain methods and the
champion there as well. While there is too little history the task is skipped and says so.
"""

from __future__ import annotations

from airflow.sdk import dag
from ytempire_airflow.assets import MARTS, TREND_TOPIC
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import train_and_register


@dag(
    schedule=[MARTS],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_trend_topic():
    train_and_register(TREND_TOPIC, "ml.trend.topic.train:train_topic", resolve_as_of())


train_trend_topic()
