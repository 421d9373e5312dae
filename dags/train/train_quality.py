"""Clickbait, spam, toxicity.

Trains `quality_policy` on the labelled texts beside the archives, measures it on channels, videos
and a kind of text that it has not seen, beside TF-IDF with logistic regression and the champion,
and registers it in MLflow. It becomes champion only if it beats them all; the registry says why not
otherwise. Without labelled texts the task is skipped and says so. The same data, parameters and
code give the version that exists already, so a run without news costs seconds.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from ytempire_airflow.assets import QUALITY_POLICY, RAW_ARCHIVES
from ytempire_airflow.clock import resolve_as_of
from ytempire_airflow.defaults import DEFAULT_ARGS, TRAINING_ARGS


@dag(
    schedule=[RAW_ARCHIVES],
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["train", "mlflow"],
    doc_md=__doc__,
)
def train_quality():
    @task(outlets=[QUALITY_POLICY], **TRAINING_ARGS)
    def train_and_register(now: str, **context: Any) -> dict[str, Any]:
        from datetime import datetime

        from airflow.sdk.exceptions import AirflowSkipException

        from ml.exceptions import SourceUnavailableError
        from ml.quality.policy.train import train_quality_policy

        try:
            release = train_quality_policy(datetime.fromisoformat(now))
        except SourceUnavailableError as error:
            raise AirflowSkipException(str(error)) from error
        covered = {"as_of": now, **release.summary()}
        context["outlet_events"][QUALITY_POLICY].extra = covered
        return covered

    train_and_register(resolve_as_of())


train_quality()
