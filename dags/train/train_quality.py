"""Clickbait, spam, toxicity.

Trains `quality_policy` on the labelled texts beside the archives, measures it on channels, videos
and a kind of text that it has not seen, beside TF-IDF with logistic regression and the champion,
and registers it in MLflow. It becomes champion only if it beats them all; the registry says why not
otherwise. Without labelled texts the task is skipped and says so. The same data, parameters and
code give the version that exists already, so a run without news costs seconds.
"""

from __future__ import annotations

from airflow.sdk import dag
from ytempire_airflow.assets import QUALITY_POLICY, RAW_ARCHIVES
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS
from ytempire_airflow.training import train_and_register


@dag(
    schedule=[RAW_ARCHIVES],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_quality():
    train_and_register(
        QUALITY_POLICY, "ml.quality.policy.train:train_quality_policy", resolve_as_of()
    )


train_quality()
